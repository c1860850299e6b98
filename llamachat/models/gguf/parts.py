"""The files of a model, one or those of a split: each one's header, its length, and where its tensors' data is.

Knows the names that llama.cpp's gguf-split gives them.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

from llamachat.models.gguf.metadata import Metadata, read_all
from llamachat.models.gguf.reader import U16, U32, Reader
from llamachat.models.gguf.tensors import Tensor, read_tensors
from llamachat.models.gguf.unusable import RESUME, Unusable, and_more, one_line, opened

_NAME = r"(?s:(?P<stem>.*)-\d{5}-of-(?P<count>\d{5})\.gguf)"
_DEFAULT_ALIGNMENT, _LARGEST_ALIGNMENT = 32, 1 << 20


class Part(NamedTuple):
    """A file's header, and how long the file is in bytes."""

    path: Path
    metadata: Metadata
    tensors: tuple[Tensor, ...]
    data_offset: int
    n_bytes: int


def read_part(path: Path) -> Part:
    """The whole header, well formed. Raises ModelError."""
    with opened(path) as file:
        reader = Reader(file)
        metadata = read_all(reader)
        alignment = _alignment(metadata)
        tensors = tuple(read_tensors(reader, metadata.n_tensors))
        return Part(path, metadata, tensors, _padded(reader.at, alignment), os.fstat(file.fileno()).st_size)


def check_is_first(part: Part) -> None:
    """A model in several files is loaded by its first."""
    number, count = _split(part.metadata)
    if count and number >= count:
        raise Unusable(f"claims to be part {number + 1:,} of {count:,}")
    if number:
        name = re.fullmatch(_NAME, part.path.name)
        first = f"{name['stem']}-00001-of-{name['count']}.gguf" if name else "the one of part 1"
        raise Unusable(f"is part {number + 1} of {count}", f"Name the first file: {one_line(first)}.")


def other_parts(first: Path, count: int) -> list[Path]:
    """The files that follow the first of a split model. Raises Unusable unless all are there."""
    if count < 2:
        return []
    name, ending = re.fullmatch(_NAME, first.name), f"-00001-of-{count:05}.gguf"
    if not name or not first.name.endswith(ending):
        raise Unusable(f"is part 1 of {count} by another name", f"Its name must end in {ending}.")
    others = [first.with_name(f"{name['stem']}-{number:05}-of-{count:05}.gguf") for number in range(2, count + 1)]
    missing = [part.name for part in others if not part.exists()]
    if missing:
        raise Unusable(f"lacks its other parts: there is no {one_line(missing[0])}{and_more(missing)}", RESUME)
    return others


def check_part(part: Part, number: int, count: int) -> None:
    """That this file is the part its name says, and holds all of its tensors' data."""
    if count > 1 and (said := _split(part.metadata)) != (number, count):
        raise Unusable(f"claims to be part {said[0] + 1:,} of {said[1]:,}, and is used as {number + 1}")
    alignment = _alignment(part.metadata)
    end = 0
    for tensor in part.tensors:
        _check_offset(tensor, _padded(end, alignment), alignment)
        end = tensor.offset + tensor.n_bytes
    whole = part.data_offset + end
    if part.tensors and part.n_bytes < whole:
        raise Unusable(f"is incomplete: it has {_share(part.n_bytes, whole)}", RESUME)


def _split(metadata: Metadata) -> tuple[int, int]:
    """Which part this is, from 0, and of how many."""
    return metadata.of_width("split.no", U16), metadata.of_width("split.count", U16)


def _alignment(metadata: Metadata) -> int:
    """What tensors' offsets are multiples of, in bytes."""
    alignment = metadata.of_width("general.alignment", U32, _DEFAULT_ALIGNMENT, most=1 << 32)
    if not alignment or alignment & (alignment - 1) or alignment > _LARGEST_ALIGNMENT:
        raise Unusable(f"aligns its tensors to {alignment:,} bytes, which is no usable power of two")
    return alignment


def _check_offset(tensor: Tensor, expected: int, alignment: int) -> None:
    """ggml wants each tensor's data right after the last one's."""
    where = f"has the data of {one_line(tensor.name)} at {tensor.offset:,}"
    if tensor.offset % alignment:
        raise Unusable(f"{where}, which is no multiple of {alignment}")
    if tensor.offset < expected:
        raise Unusable(f"{where}, which overlaps the data before it")
    if tensor.offset > expected:
        raise Unusable(f"{where}, where {expected:,} was to be expected")


def _padded(n_bytes: int, alignment: int) -> int:
    return -(-n_bytes // alignment) * alignment


def _share(n_bytes: int, whole: int) -> str:
    """`1.2 of 4.1 GB`; to the byte where that would read like everything."""
    have, of = _size(n_bytes), _size(whole)
    if have == of:
        return f"{n_bytes:,} of {whole:,} bytes"
    number, unit = have.split()
    return f"{number if of.endswith(f' {unit}') else have} of {of}"


def _size(n_bytes: int) -> str:
    for unit, name in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if n_bytes >= unit:
            return f"{n_bytes / unit:,.1f} {name}"
    return f"{n_bytes:,} bytes"
