"""The slash commands: one table that dispatch, help and completion read."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llamachat.errors import UsageError

if TYPE_CHECKING:
    from llamachat.ui.repl import Repl


@dataclass(frozen=True, slots=True)
class Command:
    """`/name arguments`; `run` gets the rest of the line, stripped."""

    name: str
    arguments: str
    help: str
    run: Callable[[Repl, str], None]


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


def _help(repl: Repl, _: str) -> None:
    repl.screen.table((f"/{command.name} {command.arguments}", command.help) for command in COMMANDS)
    repl.screen.table(KEYS)


def _exit(repl: Repl, _: str) -> None:
    repl.leave()


def _new(repl: Repl, _: str) -> None:
    repl.start_over()


def _system(repl: Repl, text: str) -> None:
    repl.set_system(text)


def _model(repl: Repl, name: str) -> None:
    repl.set_model(name)


def _set(repl: Repl, text: str) -> None:
    name, _, value = text.partition(" ")
    repl.set_value(name, value.strip())


def _stats(repl: Repl, text: str) -> None:
    repl.show_statistics(text)


def _retry(repl: Repl, _: str) -> None:
    repl.retry()


COMMANDS = (
    Command("help", "", "this page", _help),
    Command("new", "", "start over; the system prompt stays", _new),
    Command("retry", "", "ask the last question again", _retry),
    Command("system", "[TEXT|off]", "show or set the system prompt", _system),
    Command("model", "[FILE|starter]", "show or change the model; the conversation stays", _model),
    Command("set", "[NAME VALUE]", "show or set temperature, top_p, seed, max_tokens, …", _set),
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
