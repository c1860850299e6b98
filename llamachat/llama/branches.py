"""Several continuations of one prompt: sequences that share its cells in the KV cache.

A cell of a unified cache belongs to any number of sequences, so branching copies nothing, and what the branches have
of their own fills the same cache.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llamachat.llama.batches import Batch
from llamachat.llama.lib import C


class Branches:
    """Continuations of a sequence (`trunk`), which stays as it is while there are any. They are numbered from 0.

    `tokens` are what each has beyond the trunk. `first` is llama.cpp's id of the first one's sequence, `most` how many
    there may be. It owns a batch.
    """

    def __init__(self, memory: Any, trunk: int, first: int, most: int) -> None:
        self.most = most
        self.tokens: list[list[int]] = []
        self._memory = memory
        self._trunk = trunk
        self._first = first
        self._batch = Batch(max(1, most))

    def free(self) -> None:
        self._batch.free()

    @property
    def n_tokens(self) -> int:
        """Of all branches together."""
        return sum(map(len, self.tokens))

    def open(self, count: int) -> None:
        """So many branches, in place of those that were there."""
        self.close()
        self.tokens = [[] for _ in range(count)]
        for index in range(count):
            C.llama_memory_seq_cp(self._memory, self._trunk, self._first + index, -1, -1)

    def close(self) -> None:
        """Forget all branches; the trunk stays."""
        for index in range(len(self.tokens)):
            C.llama_memory_seq_rm(self._memory, self._first + index, -1, -1)
        self.tokens.clear()

    def take_up(self, index: int, n_trunk: int) -> list[int]:
        """Lengthen the trunk, which has `n_trunk` tokens, by a branch, and forget all branches; what it was."""
        taken = self.tokens[index]
        C.llama_memory_seq_cp(self._memory, self._first + index, self._trunk, n_trunk, n_trunk + len(taken))
        self.close()
        return taken

    def batch(self, tokens: Mapping[int, int], n_trunk: int) -> Any:
        """One more token of each of these branches, each with logits; row i is that of the i-th."""
        return self._batch.fill(
            (token, n_trunk + len(self.tokens[index]), self._first + index) for index, token in tokens.items()
        )

    def add(self, tokens: Mapping[int, int]) -> None:
        """These have been evaluated."""
        for index, token in tokens.items():
            self.tokens[index].append(token)

    def forget_unfinished(self, n_trunk: int) -> None:
        """Take out of the cache what a batch that was aborted has left there."""
        for index, branch in enumerate(self.tokens):
            C.llama_memory_seq_rm(self._memory, self._first + index, n_trunk + len(branch), -1)
