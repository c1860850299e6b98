"""The first entries of a GGUF file's header: what a model is, without loading it.

Format: the GGUF specification in ggml's docs/gguf.md. Little-endian: magic, version, counts, then
key-value pairs, of which writers put `general.*` first and the vocabulary's long arrays later.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from llamachat.errors import ModelError

_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
_VERSIONS = (2, 3)
_LONGEST_STRING = 1 << 20
_MOST_ENTRIES = 64  # of the header, looked at


@dataclass(frozen=True, slots=True)
class Header:
    """What the leading entries say. `file_type` is llama.cpp's number for the quantisation."""

    architecture: str = ""
    name: str = ""
    file_type: int = -1


def read_header(path: Path) -> Header:
    """The header's leading entries. Raises ModelError when this is no readable GGUF."""
    try:
        with path.open("rb") as file:
            entries = _entries(file)
    except FileNotFoundError as error:
        raise ModelError(f"there is no file {path}.", "Check the path given with -m.") from error
    except IsADirectoryError as error:
        raise ModelError(f"{path} is a folder, not a model file.", "Name the .gguf file in it.") from error
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}.", "Check its permissions.") from error
    except (struct.error, UnicodeDecodeError, ValueError) as error:
        raise ModelError(f"{path.name} is not a usable GGUF file: {error}.", "Download it again.") from error
    file_type = entries.get("general.file_type", -1)
    return Header(
        architecture=str(entries.get("general.architecture", "")),
        name=str(entries.get("general.name", "")),
        file_type=file_type if isinstance(file_type, int) else -1,
    )


def _entries(file: BinaryIO) -> dict[str, str | float | int]:
    """Key-value pairs up to the first array."""
    magic, version = file.read(4), file.read(4)
    if magic != b"GGUF":
        raise ValueError("it does not begin with GGUF, the mark of llama.cpp's model files")
    if (number := struct.unpack("<I", version)[0]) not in _VERSIONS:
        raise ValueError(f"version {number} of the format; llama.cpp reads 2 and 3")
    _, n_entries = struct.unpack("<QQ", file.read(16))
    found: dict[str, str | float | int] = {}
    for _ in range(min(n_entries, _MOST_ENTRIES)):
        key = _string(file)
        (kind,) = struct.unpack("<I", file.read(4))
        if kind == _ARRAY:
            break
        found[key] = _string(file) if kind == _STRING else _scalar(file, kind)
    return found


def _string(file: BinaryIO) -> str:
    (length,) = struct.unpack("<Q", file.read(8))
    if length > _LONGEST_STRING:
        raise ValueError(f"a text of {length:,} bytes in its header")
    return file.read(length).decode("utf-8")


def _scalar(file: BinaryIO, kind: int) -> float | int:
    if kind not in _SCALARS:
        raise ValueError(f"a value of unknown type {kind} in its header")
    layout = struct.Struct("<" + _SCALARS[kind])
    value: float | int = layout.unpack(file.read(layout.size))[0]
    return value
