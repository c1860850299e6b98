"""What was typed in sessions that are removed leaves the history of the prompt, too."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from llamachat.errors import StorageError
from llamachat.paths import replace_file


def forget(path: Path, messages: Collection[str]) -> None:
    """Take the entries out of the history file that were sent as these messages. Raises StorageError.

    What a terminal adds meanwhile stays. Where there is no room for another file, it is written in its place.
    """
    from llamachat.ui.history import without  # noqa: PLC0415  the line editor, 80 ms

    try:
        with path.open("rb") as file:
            data = file.read()
            kept = without(data, messages)
            if kept == data:
                return
            try:
                replace_file(path, kept)
            except StorageError:
                _overwrite(path, kept)
            else:
                _append(path, file.read())
    except FileNotFoundError:
        return
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror}.", "Check its permissions.") from error


def _overwrite(path: Path, data: bytes) -> None:
    with path.open("r+b") as file:
        file.write(data)
        file.truncate()


def _append(path: Path, data: bytes) -> None:
    if data:
        with path.open("ab") as file:
            file.write(data)
