"""One sequence of tokens and its KV cache.

The caller hands over the whole prompt; the session keeps the longest prefix that it has evaluated
already and evaluates the rest. Turns, retries, edits and continued answers are all this one operation.
Where turns have left the prompt, what follows them can be moved instead. Several continuations of a prompt can grow
side by side; the next prompt takes up the one that it has in it. Whatever interrupts it, `tokens` mirrors the KV
cache exactly.
"""

from __future__ import annotations

import ctypes
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from llamachat.errors import ContextOverflow
from llamachat.llama import kv
from llamachat.llama.batches import Batch
from llamachat.llama.branches import Branches
from llamachat.llama.cuts import SEAM, Block, find_cuts
from llamachat.llama.lib import AbortFlag, C

_SEQUENCE, _ASIDE, _BRANCH = 0, 1, 2  # the session's tokens, where blocks wait while they are moved, the first branch
MOST_AT_ONCE = 16  # tokens of one `extend`
N_SEQUENCES = 2  # besides branches: what the context has to be made for, with one KV cache for all of them
_ABORTED, _NO_ROOM = 2, 1  # what llama_decode returns besides 0 and negative errors

OnProgress = Callable[[int, int], None]


class Aborted(Exception):
    """The abort flag was raised while tokens were evaluated. What was evaluated before stays."""


class DecodeFault(RuntimeError):
    """llama_decode failed. The KV cache was cleared."""


@dataclass(frozen=True, slots=True)
class _Plan:
    """What of the cache a prompt reuses: leading tokens, and blocks that stand further back."""

    n_prefix: int
    blocks: Sequence[Block]

    @property
    def n_reused(self) -> int:
        return self.n_prefix + sum(block.length for block in self.blocks)


class Session:
    """The KV cache of a llama.cpp context, which it owns.

    `chunk` is the number of tokens of one evaluation during prefill. It is also the grid of an exact
    `sync`: llama.cpp's logits depend (in the last bits) on how tokens were batched, so the same prompt
    gives the same logits only when it was cut in the same places. `limit` is the context in tokens, which
    llama.cpp rounds up. `can_shift`: the keys in the cache can be moved to other positions. `n_branches`: how many
    the context was made for. `tile`: tokens that its kernels evaluate as one; what is left over, they take singly.
    """

    def __init__(
        self, context: Any, chunk: int, abort: AbortFlag, limit: int, *,
        can_shift: bool = False, n_branches: int = 0, tile: int = 1,
    ) -> None:  # fmt: skip
        self.context = context
        self.n_ctx: int = min(limit, C.llama_n_ctx(context))
        self.chunk = chunk
        self.tokens: list[int] = []
        self.abort = abort
        self._memory = C.llama_get_memory(context)
        self.can_shift = can_shift
        self._tile = tile
        self._branches = Branches(self._memory, _SEQUENCE, _BRANCH, n_branches)
        self._n_on_grid = 0  # leading tokens that were evaluated as whole chunks of the grid
        self._n_pure: int | None = None  # leading tokens before the first that a shift concerns; None: all are
        self._hears_abort = True
        self._one = (ctypes.c_int32 * 1)()
        self._batch_of_one = C.llama_batch_get_one(self._one, 1)
        self._several = Batch(MOST_AT_ONCE)
        C.llama_set_abort_callback(context, abort.callback, abort.data)

    def close(self) -> None:
        self._branches.free()
        self._several.free()
        C.llama_free(self.context)

    @property
    def n_free(self) -> int:
        """Tokens that still fit."""
        return self.n_ctx - len(self.tokens) - self._branches.n_tokens

    @property
    def most_branches(self) -> int:
        return self._branches.most

    @property
    def branches(self) -> tuple[tuple[int, ...], ...]:
        """What each branch has beyond `tokens`."""
        return tuple(map(tuple, self._branches.tokens))

    @property
    def n_on_grid(self) -> int:
        """Leading tokens that were evaluated in whole chunks of the grid."""
        return self._n_on_grid

    @property
    def is_pure(self) -> bool:
        """Whether the cache is what evaluating `tokens` would make of it: nothing in it has been moved."""
        return self._n_pure is None

    def sync(
        self,
        tokens: Sequence[int],
        *,
        exact: bool = False,
        shift: bool = False,
        on_progress: OnProgress | None = None,
    ) -> int:
        """Make the KV cache hold `tokens`, with the logits of the last one ready; returns how many were reused.

        With `exact`, the logits do not depend on what was in the cache: only whole chunks of the grid are
        reused. With `shift`, what stands further back in the cache may be moved to where it is wanted: keys and
        values keep a trace of the tokens that stood before them. `on_progress(done, total)` is called before the first
        chunk and after each, counting the tokens to evaluate.
        Raises ContextOverflow when they don't fit with room for one more, Aborted, DecodeFault.
        """
        if len(tokens) >= self.n_ctx:
            raise ContextOverflow(len(tokens), self.n_ctx)
        if self.abort:
            raise Aborted
        plan = self._settle_branches(tokens, exact=exact, shift=shift and self.can_shift and not exact)
        if plan.blocks:
            self._move(plan.blocks, tokens, plan.n_prefix)
            n_reused = plan.n_reused
        else:
            n_again = 0 if exact else self._worth_again(plan.n_prefix, len(tokens))
            self._truncate(plan.n_prefix - n_again)
            n_reused = len(self.tokens)
        self._evaluate(tokens, len(tokens) - n_reused, on_progress)
        return n_reused

    def reusable(self, tokens: Sequence[int], *, exact: bool = False) -> int:
        """How many leading tokens a `sync` would not evaluate, branches aside. At least one is, for its logits."""
        return self._reusable(self.tokens, tokens, exact=exact)

    def settle(self, tokens: Sequence[int], *, exact: bool = False) -> int:
        """Forget what a `sync` with these tokens would not reuse, as it would do first; returns what is left."""
        self._truncate(self._settle_branches(tokens, exact=exact, shift=False).n_prefix)
        return len(self.tokens)

    def read(self, start: int, end: int) -> Any:
        """A copy of the KV of these tokens, for a `write` in this or another process. The cache is pure."""
        return kv.read(self.context, _SEQUENCE, _ASIDE, start, end)

    def write(self, tokens: Sequence[int], state: memoryview, n_used: int, *, on_grid: bool) -> bool:
        """Go on with the first `n_used` of these tokens, by a copy of their KV. False: it is not theirs or not right.

        `on_grid`: they were evaluated in a whole chunk of the grid, which is in the next `sync`.
        """
        start = len(self.tokens)
        if not kv.write(self.context, _SEQUENCE, _ASIDE, state, start, start + len(tokens), start + n_used):
            return False
        self.tokens += tokens[:n_used]
        if on_grid and start == self._n_on_grid:
            self._n_on_grid += n_used
        return True

    def branch(self, count: int) -> None:
        """Let so many continuations begin here, all of them empty. They stay until the next `sync`."""
        self._branches.open(count)

    def grow(self, tokens: Mapping[int, int]) -> None:
        """Evaluate one more token of each of these branches, in one batch: row i of the logits is the i-th's.

        Raises Aborted, and all are as before, or DecodeFault; needs room (`n_free`) for all.
        """
        self._run(self._branches.batch(tokens, len(self.tokens)))
        self._branches.add(tokens)

    def append(self, token: int) -> None:
        """Evaluate one more token. Raises Aborted or DecodeFault; needs room (`n_free`)."""
        self._one[0] = token
        self._decode(self._batch_of_one, (token,))

    def extend(self, tokens: Sequence[int]) -> None:
        """Evaluate up to MOST_AT_ONCE more tokens, each with its logits: row i is that of the i-th.

        Raises Aborted, and all is as before, or DecodeFault; needs room (`n_free`) for all.
        """
        start = len(self.tokens)
        self._run(self._several.fill((token, start + index, _SEQUENCE) for index, token in enumerate(tokens)))
        self.tokens += tokens

    def keep(self, length: int) -> None:
        """Forget what stands behind so many tokens. Only for a model that can forget a part."""
        self._truncate(length)

    def _reusable(self, known: Sequence[int], tokens: Sequence[int], *, exact: bool) -> int:
        """How many leading tokens need not be evaluated where the cache holds `known`."""
        n_common = min(common_prefix(known, tokens), len(tokens) - 1)
        return min(n_common, self._n_on_grid) // self.chunk * self.chunk if exact else n_common

    def _worth_again(self, n_known: int, n_tokens: int) -> int:
        """How many known tokens are better evaluated once more: those that make whole tiles, where few are lacking."""
        n_lacking = -(n_tokens - n_known) % self._tile
        return n_lacking if n_lacking < self._tile / 4 and n_lacking <= n_known else 0

    def _settle_branches(self, tokens: Sequence[int], *, exact: bool, shift: bool) -> _Plan:
        """End the branches; the one of which most can be reused for these tokens is taken up first."""
        plans = []
        for branch in ([], *self._branches.tokens):
            known = [*self.tokens, *branch]
            plans.append(_Plan(self._reusable(known, tokens, exact=exact), find_cuts(known, tokens) if shift else []))
        best = max(range(len(plans)), key=lambda index: plans[index].n_reused)
        if best:
            self.tokens += self._branches.take_up(best - 1, len(self.tokens))
        else:
            self._branches.close()
        return plans[best]

    def _evaluate(self, tokens: Sequence[int], total: int = 0, on_progress: OnProgress | None = None) -> None:
        """Evaluate what of `tokens` comes after those that the cache holds, the last of `total` to evaluate."""
        report = on_progress or (lambda _done, _total: None)
        buffer = (ctypes.c_int32 * len(tokens)).from_buffer(array("i", tokens))
        report(total - (len(tokens) - len(self.tokens)), total)
        while (start := len(self.tokens)) < len(tokens):
            count = min(self.chunk, len(tokens) - start)
            self._decode(_batch(buffer, start, count), tokens[start : start + count])
            report(total - (len(tokens) - start - count), total)

    def _move(self, blocks: Sequence[Block], tokens: Sequence[int], n_prefix: int) -> None:
        """Make the cache hold `tokens` up to the end of the last block or a little further.

        llama.cpp wants the positions of a sequence to grow without gaps, so the blocks wait in another sequence of
        the same cache, where they are moved, until what stands before them has been evaluated. The keys themselves are
        turned in the first decode after that. An abort of that one would leave some layers turned and others not.
        """
        memory = self._memory
        for block in blocks:
            C.llama_memory_seq_cp(memory, _SEQUENCE, _ASIDE, block.source, block.source + block.length)
        self._truncate(n_prefix)
        self._n_pure = n_prefix if self._n_pure is None else self._n_pure
        for block in blocks:
            end = block.source + block.length
            C.llama_memory_seq_add(memory, _ASIDE, block.source, end, block.target - block.source)
        with self._deaf_to_abort():
            try:
                for block in blocks:
                    self._evaluate(tokens[: block.target])
                    C.llama_memory_seq_cp(memory, _ASIDE, _SEQUENCE, block.target, block.end)
                    self.tokens += tokens[block.target : block.end]
            finally:
                C.llama_memory_seq_rm(memory, _ASIDE, -1, -1)
            if len(self.tokens) == n_prefix + sum(block.length for block in blocks):  # no decode yet
                self._evaluate(tokens[: len(self.tokens) + SEAM])

    @contextmanager
    def _deaf_to_abort(self) -> Iterator[None]:
        self._hears_abort = False
        C.llama_set_abort_callback(self.context, C.ggml_abort_callback(), None)
        try:
            yield
        finally:
            C.llama_set_abort_callback(self.context, self.abort.callback, self.abort.data)
            self._hears_abort = True

    def _decode(self, batch: Any, tokens: Sequence[int]) -> None:
        self._run(batch)
        start = len(self.tokens)
        self.tokens += tokens
        if start == self._n_on_grid and start % self.chunk == 0 and len(tokens) == self.chunk:
            self._n_on_grid += self.chunk

    def _run(self, batch: Any) -> None:
        """Evaluate a batch. Raises Aborted, with nothing of it in the cache, and DecodeFault."""
        # Backends without an abort callback (CUDA) see the flag between batches only.
        status = _ABORTED if self._hears_abort and self.abort else C.llama_decode(self.context, batch)
        if status == 0:
            return
        if status == _ABORTED:
            if C.llama_memory_seq_rm(self._memory, _SEQUENCE, len(self.tokens), -1):
                self._branches.forget_unfinished(len(self.tokens))
            else:
                self._clear()  # a recurrent model's state is somewhere in the batch
            raise Aborted
        self._clear()
        reason = "the KV cache has no room" if status == _NO_ROOM else f"llama_decode returned {status}"
        raise DecodeFault(reason)

    def _truncate(self, length: int) -> None:
        """Forget everything from position `length` on."""
        if length < len(self.tokens) or length == 0:
            if not C.llama_memory_seq_rm(self._memory, _SEQUENCE, length, -1):
                self._clear()  # recurrent models cannot forget a part
                return
            del self.tokens[length:]
        self._n_on_grid = min(self._n_on_grid, length // self.chunk * self.chunk)
        if self._n_pure is not None and length <= self._n_pure:
            self._n_pure = None

    def forget(self) -> None:
        """Forget all, so that nothing of it is left in memory."""
        self._clear(overwrite=True)

    def _clear(self, *, overwrite: bool = False) -> None:
        self._branches.close()
        C.llama_memory_clear(self._memory, overwrite)
        self.tokens.clear()
        self._n_on_grid, self._n_pure = 0, None


def common_prefix(known: Sequence[int], wanted: Sequence[int]) -> int:
    """Length of the longest common prefix."""
    for index, (left, right) in enumerate(zip(known, wanted, strict=False)):
        if left != right:
            return index
    return min(len(known), len(wanted))


def _batch(buffer: Any, start: int, count: int) -> Any:
    pointer = ctypes.cast(ctypes.byref(buffer, start * ctypes.sizeof(ctypes.c_int32)), C.llama_token_p)
    return C.llama_batch_get_one(pointer, count)
