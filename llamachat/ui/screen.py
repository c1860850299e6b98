"""What the REPL shows: answers on stdout, everything else on stderr.

What an answer or a table needs is imported when there is one: the first prompt does not wait for it.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress

from llamachat.chat.events import Event, NotSummarised, Summarised, Summarising
from llamachat.engine.base import Delta, Loading, Notice, Reading, Waiting
from llamachat.environment import Environment
from llamachat.ui.answer import AnswerWriter, Rendering
from llamachat.ui.sanitise import sanitise
from llamachat.ui.status import Status
from llamachat.ui.theme import Look, Theme

_BELLS = {"ring": "\a", "notify": "\x1b]9;llamachat: the answer is there\a"}


class Screen:
    """The terminal of a chat. `plain` says roles in words, repaints nothing and uses no colour."""

    def __init__(
        self, environment: Environment, theme: Callable[[], Theme], *, quiet: bool, plain: bool, raw: bool
    ) -> None:
        self.raw = raw
        self.opens_thought: Callable[[], bool] = lambda: False  # whether the answer that comes begins inside a thought
        self.theme = theme
        self._environment = environment
        self._plain = plain
        self._status = Status(environment, quiet=quiet, plain=plain)

    @property
    def columns(self) -> int:
        return self._environment.columns

    def line(self, text: str, look: Look | None = None) -> None:
        """A line of ours, wrapped at spaces."""
        self._status.clear()
        looks = [look] if look and self._environment.stderr_is_terminal else []
        for line in sanitise(text).split("\n"):
            for part in textwrap.wrap(line, self.columns, break_long_words=False, break_on_hyphens=False) or [""]:
                self.write(f"{self.theme().paint(part, *looks)}\n")

    def table(self, rows: Iterable[tuple[str, ...]]) -> None:
        """Names and what they mean, wrapped to the terminal."""
        from rich.console import Console  # noqa: PLC0415
        from rich.table import Table  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        colour = self._environment.wants_colour and not self._plain
        table = Table.grid(padding=(0, 2))
        for name, *rest in rows:
            table.add_row(Text(sanitise(name), style="bold"), *(Text(sanitise(cell)) for cell in rest))
        Console(
            file=self._environment.stderr, no_color=not colour, color_system="auto" if colour else None,
            highlight=False, width=self.columns,
        ).print(table)  # fmt: skip

    def spans(self, spans: Iterable[tuple[str, tuple[Look, ...]]]) -> None:
        """Running text of ours in several looks, wrapped at spaces."""
        from llamachat.ui.markdown.wrap import Wrapper  # noqa: PLC0415

        self._status.clear()
        lines = _Lines(self)
        wrapper = Wrapper(lines, self.theme().paint if self._environment.stderr_is_terminal else _unpainted)
        for text, looks in spans:
            first, *rest = sanitise(text).expandtabs().split("\n")
            wrapper.put(first, looks)
            for line in rest:
                wrapper.end()
                lines.end_line()
                wrapper.put(line, looks)
        wrapper.end()
        lines.end_line()

    def sign(self, text: str) -> None:
        """A sign of life, while nothing else is to be shown yet; what is shown next takes it away."""
        self._status.show(text)

    def answer_text(self, text: str, *, opens_thought: bool = False) -> None:
        """A text shown the way an answer is."""
        writer = AnswerWriter(self._environment, self._rendering(lambda: opens_thought), self._status.clear)
        writer.write(text)
        writer.end()

    @contextmanager
    def answering(self, before: str = "") -> Iterator[AnswerView]:
        """Between the question and the next prompt. `before` is what the answer said already, which goes on."""
        rendering = self._rendering(self.opens_thought)
        rendering.feed(before)  # for what is open there: a code block, a list
        writer = AnswerWriter(self._environment, rendering, self._status.clear)
        view = AnswerView(writer, self._status, self.line, plain=self._plain)
        self._status.begin()
        try:
            yield view
        finally:
            view.end()

    def gap(self) -> None:
        """A blank line after an answer, on a terminal; in plain words the answer's end is said."""
        if self._plain:
            self._status.line("(End of the answer.)")
        elif self._environment.stdout_is_terminal:
            self.line("")

    def ring(self, bell: str) -> None:
        """Tell of an answer's end: `ring`, or `notify` the desktop by OSC 9; nothing where that is no terminal's."""
        if self._environment.stderr_is_terminal and bell in _BELLS:
            self.write(_BELLS["ring"] if self._plain else _BELLS[bell])

    def write(self, sequence: str) -> None:
        """Text or an escape sequence of ours, on stderr."""
        with suppress(OSError):  # nobody to tell that nothing can be told
            self._environment.stderr.write(sequence)
            self._environment.stderr.flush()

    def _rendering(self, opens_thought: Callable[[], bool]) -> Rendering:
        from llamachat.ui.formatted import make_rendering  # noqa: PLC0415

        return make_rendering(
            self._environment,
            self.theme(),
            self._status,
            raw=self.raw or self._plain,
            hint="/thoughts shows them",
            opens_thought=opens_thought,
        )


class _Lines:
    """Lines of running text on a screen."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._is_open = False

    def open_line(self) -> int:
        if self._is_open:
            self.end_line()
        self._is_open = True
        return self._screen.columns

    def write(self, text: str) -> None:
        self._screen.write(text)

    def end_line(self) -> None:
        self._is_open = False
        self._screen.write("\n")


def _unpainted(text: str, *_: Look) -> str:
    return text


class AnswerView:
    """One answer as it comes."""

    def __init__(self, writer: AnswerWriter, status: Status, say: Callable[[str, Look], None], *, plain: bool) -> None:
        self._writer = writer
        self._status = status
        self._say = say
        self._plain = plain
        self._begun = False

    def show(self, event: Event) -> None:
        match event:
            case Loading() | Reading():
                self._status.progress(event)
            case Waiting():
                self._status.wait(event, self._writer.break_line)
            case Notice():
                self._writer.break_line()
                self._status.notice(event.text)
            case Summarising():
                self._status.show(event.text)
            case Summarised():
                self._say(f"{event.line}:\n{event.text}\n", Look.DIM)
            case NotSummarised():
                self._status.notice(event.line)
            case Delta():
                self._write(event.text)

    def _write(self, text: str) -> None:
        if not self._begun and self._plain:
            self._status.line("Assistant:")
        self._begun = True
        self._writer.write(text)

    def end(self) -> None:
        self._status.clear()
        if self._begun:
            self._writer.end()
