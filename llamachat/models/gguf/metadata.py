"""The key-value pairs of a header, and their values by type.

Knows which keys hold the architecture and the tokens, and not what the others mean.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from llamachat.models.gguf.kinds import check_version, stranger
from llamachat.models.gguf.reader import ARRAY, LAYOUTS, MOST_HEADER_BYTES, STRING, U32, U64, Reader
from llamachat.models.gguf.unusable import Unusable, one_line, shown

ARCHITECTURE = "general.architecture"
TOKENS = "tokenizer.ggml.tokens"

_MAGIC = b"GGUF"
_MOST_ENTRIES = 1 << 20
_MOST_STRINGS = 1 << 22
_MOST_BY_LAYER = 1024
_LARGEST_NUMBER = (1 << 31) - 1


class Array(NamedTuple):
    """An array's elements: numbers as `data` encodes them; texts only of the tokens."""

    kind: int
    length: int
    data: bytes = b""
    texts: tuple[bytes, ...] = ()

    def numbers(self) -> tuple[bool | int | float, ...]:
        return tuple(number for (number,) in LAYOUTS[self.kind].iter_unpack(self.data))

    def __repr__(self) -> str:
        return f"an array of {self.length:,}"


class Metadata:
    """The key-value pairs. What reads a value raises Unusable when it is of another type."""

    def __init__(self) -> None:
        self.values: dict[str, bool | int | float | str | Array] = {}
        self.kinds: dict[str, int] = {}
        self.n_tensors = 0

    @property
    def architecture(self) -> str:
        return self.text(ARCHITECTURE)

    def own(self, key: str) -> str:
        """The architecture's own key: `block_count` is `llama.block_count`."""
        return f"{self.architecture}.{key}"

    def text(self, key: str) -> str:
        value = self.values.get(key, "")
        if not isinstance(value, str):
            raise self.wrong(key, "a text belongs")
        return value

    def integer(self, key: str, default: int = 0, most: int = _LARGEST_NUMBER) -> int:
        value = self.values.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.wrong(key, "a whole number belongs")
        if key in self.values and not 0 <= value <= most:
            raise Unusable(f"says {value:,} for {key}, where 0 to {most:,} are possible")
        return value

    def of_width(self, key: str, kind: int, default: int = 0, most: int = _LARGEST_NUMBER) -> int:
        """A number that llama.cpp aborts over when it is of another width."""
        if self.kinds.get(key, kind) != kind:
            raise self.wrong(key, f"a {LAYOUTS[kind].size * 8}-bit number belongs")
        return self.integer(key, default, most)

    def largest(self, key: str, default: int = 0) -> int:
        """Of a number that may differ from layer to layer, and then is an array."""
        value = self.values.get(key, default)
        if not isinstance(value, Array):
            return self.integer(key, default)
        numbers = value.numbers() if value.kind != STRING and value.length <= _MOST_BY_LAYER else ()
        if not numbers or not all(isinstance(number, int) and 0 <= number <= _LARGEST_NUMBER for number in numbers):
            raise self.wrong(key, "whole numbers belong, one to a layer")
        return int(max(numbers))

    def array(self, key: str, kinds: tuple[int, ...], what: str) -> Array | None:
        """The array, None if there is none; `what` its elements should be, for the message."""
        value = self.values.get(key)
        if value is None:
            return None
        if not isinstance(value, Array) or value.kind not in kinds:
            raise self.wrong(key, f"an array of {what} belongs")
        return value

    def wrong(self, key: str, where: str) -> Unusable:
        """The error for the value of this key, `where` another one belongs."""
        return Unusable(f"says {shown(self.values[key])} for {key}, where {where}")


def read_all(reader: Reader) -> Metadata:
    """All key-value pairs. The reader is left where the tensors' descriptions begin."""
    metadata = Metadata()
    deque(_entries(reader, metadata), maxlen=0)
    return metadata


def read_leading(reader: Reader) -> Metadata:
    """The key-value pairs up to the tokens; all of them when the dimensions come later."""
    metadata = Metadata()
    for key in _entries(reader, metadata):
        if key == TOKENS and metadata.own("block_count") in metadata.values:
            break
    return metadata


def _entries(reader: Reader, metadata: Metadata) -> Iterator[str]:
    """Put one key-value pair after another into `metadata`. Yields its key; the tokens' before reading their texts."""
    metadata.n_tensors, n_entries = _counts(reader)
    for index in range(n_entries):
        reader.place = f"entry {index + 1} of {n_entries}"
        key = reader.string().decode(errors="backslashreplace")
        if not key:
            raise Unusable(f"has an empty key in its header ({reader.place})")
        if key in metadata.values:
            raise Unusable(f"has the key {shown(key)} twice in its header")
        reader.place = one_line(key)
        kind = metadata.kinds[key] = reader.number(U32)
        if kind == ARRAY:
            yield from _array(reader, metadata, key)
        else:
            metadata.values[key] = _plain(reader, kind)
            yield key


def _counts(reader: Reader) -> tuple[int, int]:
    """How many tensors and key-value pairs there are. Raises Unusable when this is no GGUF."""
    if reader.peek(len(_MAGIC)) != _MAGIC:
        raise stranger(reader.peek(4096))
    reader.skip(len(_MAGIC))
    check_version(reader.number(U32))
    counts = reader.number(U64), reader.number(U64)
    for count, things in zip(counts, ("tensors", "entries in its header"), strict=True):
        if count > _MOST_ENTRIES:
            raise Unusable(f"claims {count:,} {things}")
    return counts


def _plain(reader: Reader, kind: int) -> bool | int | float | str:
    """A value that is no array."""
    if kind == STRING:
        return reader.string().decode(errors="backslashreplace")
    if kind not in LAYOUTS:
        raise Unusable(f"has a value of unknown type {kind} in its header ({reader.place})")
    return reader.scalar(kind)


def _array(reader: Reader, metadata: Metadata, key: str) -> Iterator[str]:
    """Put an array into `metadata`; the tokens first without their texts, for who wants only their number."""
    kind, count = reader.number(U32), reader.number(U64)
    if kind != STRING:
        metadata.values[key] = _numbers(reader, kind, count)
        yield key
        return
    if count > _MOST_STRINGS:
        raise Unusable(f"claims {count:,} texts in its header ({reader.place})")
    metadata.values[key] = Array(kind, count)
    yield key
    texts = reader.strings(count)
    if key == TOKENS:
        metadata.values[key] = Array(kind, count, texts=tuple(texts))
    else:
        deque(texts, maxlen=0)


def _numbers(reader: Reader, kind: int, count: int) -> Array:
    if kind not in LAYOUTS:
        raise Unusable(f"has an array of unknown type {kind} in its header ({reader.place})")
    n_bytes = count * LAYOUTS[kind].size
    if n_bytes > MOST_HEADER_BYTES:
        raise Unusable(f"claims {count:,} numbers in its header ({reader.place})")
    start = reader.skip(n_bytes)
    return Array(kind, count, reader.data[start : reader.at])
