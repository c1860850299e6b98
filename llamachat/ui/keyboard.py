"""What is typed, between and under prompts: nothing of it is echoed into an answer, or lost.

`with keyboard:` surrounds a whole chat. Within it, keys are collected on a thread whenever there is no prompt, and
the next prompt gets them. This file is the part that every system has; the terminal of POSIX is in `ui/tty.py`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import Protocol, Self

from prompt_toolkit.input import Input
from prompt_toolkit.output import Output

from llamachat.environment import Environment
from llamachat.ui.background import can_be_asked, guess
from llamachat.ui.theme import Background


class Keyboard(Protocol):
    """The line editor's input and output, and who has the terminal. `None`: the line editor finds its own."""

    input: Input | None
    output: Output | None
    background: Background  # as far as is known now
    on_background: Callable[[], None]  # told, on any thread, when it turns out otherwise

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Leave the terminal as it was found."""

    def lent(self) -> AbstractContextManager[None]:
        """While another program has the terminal, as it was found: an editor, a pager."""
        ...

    def has_keys(self) -> bool:
        """Whether something was typed that no prompt has had yet."""
        ...

    def fresh(self) -> AbstractContextManager[None]:
        """Within it only what is typed from now on is read; what was typed before comes afterwards."""
        ...


class BareKeyboard:
    """Leaves everything to the line editor: for Windows, for no terminal, and for tests."""

    def __init__(self, keys: Input | None = None, background: Background = Background.DARK) -> None:
        self.input = keys
        self.output: Output | None = None
        self.background = background
        self.on_background: Callable[[], None] = lambda: None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        pass

    def lent(self) -> AbstractContextManager[None]:
        return nullcontext()

    def has_keys(self) -> bool:
        return False

    def fresh(self) -> AbstractContextManager[None]:
        return nullcontext()


def open_keyboard(environment: Environment, *, asks_background: bool = True) -> Keyboard:
    """The keyboard of this terminal. `asks_background`: whether the terminal's colour matters."""
    variables = environment.variables
    if sys.platform == "win32" or not environment.stdin_is_terminal:
        return BareKeyboard(background=guess(variables))
    from llamachat.ui.tty import TerminalKeyboard  # noqa: PLC0415  not on Windows

    screen = sys.stdout if environment.stdout_is_terminal else environment.stderr
    return TerminalKeyboard(
        environment.stdin,
        screen,
        term=variables.get("TERM", ""),
        background=guess(variables),
        asks_background=asks_background and not environment.wants_plain and can_be_asked(variables),
    )
