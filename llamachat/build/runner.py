"""Long commands, with their output in a log and what a person should know of them on stderr."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol, TextIO

LOG_TAIL_LINES = 20
CANNOT_RUN = 127

_NINJA = re.compile(r"\s*\[\s*(\d+)/(\d+)\]")
_MAKE = re.compile(r"\s*\[\s*(\d+)%\]")


class StepFailed(Exception):
    """A step ended with an error, which stands at the end of the log; `hint` says what may mend it."""

    def __init__(self, title: str, log: Path, hint: str = "") -> None:
        super().__init__(title)
        self.title = title
        self.log = log
        self.hint = hint


class Runner(Protocol):
    """Runs the commands of an install and tells a person how they go."""

    @property
    def log(self) -> Path: ...

    def say(self, line: str) -> None: ...

    def run(self, title: str, command: Sequence[str], env: Mapping[str, str] | None = None) -> int:
        """Run `command` with `env` on top of the environment, output into `log`; return its exit status.

        That is 127 for one that cannot be run at all, and negative for one that a signal ended.
        """
        ...


def must(
    runner: Runner, title: str, command: Sequence[str], env: Mapping[str, str] | None = None, *, hint: str = ""
) -> None:
    """Run `command`; raise StepFailed with `hint` unless it succeeds."""
    if runner.run(title, command, env) != 0:
        raise StepFailed(title, runner.log, hint)


def guarded(out: TextIO, again: str, work: Callable[[], int]) -> int:
    """Do `work`; when it fails, say on `out` why and how to go on. Return the exit status."""
    try:
        return work()
    except StepFailed as failure:
        tail = failure.log.read_text(encoding="utf-8", errors="replace").rstrip().splitlines()[-LOG_TAIL_LINES:]
        lines = [f"  {failure.title} failed. Its output ends:", "", *(f"    {line}" for line in tail), ""]
        lines += [f"All of it: {failure.log}", *filter(None, [failure.hint]), f"When that is mended: {again}"]
        out.write("\n".join(lines) + "\n")
        return 1
    except OSError as error:
        out.write(f"{error}\nWhen that is mended: {again}\n")
        return 1
    except KeyboardInterrupt:
        out.write(f"Interrupted. To go on: {again}\n")
        return 130


class Progress:
    """How far a build is, from the lines of ninja or make in pip's log. Chunks may end anywhere."""

    def __init__(self) -> None:
        self.percent: int | None = None
        self._line = ""

    def feed(self, chunk: str) -> None:
        *lines, self._line = (self._line + chunk).replace("\r", "\n").split("\n")
        for line in lines:
            if ninja := _NINJA.match(line):
                done, total = map(int, ninja.groups())
                self.percent = 100 * done // max(total, 1)
            elif make := _MAKE.match(line):
                self.percent = int(make[1])


@dataclass(frozen=True)
class Pace:
    """Seconds: between looks at a command, between lines of it where none is rewritten, and until its end is told."""

    look: float = 0.25
    line: float = 15.0
    worth_a_line: float = 1.0


DEFAULT_PACE = Pace()


class LoggedRunner:
    """A Runner over real processes. They read nothing and write to the log, so that they outlive us if we are killed.

    `live` rewrites one line for each command; otherwise there is a line now and then, for a log or a
    screen reader. The descriptors in `keep_open` stay open in the commands (see `state.locked`).
    """

    def __init__(
        self, log: Path, out: TextIO, *, live: bool, keep_open: Sequence[int] = (), pace: Pace = DEFAULT_PACE
    ) -> None:
        self.log = log
        self._pace = pace
        self._out = out
        self._live = live
        self._keep_open = tuple(keep_open)
        log.write_bytes(b"")

    def say(self, line: str) -> None:
        self._out.write(line + "\n")
        self._out.flush()

    def run(self, title: str, command: Sequence[str], env: Mapping[str, str] | None = None) -> int:
        began = time.monotonic()
        with self.log.open("ab") as sink, self.log.open(encoding="utf-8", errors="replace") as source:
            sink.write(f"\n$ {shlex.join(command)}\n".encode())
            sink.flush()
            source.seek(0, os.SEEK_END)
            try:
                process = self._start(command, {**os.environ, **(env or {})}, sink)
            except OSError as error:
                sink.write(f"{error}\n".encode())
                return CANNOT_RUN
            try:
                status = self._watch(process, source, title, began)
            except BaseException:
                _end(process)
                raise
            finally:
                self._erase()
        seconds = time.monotonic() - began
        if status == 0 and seconds >= self._pace.worth_a_line:
            self.say(f"  {title}: done, {_minutes(seconds)}")
        return status

    def _start(self, command: Sequence[str], env: Mapping[str, str], sink: BinaryIO) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            env=env,
            pass_fds=self._keep_open if os.name == "posix" else (),
        )

    def _watch(self, process: subprocess.Popen[bytes], source: TextIO, title: str, began: float) -> int:
        progress = Progress()
        shown = began
        while True:
            with suppress(subprocess.TimeoutExpired):
                return process.wait(self._pace.look)
            progress.feed(source.read())
            now = time.monotonic()
            percent = "" if progress.percent is None else f" {progress.percent} %,"
            line = f"  {title}:{percent} {_minutes(now - began)}"
            if self._live:
                self._out.write(f"\r{line}\x1b[K")
                self._out.flush()
            elif now - shown >= self._pace.line:
                self.say(line)
                shown = now

    def _erase(self) -> None:
        if self._live:
            self._out.write("\r\x1b[K")


def is_live(out: TextIO, env: Mapping[str, str]) -> bool:
    """Say whether a line on `out` can be rewritten, and nobody asked us not to."""
    return out.isatty() and env.get("TERM") != "dumb" and not env.get("ACCESSIBLE")


def _minutes(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def _end(process: subprocess.Popen[bytes]) -> None:
    """Let a command that got the same Ctrl-C clean up after itself; end it if it doesn't."""
    with suppress(subprocess.TimeoutExpired):
        process.wait(5)
        return
    process.terminate()
    process.wait()
