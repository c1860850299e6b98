"""The line editor: a prompt with history, several lines, and a toolbar."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import WordCompleter
from prompt_toolkit.history import FileHistory
from prompt_toolkit.input import Input
from prompt_toolkit.output import Output, create_output
from prompt_toolkit.styles import Style

from llamachat.ui.keys import bindings

_STYLE = Style.from_dict({"prompt": "bold ansicyan", "bottom-toolbar": "noreverse ansibrightblack"})
_NO_STYLE = Style.from_dict({"bottom-toolbar": "noreverse"})


class Prompt:
    """Reads one message at a time."""

    def __init__(
        self,
        *,
        history: Path,
        toolbar: Callable[[], str],
        completions: Callable[[], list[str]],
        plain: bool,
        colour: bool,
        terminal_input: Input | None = None,
        terminal_output: Output | None = None,
    ) -> None:
        self._label = "You: " if plain else "› "
        self._session: PromptSession[str] = PromptSession(
            history=FileHistory(str(history)),
            key_bindings=bindings(),
            multiline=True,
            prompt_continuation=" " * len(self._label),
            bottom_toolbar=None if plain else toolbar,
            completer=WordCompleter(completions, sentence=True),
            complete_while_typing=False,
            style=_STYLE if colour else _NO_STYLE,
            include_default_pygments_style=False,
            input=terminal_input,
            output=terminal_output or create_output(always_prefer_tty=True),
        )

    def read(self, draft: str = "") -> str:
        """The next message. Raises KeyboardInterrupt (Ctrl-C) and EOFError (Ctrl-D at an empty prompt)."""
        return self._session.prompt([("class:prompt", self._label)], default=draft)

    def redraw(self) -> None:
        """Draw the toolbar anew. Callable from any thread."""
        self._session.app.invalidate()
