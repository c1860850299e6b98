"""What the REPL shows: answers on stdout, everything else, by Rich, on stderr."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.table import Table
from rich.text import Text

from llamachat.engine.base import Delta, Event, Loading, Notice, Reading
from llamachat.environment import Environment
from llamachat.ui.answer import AnswerWriter
from llamachat.ui.sanitise import sanitise
from llamachat.ui.status import Status


class Screen:
    """The terminal of a chat. `plain` says roles in words, repaints nothing and uses no colour."""

    def __init__(self, environment: Environment, *, quiet: bool, plain: bool) -> None:
        self._environment = environment
        self._plain = plain
        self._status = Status(environment, quiet=quiet, plain=plain)
        colour = environment.wants_colour and not plain
        self._console = Console(
            file=environment.stderr, no_color=not colour, color_system="auto" if colour else None, highlight=False
        )

    def line(self, text: str, style: str = "") -> None:
        """A line of ours; `style` is Rich's: dim, bold, red."""
        self._status.clear()
        self._console.print(Text(sanitise(text), style=style))

    def table(self, rows: Iterable[tuple[str, str]]) -> None:
        """Names and what they mean, wrapped to the terminal."""
        table = Table.grid(padding=(0, 2))
        for name, meaning in rows:
            table.add_row(Text(sanitise(name), style="bold"), Text(sanitise(meaning)))
        self._console.print(table)

    @contextmanager
    def answering(self) -> Iterator[AnswerView]:
        """Between the question and the next prompt."""
        view = AnswerView(self._environment, self._status, plain=self._plain)
        self._status.begin()
        try:
            yield view
        finally:
            view.end()

    def gap(self) -> None:
        """A blank line after an answer, on a terminal; in plain words the next role is enough."""
        if not self._plain and self._environment.stdout_is_terminal:
            self._console.print()


class AnswerView:
    """One answer as it comes."""

    def __init__(self, environment: Environment, status: Status, *, plain: bool) -> None:
        self._status = status
        self._plain = plain
        self._writer = AnswerWriter(environment)
        self._begun = False

    def show(self, event: Event) -> None:
        match event:
            case Loading() | Reading():
                self._status.progress(event)
            case Notice():
                self._writer.break_line()
                self._status.notice(event.text)
            case Delta():
                self._write(event.text)

    def _write(self, text: str) -> None:
        self._status.clear()
        if not self._begun and self._plain:
            self._status.line("Assistant:")
        self._begun = True
        self._writer.write(text)

    def end(self) -> None:
        self._status.clear()
        if self._begun:
            self._writer.end()
