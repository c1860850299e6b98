"""The measuring: llamachat's engine and the raw loop do the same in turns, depth by depth.

They take turns at going first, so that neither has the quieter half of a minute. Where memory does not hold the model
twice, the raw loop does everything after the engine has gone.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from llamachat.bench.plan import (
    N_QUESTION,
    N_WARM_UP_READ,
    N_WARM_UP_WRITE,
    Pace,
    context_for,
    deepest_of,
    depths,
    seconds_for,
    sizes,
)
from llamachat.bench.prompts import Prompts
from llamachat.bench.values import Kind, Measurement, Results, Sample, Yardstick
from llamachat.engine.base import Engine, Event, Finished, Request
from llamachat.errors import EngineDied, UsageError
from llamachat.types import ModelInfo


@dataclass(frozen=True, slots=True)
class Wish:
    """What is wanted. Without `depths`, those that the context has and the `seconds` allow."""

    depths: tuple[int, ...] = ()
    is_quick: bool = False
    seconds: float = 300.0


class Rounds:
    """One run. `results` and `skipped`, depths for which there was no time, are true at any moment.

    `on_event` hears the engine's events, `on_step` what is being done.
    """

    def __init__(
        self, engine: Engine, wish: Wish, on_event: Callable[[Event], None], on_step: Callable[[str], None]
    ) -> None:
        """Load the model, warm up, and decide what is measured. Raises UsageError for a depth that has no room."""
        self.results = Results()
        self.skipped: tuple[int, ...] = ()
        self._engine = engine
        self._wish = wish
        self._on_event = on_event
        self._on_step = on_step
        self._serials = itertools.count(1)
        for event in engine.wait_until_loaded():
            on_event(event)
        self._started: float = time.monotonic()
        on_step("warming up")
        self._prompts = Prompts(engine)
        self.pace = Pace.of(self._ask(self._prompts.request(0, N_WARM_UP_READ, N_WARM_UP_WRITE, next(self._serials))))
        self.sizes = sizes(self.pace, self.info.n_ctx, is_quick=wish.is_quick)
        self._depths = wish.depths or depths(self.info.n_ctx, self.sizes)
        self._check_depths()

    @property
    def info(self) -> ModelInfo:
        """The model, which is loaded."""
        assert self._engine.info is not None
        return self._engine.info

    @property
    def raw_context(self) -> int:
        """The context in tokens that the raw loop needs."""
        return context_for(self._depths[-1], self.sizes)

    @property
    def seconds_left(self) -> float:
        return self._started + self._wish.seconds - time.monotonic()

    def run(self, raw: Yardstick | None) -> None:
        """Measure at every depth; without `raw` llamachat alone, for `catch_up`."""
        before = 0
        for index, depth in enumerate(self._depths):
            needed = seconds_for(depth, before, self.sizes, self.pace)
            if depth and not self._wish.depths and needed > self.seconds_left:
                self.skipped = self._depths[index:]
                return
            for turn, measurement in enumerate(self._measurements(depth)):
                self.results.measurements.append(measurement)
                raw_first = turn % 4 in (1, 2)
                if raw and raw_first:
                    measurement.raw = raw.measure(measurement.tokens, measurement.n_write)
                measurement.ours = self._ask(measurement.request)
                if raw and not raw_first:
                    measurement.raw = raw.measure(measurement.tokens, measurement.n_write)
            before = depth
            self.pace = self._pace_at(depth)

    def catch_up(self, raw: Yardstick) -> None:
        """Have the raw loop do all that llamachat has done."""
        for measurement in self.results.measurements:
            self._on_step(f"raw llama.cpp, depth {measurement.depth:,}")
            measurement.raw = raw.measure(measurement.tokens, measurement.n_write)

    def _check_depths(self) -> None:
        deepest = deepest_of(self.info.n_ctx, self.sizes)
        if self._depths[-1] > deepest:
            raise UsageError(
                f"--depth {self._depths[-1]} leaves no room to measure in a context of {self.info.n_ctx:,} tokens.",
                f"The deepest here: --depth {deepest}",
            )

    def _measurements(self, depth: int) -> Iterator[Measurement]:
        """In order; the first reads the beginning that all others find in the cache."""
        sizes = self.sizes
        self._on_step(f"depth {depth:,}: reading what comes before")
        yield self._measurement(depth, Kind.ANSWER, is_warm_up=True)
        for number in range(1, sizes.n_rounds + 1):
            if number > 1 and not self._wish.depths and self.seconds_left < 0:
                return
            self._on_step(f"depth {depth:,}, round {number} of {sizes.n_rounds}")
            yield self._measurement(depth, Kind.ANSWER)
            yield self._measurement(depth, Kind.READ)

    def _measurement(self, depth: int, kind: Kind, *, is_warm_up: bool = False) -> Measurement:
        answers = kind is Kind.ANSWER
        n_tokens, n_write = (N_QUESTION, self.sizes.n_write) if answers else (self.sizes.n_read, 1)
        request = self._prompts.request(depth, n_tokens, n_write, next(self._serials))
        return Measurement(depth, kind, request, self._engine.render(request).tokens, n_write, is_warm_up)

    def _pace_at(self, depth: int) -> Pace:
        """Of llamachat, as measured there; the one before where it was not."""
        point = next((each for each in self.results.points() if each.depth == depth), None)
        if point is None or point.prefill is None or point.decode is None:
            return self.pace
        return Pace(1 / point.prefill.ours, 1 / point.decode.ours)

    def _ask(self, request: Request) -> Sample:
        finished: Finished | None = None
        for event in self._engine.reply(request):
            self._on_event(event)
            if isinstance(event, Finished):
                finished = event
        if finished is None:
            raise EngineDied("the engine gave no answer to measure.")
        usage, timings = finished.usage, finished.timings
        return Sample(
            n_reused=usage.reused_tokens,
            n_read=usage.prompt_tokens - usage.reused_tokens,
            n_written=usage.completion_tokens,
            prefill=timings.prefill,
            decode=timings.decode,
            first_token=timings.first_token,
        )
