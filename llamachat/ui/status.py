"""What is said beside the answer, on stderr: progress, notices, statistics."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress

from llamachat.engine.base import Finished, Loading, Reading, Waiting
from llamachat.environment import Environment
from llamachat.ui.sanitise import sanitise, sanitise_line

_PATIENCE = 0.4  # seconds before a sign of life is worth showing
_LONG_WAIT = 10.0  # for another llamachat, worth a line where none moves
_ERASE_LINE = "\r\x1b[K"


class Status:
    """Lines on stderr, and one line of progress that leaves no trace.

    Progress moves only on a terminal that may be repainted, and only after a moment: most answers need none. It
    never fills the terminal's width: a line that wraps could not be taken away.
    """

    def __init__(self, environment: Environment, *, quiet: bool, plain: bool) -> None:
        self._environment = environment
        self._stderr = environment.stderr
        self._quiet = quiet
        self._moves = environment.stderr_is_terminal and not (quiet or plain or environment.wants_plain)
        self._started = time.monotonic()
        self._reading_from: tuple[float, int] | None = None  # when so many tokens were read
        self._has_told_wait = False
        self._lock = threading.Lock()
        self._latest = ""  # sign of life, shown or waiting for its moment
        self._timer: threading.Timer | None = None
        self._shown = False

    def begin(self) -> None:
        """Waiting begins now: perhaps for a batch that is under way, of which nothing can be told."""
        self._started = time.monotonic()
        self._reading_from = None
        self._has_told_wait = False
        self.show("reading…")

    def progress(self, event: Loading | Reading) -> None:
        """How far the engine has got, by its own count."""
        rate = ""
        if isinstance(event, Reading):
            since, before = self._reading_from = self._reading_from or (time.monotonic(), event.done)
            seconds = time.monotonic() - since
            rate = f", {(event.done - before) / seconds:,.0f}/s" if event.done > before and seconds > _PATIENCE else ""
        if event.total:
            what = "loading the model" if isinstance(event, Loading) else f"reading {event.total:,} tokens"
            self.show(f"{what}… {100 * event.done // event.total} %{rate}")

    def wait(self, event: Waiting, before: Callable[[], None] = lambda: None) -> None:
        """Another llamachat has the cores. `before` is called if a terminal is told, perhaps amid an answer."""
        self._reading_from = None
        if self._moves:
            before()
            self.show(f"waiting for another llamachat… {event.seconds:.0f} s")
        elif event.seconds >= _LONG_WAIT and not (self._quiet or self._has_told_wait):
            self._has_told_wait = True
            if self._environment.stderr_is_terminal:
                before()
            self.notice("waiting for another llamachat, which has the processor.")

    def show(self, text: str) -> None:
        """A sign of life, in place of the last. One that comes too early waits: the next may take long."""
        if not self._moves:
            return
        with self._lock:
            self._latest = sanitise_line(text)
            early = self._started + _PATIENCE - time.monotonic()
            if early > 0 and self._timer is None:
                self._timer = threading.Timer(early, self._show_latest)
                self._timer.daemon = True
                self._timer.start()
        if early <= 0:
            self._show_latest()

    def _show_latest(self) -> None:
        with self._lock:
            if self._latest:
                self._print(f"{_ERASE_LINE}{self._latest[: self._environment.columns - 1]}")
                self._shown = True

    def clear(self) -> None:
        """Take the progress away: something else follows."""
        with self._lock:
            self._latest = ""
            if self._timer:
                self._timer.cancel()
                self._timer = None
            if self._shown:
                self._print(_ERASE_LINE)
                self._shown = False

    def notice(self, text: str) -> None:
        """One line the user should know of, unless they asked for quiet."""
        if not self._quiet:
            self.line(f"llamachat: {sanitise_line(text)}")

    def line(self, text: str) -> None:
        self.clear()
        for line in sanitise(text).split("\n"):
            self._print(f"{self._wrapped(line)}\n")

    def _wrapped(self, line: str) -> str:
        """At spaces, on a terminal."""
        if not self._environment.stderr_is_terminal or len(line) < self._environment.columns:
            return line
        import textwrap  # noqa: PLC0415  4 ms that short lines do not need

        return "\n".join(textwrap.wrap(line, self._environment.columns, break_long_words=False, break_on_hyphens=False))

    def _print(self, text: str) -> None:
        with suppress(OSError):  # nobody to tell that nothing can be told
            self._stderr.write(text)
            self._stderr.flush()


def statistics(finished: Finished) -> str:
    """Tokens, speed and context of an answer, in a line."""
    usage, timings, context = finished.usage, finished.timings, finished.context
    n_evaluated = usage.prompt_tokens - usage.reused_tokens
    read_rate = f", {n_evaluated / timings.prefill:,.0f}/s" if timings.prefill and n_evaluated else ""
    write_rate = f" ({usage.completion_tokens / timings.decode:,.1f}/s)" if timings.decode else ""
    draft = finished.draft
    drafted = f" · {draft.accepted:,} of {draft.proposed:,} guesses right" if draft and draft.proposed else ""
    first = f" · first {timings.first_token:.2f} s" if timings.first_token is not None else ""
    return (
        f"{usage.prompt_tokens:,} read ({usage.reused_tokens:,} reused{read_rate}) · "
        f"{usage.completion_tokens:,} written{write_rate}{drafted}{first} · "
        f"context {context.used:,}/{context.size:,} · seed {finished.seed}"
    )
