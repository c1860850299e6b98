"""What a slash command is, and when it makes sense."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from llamachat.ui.chat import Chat
from llamachat.ui.completion import path_candidates


def always(_: Chat) -> str:
    """It always makes sense."""
    return ""


def with_question(chat: Chat) -> str:
    return "" if chat.conversation.questions else "nothing was asked yet."


def with_answer(chat: Chat) -> str:
    return "" if chat.conversation.answer else "there is no answer yet."


def _nothing(_: Chat, _beginning: str) -> Iterable[str]:
    return ()


def paths(_: Chat, beginning: str) -> Iterable[str]:
    """Files, as they are completed after an @."""
    return path_candidates(beginning)


@dataclass(frozen=True, slots=True)
class Command:
    """`/name arguments`.

    `run` gets the rest of the line, stripped, and returns what the next prompt begins with. `refusal` says why the
    command makes no sense now, or nothing. `candidates` are what its arguments can be, for Tab:
    each is the whole of what may stand after the name, given how that begins.
    """

    name: str
    arguments: str
    help: str
    run: Callable[[Chat, str], str | None]
    refusal: Callable[[Chat], str] = always
    candidates: Callable[[Chat, str], Iterable[str]] = _nothing
