"""A text file that a model is to read: what counts as text, and how much of it there may be."""

from __future__ import annotations

import codecs
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from llamachat.errors import UsageError

MOST_BYTES = 4 << 20  # a million tokens: more than any model's context
_SNIFFED_BYTES = 8192


@dataclass(frozen=True, slots=True)
class Document:
    """A file's text, and what the model is told it is called."""

    path: Path
    name: str
    text: str
    n_bytes: int


def read(path: Path, name: str) -> Document:
    """The file as text, without the line ends that end it. Raises UsageError, which names it."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe would make us wait, a device may never end
            raise UsageError(f"{name} is not a file.", "Attach a text file.")
        with path.open("rb") as file:
            data = read_limited(file, name, MOST_BYTES)
    except OSError as error:
        raise UsageError(f"{name} cannot be read: {error.strerror}.", "Check its path and its permissions.") from error
    return Document(path, name, decode(data, name).rstrip("\r\n"), len(data))


def read_limited(file: BinaryIO, source: str, most: int) -> bytes:
    """All there is, but no more than any context could hold: a device may never end. Raises UsageError."""
    data = file.read(most + 1)
    if len(data) > most:
        raise UsageError(f"{source} is larger than {most >> 20} MiB.", "No model's context holds so much.")
    return data


def decode(data: bytes, source: str) -> str:
    """UTF-8 text, a byte order mark left out. Raises UsageError for what is binary: NUL, or no UTF-8."""
    position = data.find(b"\0")
    if position < 0:
        try:
            return data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            position = error.start
    raise UsageError(f"{source} is binary (byte {position:,} is not UTF-8 text).", "llamachat reads UTF-8 text.")


def text_bytes(path: Path) -> int:
    """The size of a file that begins as text does; 0 for anything that is not to be read, or cannot be."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode) or not 0 < status.st_size <= MOST_BYTES:
            return 0
        with path.open("rb") as file:
            start = file.read(_SNIFFED_BYTES)
        codecs.getincrementaldecoder("utf-8")().decode(start)  # the last character may be cut
    except (OSError, UnicodeDecodeError):
        return 0
    return 0 if b"\0" in start else status.st_size
