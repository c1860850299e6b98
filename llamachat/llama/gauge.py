"""Times decode and prefill of a loaded model, in a context of its own beside the chat's, on tokens that say nothing."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Iterable
from functools import partial
from itertools import pairwise
from statistics import median
from types import TracebackType
from typing import Any, Self

from llamachat.llama.knobs import Knobs
from llamachat.llama.lib import AbortFlag, C
from llamachat.llama.model import Model
from llamachat.llama.session import Session

_KV_BYTES = 512 << 20  # of the context: made, filled and freed in a fraction of a second
_DEEPEST = 1024  # tokens before those that are timed: as far into a conversation as most get
_SHALLOWEST = 128
_SEED = 16  # tokens that are evaluated to fill the cache: copies of them stand behind
_N_DECODED = 5  # tokens of one timing: their median forgives two that were disturbed
_N_READ = 256
_CELL = 3  # numbers of a cell in llama.cpp's state: position, how many sequences, which


class Gauge:
    """A context with these knobs, filled to a depth. Entering it takes a moment, and each timing another one.

    After Aborted it is as before.
    """

    def __init__(self, model: Model, knobs: Knobs, abort: AbortFlag) -> None:
        """Raises ModelError without memory, Aborted."""
        self.n_read = _n_read(model)
        self.depth = _depth(model)
        n_tokens = self.depth + self.n_read + _N_DECODED
        self._tokens = _noise(n_tokens, model.vocabulary.n_tokens)
        self._n_threads = 0
        self._session = model.session(n_tokens + 1, abort, knobs)
        try:
            _fill(self._session, self._tokens[: self.depth])
        except BaseException:
            self._session.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.close()

    def decode(self, n_threads: int) -> float:
        """Seconds a token, behind all that the context holds. Raises Aborted."""
        self._use(n_threads)
        tokens = self._tokens[self.depth : self.depth + _N_DECODED]
        return median(self._timed(partial(self._session.append, token) for token in tokens))

    def prefill(self, n_threads: int, chunk: int, n_tokens: int | None = None) -> float:
        """Seconds a token, of a prompt that comes behind all that the context holds. Raises Aborted.

        So many tokens of it, at most as many as the context takes.
        """
        count = min(n_tokens or self.n_read, self.n_read)
        self._use(n_threads)
        self._session.chunk = chunk
        prompt = self._tokens[: self.depth + count]
        [seconds] = self._timed([partial(self._session.sync, prompt)])
        return seconds / count

    def _use(self, n_threads: int) -> None:
        if n_threads != self._n_threads:  # llama.cpp logs each call
            C.llama_set_n_threads(self._session.context, n_threads, n_threads)
            self._n_threads = n_threads

    def _timed(self, steps: Iterable[Callable[[], Any]]) -> list[float]:
        """Seconds of each; what they put into the context is taken out again."""
        times = [time.perf_counter()]
        try:
            for step in steps:
                step()
                times.append(time.perf_counter())
        finally:
            self._session.keep(self.depth)
        return [after - before for before, after in pairwise(times)]


def kv_bytes(model: Model) -> int:
    """Bytes of the cache of a gauge of this model."""
    return (_depth(model) + _n_read(model) + _N_DECODED) * model.kv_bytes_per_token


def _n_read(model: Model) -> int:
    return min(_N_READ, model.n_ctx_train // 2)


def _depth(model: Model) -> int:
    room = min(_KV_BYTES // max(1, model.kv_bytes_per_token), model.n_ctx_train) - _n_read(model) - _N_DECODED
    return max(_SHALLOWEST, min(_DEEPEST, room)) // _SEED * _SEED


def _noise(count: int, n_vocab: int) -> list[int]:
    """Tokens of text, in no order, and none twice in a row."""
    first = min(300, n_vocab // 2)  # control tokens and bytes stand before
    return [first + (index * 7919) % (n_vocab - first) for index in range(count)]


def _fill(session: Session, tokens: list[int]) -> None:
    """Make the cache hold these: a few are evaluated, and copied to the places of the others.

    What attention costs hangs on how many cells there are, not on what is in them.
    """
    session.sync(tokens[:_SEED])
    state = bytes(session.read(0, _SEED))
    first = _cells(state)
    while first and len(session.tokens) < len(tokens):
        start = len(session.tokens)
        moved = bytearray(state)
        for index in range(_SEED):
            struct.pack_into("=i", moved, first + 4 * _CELL * index, start + index)
        if not session.write(tokens[start : start + _SEED], memoryview(moved), _SEED, on_grid=False):
            break
    session.sync(tokens)  # what could not be copied; else the last token alone


def _cells(state: bytes) -> int | None:
    """Where the positions begin in the state of `_SEED` tokens from 0; None if it looks otherwise."""
    for place in range(0, 64, 4):
        head = struct.unpack_from(f"={1 + _CELL * _SEED}i", state, place)
        if head[0] == _SEED and head[1::_CELL] == tuple(range(_SEED)):
            return place + 4
    return None
