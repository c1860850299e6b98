"""The keys of the prompt that are ours, in one table: what they are bound to, and what /help says of them.

Everything else is prompt_toolkit's: the keys of Emacs, as a shell has them, or of vi.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from prompt_toolkit.application.current import get_app
from prompt_toolkit.enums import DEFAULT_BUFFER
from prompt_toolkit.filters import Condition, emacs_mode, has_focus, vi_mode, vi_navigation_mode
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.keys import Keys

from llamachat.ui import draft

Sequence = tuple[str, ...]


class Line(Protocol):
    """What the keys do with the draft; `ui/prompt.py` does it."""

    is_dumb: bool

    def send(self, event: KeyPressEvent) -> None: ...

    def clear(self, event: KeyPressEvent) -> None: ...

    def paste(self, event: KeyPressEvent) -> None: ...

    def unfold(self, event: KeyPressEvent) -> None: ...

    def edit(self, event: KeyPressEvent) -> None: ...


@dataclass(frozen=True, slots=True)
class Key:
    """A row of /help, and the keys that it is about as prompt_toolkit names them."""

    name: str
    meaning: str
    sequences: tuple[Sequence, ...]


TABLE = (
    Key("Enter", 'send; in an open ``` or """ block, or after a backslash: break the line', (("enter",),)),
    Key("Alt-Enter, Ctrl-J", "break the line", (("escape", "enter"), ("c-j",))),
    Key("Ctrl-X Ctrl-S", "send as it is, open block or not", (("c-x", "c-s"),)),
    Key("Ctrl-X Ctrl-P", "unfold what was pasted", (("c-x", "c-p"),)),
    Key("Ctrl-X Ctrl-E", "write the message in your editor ($VISUAL, $EDITOR)", (("c-x", "c-e"),)),
    Key("Tab", "complete a command, its arguments, or a file after @", (("tab",),)),
    Key("Up, Down", "move in the message, then in what was typed before", (("up",), ("down",))),
    Key("Ctrl-R", "search what was typed before", (("c-r",),)),
    Key("Right, Ctrl-E", "take what is suggested; Alt-F: a word of it", (("right",), ("c-e",), ("escape", "f"))),
    Key("Ctrl-L", "clear the screen", (("c-l",),)),
    Key("Ctrl-C", "stop the answer; at the prompt: clear the message, which Up brings back; twice: leave", (("c-c",),)),
    Key("Ctrl-D", "at an empty prompt: leave", (("c-d",),)),
    Key("Ctrl-Z", "suspend; fg goes on", (("c-z",),)),
)

KEYS = (*((key.name, key.meaning) for key in TABLE), ("//text", "send a message that begins with a slash"))

_at_the_draft = has_focus(DEFAULT_BUFFER)


@Condition
def _has_text() -> bool:
    return bool(get_app().current_buffer.text)


@Condition
def _enter_follows() -> bool:
    """Alt-Enter is Escape and Enter, come together; in vi a lone Escape must not wait for what may follow."""
    queue = get_app().key_processor.input_queue
    return bool(queue) and queue[0].key == Keys.Enter


def bindings(line: Line) -> KeyBindings:
    keys = KeyBindings()

    def bind(action: Callable[[KeyPressEvent], None], *sequences: Sequence) -> None:
        for sequence in sequences:
            keys.add(*sequence, filter=_at_the_draft)(action)

    bind(lambda event: _enter(event, line), ("enter",))
    bind(lambda event: _enter(event, line) if line.is_dumb else _break_line(event), ("c-j",))
    bind(line.send, ("c-x", "c-s"))
    bind(line.unfold, ("c-x", "c-p"))
    bind(line.edit, ("c-x", "c-e"))
    bind(line.paste, (Keys.BracketedPaste,))
    keys.add("c-c", filter=_at_the_draft & _has_text)(line.clear)
    keys.add("escape", "enter", filter=_at_the_draft & emacs_mode)(_break_line)
    keys.add("escape", filter=_at_the_draft & vi_mode & _enter_follows, eager=True)(_escape_enter)
    return keys


def _enter(event: KeyPressEvent, line: Line) -> None:
    buffer = event.current_buffer
    if buffer.complete_state and buffer.complete_state.current_completion:
        buffer.complete_state = None  # it is in the draft already
    elif vi_navigation_mode():
        line.send(event)
    elif draft.is_open(buffer.text):
        _break_line(event)
    elif (text := draft.without_continuation(buffer.text)) is not None:
        buffer.text = f"{text}\n"
        buffer.cursor_position = len(buffer.text)
    else:
        line.send(event)


def _break_line(event: KeyPressEvent) -> None:
    event.current_buffer.insert_text("\n")


def _escape_enter(event: KeyPressEvent) -> None:
    event.key_processor.input_queue.popleft()
    _break_line(event)
