"""The bytes of a header, read forward and within limits, and the scalar types that they encode.

Knows what a string is, and not what it is for.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from typing import BinaryIO

from llamachat.models.gguf.unusable import RESUME, Unusable

U16, U32, I32, F32, STRING, ARRAY, U64, I64 = 2, 4, 5, 6, 8, 9, 10, 11
LAYOUTS = {
    kind: Struct(f"<{letter}")
    for kind, letter in enumerate(("B", "b", "H", "h", "I", "i", "f", "?", "", "", "Q", "q", "d"))
    if letter
}

MOST_HEADER_BYTES = 1 << 27  # the longest known have 20 MB, of 262,144 tokens and 514,906 merges
_LONGEST_STRING = 1 << 24
_BLOCK_BYTES = 1 << 16


class Reader:
    """The bytes of a stream from its start, read as the walk needs them, and kept; `at` is where the walk is.

    Not a memory map: when another process cuts the file short, that ends ours with SIGBUS. `place` is for messages.
    """

    def __init__(self, stream: BinaryIO, most_bytes: int = MOST_HEADER_BYTES) -> None:
        self.stream = stream
        self.most_bytes = most_bytes
        self.data = b""
        self.at = 0
        self.place = "counts"

    def peek(self, n_bytes: int) -> bytes:
        """As many of the next bytes as there are."""
        blocks, length = [self.data], len(self.data)
        while length < self.at + n_bytes:
            block = self.stream.read(max(_BLOCK_BYTES, length))
            if not block:
                break
            blocks.append(block)
            length += len(block)
        if len(blocks) > 1:
            self.data = b"".join(blocks)
        return self.data[self.at : self.at + n_bytes]

    def skip(self, n_bytes: int) -> int:
        """Go past these bytes, which are in `data` then. Returns where."""
        start, self.at = self.at, self._end_of(n_bytes)
        return start

    def scalar(self, kind: int) -> bool | int | float:
        layout = LAYOUTS[kind]
        start = self.skip(layout.size)  # may replace `data`
        value: bool | int | float = layout.unpack_from(self.data, start)[0]
        return value

    def number(self, kind: int) -> int:
        return int(self.scalar(kind))

    def string(self) -> bytes:
        n_bytes = self.number(U64)
        if n_bytes > _LONGEST_STRING:
            raise Unusable(f"has a text of {n_bytes:,} bytes in its header ({self.place})")
        start = self.skip(n_bytes)
        return self.data[start : self.at]

    def strings(self, count: int) -> Iterator[bytes]:
        """The inlined loop over what `string` does: a vocabulary has 100,000 of them."""
        data, size, length_at = self.data, len(self.data), LAYOUTS[U64].unpack_from
        for _ in range(count):
            start = self.at + 8
            if start <= size and (end := start + length_at(data, self.at)[0]) <= size:
                self.at = end
                yield data[start:end]
            else:
                yield self.string()
                data, size = self.data, len(self.data)

    def _end_of(self, n_bytes: int) -> int:
        """Have the next `n_bytes` in `data`. Returns where they end."""
        end = self.at + n_bytes
        if end <= len(self.data):
            return end
        if end > self.most_bytes:
            raise Unusable(f"has more than {self.most_bytes >> 20} MiB of header, up to its {self.place}")
        self.peek(n_bytes)
        if end > len(self.data):
            size = f"{len(self.data):,} bytes"
            raise Unusable(f"is incomplete: it ends after {size}, inside its GGUF header ({self.place})", RESUME)
        return end
