"""One run of the benchmark from start to end: what is loaded when, and what is made of the figures."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from llamachat.bench.advice import advice
from llamachat.bench.bounds import Bounds, Weights, bounds
from llamachat.bench.report import Report
from llamachat.bench.rounds import Rounds, Wish
from llamachat.bench.trials import Trial, flash_depth, thread_counts, try_flash_attention, try_threads
from llamachat.bench.values import RawContext, RawModel, Setup
from llamachat.bench.yardstick import RawProcess
from llamachat.doctor import features
from llamachat.engine.base import Engine, Event
from llamachat.engine.ladder import Rung, apply
from llamachat.models import gguf, memory, plan
from llamachat.types import LoadOptions, ModelInfo

_TRIAL_SECONDS = 20.0  # that trying flash attention may take


class Run:
    """Measures with an engine that is not loaded yet. Leaving it ends the engine and the raw loop.

    `options` are the engine's, `rung` says what had to be switched off for it (known once it has answered). `raw`
    starts the raw loop, `copy` measures the memory. Ctrl-C may end `measure` at any moment, and `report` tells what was
    found by then.
    """

    def __init__(
        self,
        engine: Engine,
        options: LoadOptions,
        wish: Wish,
        *,
        rung: Callable[[], Rung],
        raw: Callable[[RawModel], RawProcess],
        on_event: Callable[[Event], None],
        on_step: Callable[[str], None],
        copy: Callable[[], float] = memory.measure_bandwidth,
    ) -> None:
        self._engine = engine
        self._options = options
        self._wish = wish
        self._rung = rung
        self._start_raw = raw
        self._on_event = on_event
        self._on_step = on_step
        self._measure_copy = copy
        self._raw: RawProcess | None = None
        self._rounds: Rounds | None = None
        self._info: ModelInfo | None = None
        self._takes_turns = True
        self._copy = 0.0
        self._trials: list[Trial] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._raw:
            self._raw.close()
        self._engine.close()

    def measure(self) -> None:
        """Everything, which takes minutes. Raises what the engine does, UsageError and EngineDied."""
        rounds = Rounds(self._engine, self._wish, self._on_event, self._on_step)
        self._rounds, self._info = rounds, rounds.info
        self._look_at_memory()
        context = RawContext(rounds.raw_context, self._info.n_threads, self._info.flash_attention, self._info.kv_type)
        self._takes_turns = self._fits_beside(context)
        if self._takes_turns:
            raw = self._open_raw(context)
            rounds.run(raw)
        else:
            rounds.run(None)
            self._engine.close()
            raw = self._open_raw(context)
            rounds.catch_up(raw)
        self._look_at_memory()
        if not self._wish.is_quick:
            self._try(raw, context, rounds)

    def report(self) -> Report | None:
        """What was found by now; None before anything was."""
        if self._rounds is None or self._info is None or not (points := self._rounds.results.points()):
            return None
        setup = _setup(self._info)
        found = self._bounds(self._rounds)
        gpus = [each.name for each in memory.look(Path(setup.path).parent).devices]
        said = advice(
            setup,
            points,
            unused=_unused(setup.build),
            gpus=gpus,
            rung=self._rung(),
            trials=self._trials,
            bounds=found,
        )
        return Report(
            setup, tuple(points), self._rounds.skipped, self._takes_turns, found, tuple(self._trials), tuple(said)
        )

    def _look_at_memory(self) -> None:
        """The best of all times: other programs only take away from it."""
        self._on_step("measuring memory")
        self._copy = max(self._copy, self._measure_copy())

    def _fits_beside(self, context: RawContext) -> bool:
        """Whether the raw loop has room while the engine holds the model, with two contexts."""
        geometry = plan.geometry_of(gguf.check(Path(self._options.path)).facts)
        if geometry is None or self._info is None:
            return False
        needed = memory.need(self._info.size_bytes, geometry, context.n_ctx, context.kv_type)
        machine = memory.look(Path(self._options.path).parent, gpus=self._info.n_gpu_layers > 0)
        return needed.total + needed.kv + needed.compute <= machine.room

    def _open_raw(self, context: RawContext) -> RawProcess:
        assert self._info is not None
        self._on_step("loading the model for the raw loop")
        options = apply(self._options, self._rung())
        wanted = RawModel(
            options.path, self._info.n_gpu_layers, use_amx=options.use_amx, use_extra_buffers=options.use_extra_buffers
        )
        self._raw = self._start_raw(wanted)
        self._raw.open("", context)
        return self._raw

    def _try(self, raw: RawProcess, context: RawContext, rounds: Rounds) -> None:
        """Other settings, where they are a choice on this machine."""
        assert self._info is not None
        if not self._info.n_gpu_layers:
            for count in thread_counts(context.n_threads, _n_cpus()):
                self._on_step(f"raw llama.cpp with {count} threads")
                if trial := try_threads(raw, rounds.results, count):
                    self._trials.append(trial)
        depth = flash_depth(rounds.results, rounds.pace, rounds.sizes, _TRIAL_SECONDS)
        if depth is not None and context.kv_type == "f16":  # a quantised cache needs it
            self._on_step("raw llama.cpp with the other kind of attention")
            self._trials.append(try_flash_attention(raw, rounds.results, context, depth))

    def _bounds(self, rounds: Rounds) -> Bounds | None:
        """None where the weights lie on a GPU, whose memory is not measured, and for a mixture of experts."""
        assert self._info is not None
        weights = Weights.of(gguf.check(Path(self._options.path)))
        if self._info.n_gpu_layers or weights is None or not self._copy:
            return None
        kv_per_token = self._info.kv_bytes / max(1, self._info.n_ctx)
        return bounds(rounds.results.points(), weights, kv_per_token, self._copy)


def _setup(info: ModelInfo) -> Setup:
    return Setup(
        model=info.name,
        path=info.path,
        quantisation=info.quantisation,
        n_params=info.n_params,
        size_bytes=info.size_bytes,
        n_ctx=info.n_ctx,
        n_threads=info.n_threads,
        n_gpu_layers=info.n_gpu_layers,
        devices=info.devices,
        flash_attention=info.flash_attention,
        kv_type=info.kv_type,
        build=info.build,
    )


def _unused(build: str) -> str:
    """What the processor has and the build does not use, in words; empty for nothing."""
    built, here = features.built_in(build), features.known_flags()
    return features.names_of(each for each in features.FEATURES if each.flag in here and each.built not in built)


def _n_cpus() -> int:
    """CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
