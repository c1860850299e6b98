"""The slash commands: one table that dispatch, help and completion read."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from llamachat.errors import UsageError
from llamachat.ui.screen import Screen


class Chat(Protocol):
    """What a command can do with the chat; `ui/chat.py` does it."""

    screen: Screen

    def leave(self) -> None: ...

    def start_over(self) -> None: ...

    def retry(self) -> None: ...

    def set_system(self, text: str) -> None: ...

    def set_preset(self, text: str) -> None: ...

    def set_model(self, name: str) -> None: ...

    def set_value(self, name: str, value: str) -> None: ...

    def show_statistics(self, text: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Command:
    """`/name arguments`; `run` gets the rest of the line, stripped."""

    name: str
    arguments: str
    help: str
    run: Callable[[Chat, str], None]


def find(word: str) -> Command:
    """The command of this name, or the only one that begins so. Raises UsageError with the nearest."""
    matches = [command for command in COMMANDS if command.name == word] or [
        command for command in COMMANDS if command.name.startswith(word)
    ]
    if len(matches) == 1:
        return matches[0]
    names = [command.name for command in matches] or difflib.get_close_matches(word, [c.name for c in COMMANDS], n=1)
    advice = f"Did you mean {' or '.join(f'/{name}' for name in names)}?" if names else "All commands: /help"
    raise UsageError(f"there is no command /{word}.", advice)


def _help(chat: Chat, _: str) -> None:
    chat.screen.table((f"/{command.name} {command.arguments}", command.help) for command in COMMANDS)
    chat.screen.table(KEYS)


def _exit(chat: Chat, _: str) -> None:
    chat.leave()


def _new(chat: Chat, _: str) -> None:
    chat.start_over()


def _system(chat: Chat, text: str) -> None:
    chat.set_system(text)


def _preset(chat: Chat, text: str) -> None:
    chat.set_preset(text)


def _model(chat: Chat, name: str) -> None:
    chat.set_model(name)


def _set(chat: Chat, text: str) -> None:
    name, _, value = text.partition(" ")
    chat.set_value(name, value.strip())


def _stats(chat: Chat, text: str) -> None:
    chat.show_statistics(text)


def _retry(chat: Chat, _: str) -> None:
    chat.retry()


COMMANDS = (
    Command("help", "", "this page", _help),
    Command("new", "", "start over; the system prompt stays", _new),
    Command("retry", "", "ask the last question again", _retry),
    Command("system", "[TEXT|off]", "show or set the system prompt", _system),
    Command(
        "preset", "[NAME [VARIABLE=VALUE]…|none]", "show the presets or change to one; the conversation stays", _preset
    ),
    Command("model", "[NAME|FILE]", "show or change the model; the conversation stays", _model),
    Command("set", "[NAME VALUE|off]", "show or set temperature, top_p, seed, max_tokens, …", _set),
    Command("stats", "[on|off]", "what the last answer took; on: after each", _stats),
    Command("exit", "", "leave (or Ctrl-D)", _exit),
)

KEYS = (
    ("Enter", "send"),
    ("Alt-Enter, Ctrl-J", "break the line"),
    ("Ctrl-C", "stop the answer; at the prompt: clear the line"),
    ("Ctrl-D", "leave"),
    ("//text", "send a message that begins with a slash"),
)
