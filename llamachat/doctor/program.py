"""llamachat itself, its Python, and the folders it writes to."""

from __future__ import annotations

import platform
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from llamachat import __version__
from llamachat.doctor.finding import Finding, could_be_better, fine
from llamachat.doctor.subject import Subject
from llamachat.errors import StorageError
from llamachat.paths import make_private_folder

_SECTION, _FOLDERS = "llamachat", "folders"
_PROBE = b"x" * 4096


def check(_subject: Subject) -> Iterator[Finding]:
    """Which llamachat this is, and what runs it."""
    system = f"{platform.system()} {platform.machine()}"
    yield fine(_SECTION, f"{__version__}, Python {platform.python_version()} on {system}, in {sys.prefix}")


def check_folders(subject: Subject) -> Iterator[Finding]:
    """Whether what a chat writes can be written, by writing. Without the first folder it does with less."""
    paths = subject.environment.paths
    try:
        _try(paths.state)
    except StorageError as error:
        text = f"{error.message.rstrip('.')}: no history of what was typed, no logs, no memory of crashes"
        yield could_be_better(_FOLDERS, text, error.hint)
        _try(paths.data)
    else:
        _try(paths.data)
        yield fine(_FOLDERS, f"{paths.data}, {paths.state} (logs: {paths.engine_log.name}, {paths.log.name})")


def _try(folder: Path) -> None:
    """Make it and write to it. Raises StorageError."""
    make_private_folder(folder)
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(_PROBE)
            file.flush()
    except OSError as error:
        raise StorageError(
            f"{folder} cannot be written: {error.strerror}.",
            "Check its permissions and its disk, or name another folder with LLAMACHAT_HOME.",
        ) from error
