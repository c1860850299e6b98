"""A request on its way to the engine: what is sent for it, and which of its answers have not ended."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import asdict

import msgspec

from llamachat.engine.base import Request
from llamachat.engine.protocol import Done, Frame, MeasureDone, RenderDone, Reply, TokenizeDone, TuneDone
from llamachat.types import ContextUse, FinishReason, ModelInfo, Sampling, Timings, Usage

_N_SEEDS = 0xFFFFFFFF  # 32 bits, but for the value that llama.cpp takes for "choose one"


def seeds_of(request: Request) -> tuple[int, ...]:
    """For each answer one: from the seed asked for, or any, upwards."""
    first = int.from_bytes(os.urandom(4)) if request.seed is None else request.seed
    return tuple((first + index) % _N_SEEDS for index in range(request.n))


def reply_frame(number: int, request: Request, seeds: tuple[int, ...], info: ModelInfo) -> Reply:
    """What the engine is sent; where the request says nothing of sampling, with what the model brings along."""
    return Reply(
        id=number,
        messages=request.messages,
        sampling=msgspec.convert({**asdict(info.sampling), **request.sampling}, Sampling, strict=False),
        seeds=seeds,
        exact=request.seed is not None,
        max_tokens=request.max_tokens,
        stops=request.stops,
        open_answer=request.open_answer,
        raw_tags=request.raw_tags,
        shift=request.shift,
        owner=request.owner,
        speculate=request.speculate,
    )


class UnderWay:
    """A request that was sent: which of its answers have not ended."""

    def __init__(self, number: int, n_answers: int) -> None:
        self._number = number
        self._open = set(range(n_answers))

    def is_over_with(self, frame: Frame) -> bool:
        """Whether this is the last frame for the request."""
        if isinstance(frame, Done):
            self._open.discard(frame.index)
            return not self._open
        return isinstance(frame, RenderDone | MeasureDone | TokenizeDone | TuneDone)

    def interrupted(self) -> Iterator[Done]:
        """The ends of those answers whose engine was killed."""
        for index in sorted(self._open):
            yield Done(self._number, FinishReason.INTERRUPTED, None, Usage(), Timings(), ContextUse(0, 0), index)
