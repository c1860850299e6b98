"""How a download goes, on stderr: a bar that moves on a terminal, a line for each tenth elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from llamachat.environment import Environment
from llamachat.models.sizes import size_in_words
from llamachat.models.transfer import Progress
from llamachat.ui.sanitise import sanitise_line

if TYPE_CHECKING:
    from rich.progress import Progress as Bars

_LONGEST_NAME = 28


@contextmanager
def progress(environment: Environment, name: str, *, quiet: bool, plain: bool) -> Iterator[Progress]:
    """What is shown while a file is fetched."""
    if quiet:
        yield _Silent()
    elif environment.stderr_is_terminal and not plain and not environment.wants_plain:
        with _bar(environment, name) as bar:
            yield bar
    else:
        yield _Lines(environment, name)


class _Silent:
    """Nothing but the waiting."""

    def moved(self, done: int, total: int) -> None:
        pass

    def checking(self, done: int, total: int) -> None:
        pass

    def note(self, text: str) -> None:
        pass

    def pause(self, seconds: float, why: str) -> None:  # noqa: ARG002
        time.sleep(seconds)


class _Lines:
    """A line for each tenth of the file."""

    def __init__(self, environment: Environment, name: str) -> None:
        self._stderr = environment.stderr
        self._name = name
        self._tenth = -1
        self._start: tuple[float, int] | None = None  # seconds, bytes

    def moved(self, done: int, total: int) -> None:
        now = time.monotonic()
        self._start = self._start or (now, done)
        tenth = 10 * done // max(1, total)
        if tenth != self._tenth:
            self._tenth = tenth
            rate = (done - self._start[1]) / max(1e-3, now - self._start[0])
            tempo = f", {rate / 1e6:,.1f} MB/s" if rate else ""
            self._line(f"{self._name}: {10 * tenth} % of {size_in_words(total)}{tempo}")

    def checking(self, done: int, total: int) -> None:
        if done == total:
            self._line(f"{self._name}: {size_in_words(total)} are there already; the rest follows.")

    def note(self, text: str) -> None:
        self._line(text)

    def pause(self, seconds: float, why: str) -> None:
        self._line(f"{why}; trying again in {seconds:,.0f} s.")
        time.sleep(seconds)

    def _line(self, text: str) -> None:
        print(f"llamachat: {sanitise_line(text)}", file=self._stderr, flush=True)


@contextmanager
def _bar(environment: Environment, name: str) -> Iterator[Progress]:
    """A line that is drawn anew four times a second and leaves no trace."""
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        DownloadColumn,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )
    from rich.progress import Progress as Bars  # noqa: PLC0415

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    console = Console(file=environment.stderr, no_color=not environment.wants_colour, highlight=False)
    with Bars(*columns, TimeRemainingColumn(), console=console, refresh_per_second=4, transient=True) as bars:
        yield _Bar(bars, _brief(sanitise_line(name)))


def _brief(name: str) -> str:
    """A name that leaves room for the numbers."""
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"


class _Bar:
    """Rich's progress, told in our words."""

    def __init__(self, bars: Bars, name: str) -> None:
        self._bars = bars
        self._name = name
        self._task = bars.add_task(name, total=None)

    def moved(self, done: int, total: int) -> None:
        self._show(self._name, done, total)

    def checking(self, done: int, total: int) -> None:
        self._show(f"{self._name} (reading what is there)", done, total)

    def note(self, text: str) -> None:
        self._bars.console.print(f"llamachat: {sanitise_line(text)}", markup=False)

    def pause(self, seconds: float, why: str) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._bars.update(self._task, description=f"{why}, again in {left:,.0f} s")
            time.sleep(min(1.0, left))
        self._bars.update(self._task, description=self._name)

    def _show(self, what: str, done: int, total: int) -> None:
        if self._bars.tasks[self._task].description != what:
            self._bars.reset(self._task, description=what, total=total, completed=done)
        self._bars.update(self._task, completed=done, total=total)
