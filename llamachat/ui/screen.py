"""What the REPL shows: answers on stdout, everything else on stderr."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from llamachat.engine.base import Delta, Event, Loading, Notice, Reading
from llamachat.environment import Environment
from llamachat.ui.answer import AnswerWriter
from llamachat.ui.status import Status


class Screen:
    """The terminal of a chat. `plain` says roles in words and repaints nothing."""

    def __init__(self, environment: Environment, *, quiet: bool, plain: bool) -> None:
        self._environment = environment
        self._plain = plain
        self._status = Status(environment, quiet=quiet, plain=plain)

    def line(self, text: str) -> None:
        self._status.line(text)

    @contextmanager
    def answering(self) -> Iterator[AnswerView]:
        """Between the question and the next prompt."""
        view = AnswerView(self._environment, self._status, plain=self._plain)
        self._status.begin()
        try:
            yield view
        finally:
            view.end()


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
