"""The fallback: a transcript, for base models and for models whose format nobody has written down.

    {system}

    User: {user}
    Assistant: {answer}
    User: {user}
    Assistant:

Exactly that: BOS first; the system prompt, if there is one that is not blank, with a blank line after it;
each message stripped of surrounding white space; no space after the last `Assistant:`, since the model's
own first token brings it. An answer ends where the model starts to write the next question, at
"\\nUser:", and at the end-of-sequence token.

It is only text. Nothing stops a message from containing the two labels, so whoever writes a message can
write an answer into it: the price of a model that was never taught turns.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from llamachat.formats.base import Bos, Ids, Segment, Text
from llamachat.formats.roles import check_order
from llamachat.types import Message, Role


class PlainFormat:
    """A transcript with labels. It has no tags, so there is none to refuse."""

    name = "plain"
    stops: tuple[str, ...] = ("\nUser:",)

    def prompt(
        self,
        messages: Sequence[Message],
        *,
        open_answer: bool = False,
        raw_tags: bool = False,  # noqa: ARG002
    ) -> list[Segment]:
        """See `Format.prompt`."""
        check_order(messages, open_answer=open_answer)
        return [Bos(), *_joined(_parts(messages, open_answer))]


def _parts(messages: Sequence[Message], open_answer: bool) -> Iterator[str | Ids]:
    last = len(messages) - 1
    for index, message in enumerate(messages):
        match message.role:
            case Role.SYSTEM:
                system = message.content.strip()
                yield f"{system}\n\n" if system else ""
            case Role.USER:
                yield f"User: {message.content.strip()}\n"
            case Role.ASSISTANT:
                is_open = open_answer and index == last
                yield "Assistant:"
                yield _answer(message, is_open)
                yield "" if is_open else "\n"
    if not open_answer:
        yield "Assistant:"


def _answer(message: Message, is_open: bool) -> str | Ids:
    """The answer's own ids begin with the space; an open answer keeps the white space it breaks off with."""
    if message.tokens and message.tokens.ids:
        return Ids(message.tokens.ids)
    text = message.content.lstrip() if is_open else message.content.strip()
    return f" {text}" if text else ""


def _joined(parts: Iterator[str | Ids]) -> Iterator[Text | Ids]:
    """Neighbouring text is one segment, tokenised together."""
    text = ""
    for part in parts:
        if isinstance(part, str):
            text += part
        else:
            yield Text(text)
            yield part
            text = ""
    if text:
        yield Text(text)
