"""Where a new prompt is the old one with ranges cut out, so that what follows them need not be evaluated again.

Only lists of token ids: no llama.cpp.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

SEAM = 16  # tokens that may differ at a cut: where Llama 2's system prompt moves, the first pieces of a text change
_RUN = 16  # tokens that have to be the same for a block to be one
_CUT = 16  # tokens that have to be gone: a prompt whose beginning changed a little is not one with a cut
_CANDIDATES = 64  # places looked at; a text that repeats itself has many


@dataclass(frozen=True, slots=True)
class Block:
    """Tokens that stand at `source` in the old list and at `target`, which is before it, in the new one."""

    source: int
    target: int
    length: int

    @property
    def end(self) -> int:
        """Behind its last token in the new list."""
        return self.target + self.length


def find_cuts(known: Sequence[int], wanted: Sequence[int]) -> list[Block]:
    """The blocks of `wanted` that stand further back in `known`, in order; none where it is not worth it.

    Before each block `wanted` may have up to `SEAM` tokens of its own. The last token is in no block: it has to
    be evaluated for its logits.
    """
    old, new = _Tokens(known), _Tokens(wanted[:-1])
    start = old.common(0, new, 0)
    source, target = start, start
    blocks: list[Block] = []
    while block := _next_block(old, new, source, target):
        blocks.append(block)
        source, target = block.source + block.length, block.end
    return blocks


def _next_block(old: _Tokens, new: _Tokens, source: int, target: int) -> Block | None:
    """The first block from these places on."""
    for start in range(target, min(target + SEAM, len(new.ids) - _RUN) + 1):
        places = old.find(new.ids[start : start + _RUN], max(source, start + _CUT))
        found = [Block(place, start, old.common(place, new, start)) for place in places]
        if found:
            return max(found, key=lambda block: block.length)
    return None


class _Tokens:
    """Token ids that are searched and compared at the speed of bytes."""

    def __init__(self, ids: Sequence[int]) -> None:
        self.ids = array("i", ids)
        self._bytes = self.ids.tobytes()

    def find(self, run: array[int], start: int) -> Iterator[int]:
        """The places of a run of ids from `start` on, the first of them."""
        size, needle = self.ids.itemsize, run.tobytes()
        place, n_found = self._bytes.find(needle, start * size), 0
        while place >= 0 and n_found < _CANDIDATES:
            if place % size == 0:
                yield place // size
                n_found += 1
            place = self._bytes.find(needle, place + 1)

    def common(self, start: int, other: _Tokens, other_start: int) -> int:
        """How many ids from these places on are the same."""
        longest = min(len(self.ids) - start, len(other.ids) - other_start)
        low, high = 0, longest + 1  # the first `low` are the same, the first `high` are not
        while high - low > 1:
            middle = (low + high) // 2
            same = self.ids[start : start + middle] == other.ids[other_start : other_start + middle]
            low, high = (middle, high) if same else (low, middle)
        return low
