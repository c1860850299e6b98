"""A batch in which every token has logits: several sequences, or guesses that are to be checked."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from llamachat.llama.lib import C


class Batch:
    """llama.cpp's structure, with room for `most` tokens. It owns it."""

    def __init__(self, most: int) -> None:
        self._batch = C.llama_batch_init(most, 0, 1)

    def free(self) -> None:
        C.llama_batch_free(self._batch)

    def fill(self, rows: Iterable[tuple[int, int, int]]) -> Any:
        """The batch with these tokens, each with its position and sequence: row i of the logits is the i-th's."""
        batch = self._batch
        batch.n_tokens = 0
        for row, (token, position, sequence) in enumerate(rows):
            batch.token[row] = token
            batch.pos[row] = position
            batch.n_seq_id[row] = 1
            batch.seq_id[row][0] = sequence
            batch.logits[row] = True
            batch.n_tokens = row + 1
        return batch
