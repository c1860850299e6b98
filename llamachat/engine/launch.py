"""Starts the engine's process. Imports next to nothing: it is called before the command line is understood,
so that the child loads llama.cpp meanwhile.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Protocol

WORKER = (sys.executable, "-P", "-m", "llamachat.engine")
_FOREIGN = ("OMP_", "GOMP_", "KMP_")  # a user's OpenMP settings can make decoding 3 times slower
_LOG_BYTES = 1 << 20


def launch(log: Path, command: Sequence[str] = WORKER) -> subprocess.Popen[bytes]:
    """A child with pipes for frames, its stderr in `log`, whose path is added to `command`. It waits for a Load.

    Where the log cannot be written, what native code says is lost; a chat is not.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    environment["GGML_NO_BACKTRACE"] = "1"  # it would start a debugger, which prints for seconds
    place, stderr = _open_log(log)
    with stderr:
        return subprocess.Popen(
            [*command, place], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, env=environment
        )


class Child(Protocol):
    """An engine as llamachat has it: a pipe of frames, and its end."""

    @property
    def pid(self) -> int: ...

    def send(self, data: bytes) -> None:
        """Raises OSError or ValueError when it is gone."""
        ...

    def read(self, size: int) -> bytes:
        """Some bytes, none at the end."""
        ...

    def end_input(self) -> None:
        """Nothing more is sent: it ends."""
        ...

    def close(self) -> None:
        """Nothing more is sent or read."""
        ...

    def kill(self) -> None: ...

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, when it has ended. Raises subprocess.TimeoutExpired."""
        ...

    def let_go(self) -> None:
        """It outlives us: from now on it is neither killed nor waited for."""
        ...


class ChildProcess:
    """A `Child` that `launch` started."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self.pid = process.pid
        self._process = process
        self._stdin, self._stdout = process.stdin, process.stdout

    def send(self, data: bytes) -> None:
        self._stdin.write(data)
        self._stdin.flush()

    def read(self, size: int) -> bytes:
        return os.read(self._stdout.fileno(), size)

    def end_input(self) -> None:
        with suppress(OSError):
            self._stdin.close()

    def close(self) -> None:
        self._stdout.close()
        self.end_input()

    def kill(self) -> None:
        self._process.kill()

    def wait(self, timeout: float | None = None) -> int:
        return self._process.wait(timeout)

    def let_go(self) -> None:
        self._process.returncode = 0  # what Popen takes for a process that has ended


def discard(child: subprocess.Popen[bytes]) -> None:
    """End a child at once, if it is still there, and close its pipes."""
    child.kill()
    child.wait()
    for pipe in (child.stdin, child.stdout):
        if pipe is not None:
            with suppress(OSError):
                pipe.close()


def _open_log(path: Path) -> tuple[str, IO[bytes]]:
    """The log, or else nowhere; for appending, readable by its owner alone, begun anew when it has grown large."""
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        too_large = path.exists() and path.stat().st_size > _LOG_BYTES
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | (os.O_TRUNC if too_large else 0)
        return str(path), os.fdopen(os.open(path, flags, 0o600), "ab")
    return os.devnull, Path(os.devnull).open("ab")
