"""The border at which what is wrong with a file becomes a ModelError, in one printable line that names the file.

The rest of the package raises Unusable and does not know the file's name. It shows names and values that come out of
a file by `one_line` and `shown`, since they may be hostile.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator, Sized
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from llamachat.errors import ModelError

PULL = "llamachat runs models in the GGUF format: llamachat pull downloads one."
AGAIN = "Download it again: llamachat pull."
RESUME = "llamachat pull resumes it."
CONVERT = "Look for its GGUF: llamachat pull downloads models in that format."
_CHECK_PATH = "Check the path given with -m."


class Unusable(Exception):
    """`reason` follows the file's name in a message; `hint` is the next thing to do."""

    def __init__(self, reason: str, hint: str = AGAIN) -> None:
        super().__init__(reason)
        self.reason = reason
        self.hint = hint


@contextmanager
def called(name: str) -> Iterator[None]:
    """What is unusable becomes a ModelError about the file of this name."""
    try:
        yield
    except Unusable as error:
        raise ModelError(f"{one_line(name)} {one_line(error.reason, 500)}.", error.hint) from error


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """The file, open; what the system or Unusable says of it as ModelError."""
    shown_path = one_line(str(path), 4096)
    try:
        _check_regular(path, shown_path)
        with path.open("rb") as file, called(path.name):
            yield file
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ModelError(f"there is no file {shown_path}.", _CHECK_PATH) from error
    except OSError as error:
        raise ModelError(f"{shown_path} cannot be read: {error.strerror}.", "Check its permissions.") from error


def one_line(name: str, limit: int = 255) -> str:
    """A name for a message, unquoted, without what could move the cursor."""
    return "".join(character if character.isprintable() else "?" for character in name[:limit])


def shown(value: object) -> str:
    """A value for a message: on one line, quoted if it is a text, and not too long of it."""
    if isinstance(value, str) and len(value) > 80:
        value = value[:79] + "…"
    return repr(value)


def and_more(things: Sized) -> str:
    """` and 3 more`, after the first of them."""
    return f" and {len(things) - 1} more" if len(things) > 1 else ""


def _check_regular(path: Path, shown_path: str) -> None:
    try:
        mode = path.stat().st_mode
    except ValueError as error:  # a zero byte in it
        raise ModelError(f"there is no file {shown_path}.", _CHECK_PATH) from error
    if stat.S_ISDIR(mode):
        raise ModelError(f"{shown_path} is a folder, not a model file.", "Name the .gguf file in it.")
    if not stat.S_ISREG(mode):  # a pipe would be waited for, and cannot be mapped into memory
        raise ModelError(f"{shown_path} is a pipe or a device, not a file.", "Save the model as a file first.")
