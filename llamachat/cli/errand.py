"""How much a one-shot asks for, told before its input is read: loading begins at once, and may be done in two ways."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

from llamachat.choices import Choices
from llamachat.cli.options import ChatOptions
from llamachat.engine.tunings import Errand
from llamachat.environment import Environment

_BYTES_OF_TOKEN = 4
_PIPED = 2000  # bytes that a pipe is taken to bring


def errand_of(options: ChatOptions, choices: Choices, environment: Environment) -> Errand:
    """The same command on the same files is the same errand, whatever comes out of a pipe."""
    if options.dry_run:
        return Errand(0, 0)
    files = [*options.files, *([Path(options.messages)] if options.messages not in (None, "-") else [])]
    n_bytes = len(" ".join((choices.text("system") or "", *options.prompt))) + sum(map(_size, files))
    if not environment.stdin_is_terminal:
        n_bytes += _piped_bytes(environment)
    return Errand(n_bytes // _BYTES_OF_TOKEN, choices.whole("max_tokens"))


def _size(path: Path) -> int:
    """Bytes of a file; 0 for one that cannot be asked, which is refused when it is read."""
    with suppress(OSError):
        return path.stat().st_size
    return 0


def _piped_bytes(environment: Environment) -> int:
    """Bytes of the input: those of a file, and of a pipe a guess."""
    with suppress(OSError, ValueError):  # closed, or no file at all
        status = os.fstat(environment.stdin.fileno())
        if stat.S_ISREG(status.st_mode):
            return status.st_size
        if not stat.S_ISCHR(status.st_mode):  # as /dev/null is
            return _PIPED
    return 0
