"""What suits a model on this machine, measured: flash attention, threads, tokens of a batch, how weights are laid out.

One thing after the other, each with what was found before it; contest.py judges. What was found is then measured
against the plain default as a whole. An abort leaves it at any moment, and it goes on from there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from typing import Any, TypeVar

from llamachat.errors import ModelError
from llamachat.llama import machine
from llamachat.llama.contest import ROUNDS, Contest
from llamachat.llama.gauge import Gauge, kv_bytes
from llamachat.llama.identity import can_be_kept
from llamachat.llama.knobs import LARGE_MODEL, Knobs, default_knobs
from llamachat.llama.lib import AbortFlag
from llamachat.llama.model import Model
from llamachat.llama.pace import AS_GOOD, CLEAR, Pace
from llamachat.types import Layout, Tried, Tuned

_CHUNKS = (128,)  # tokens of a batch that are tried besides the default
_BRIEFLY = 128  # tokens read where batches are not the question: with fewer the kernels do not show what they can
_MORE_BRIEFLY = 64  # of a large model, whose many heads keep all threads busy with them
_FEW_ROUNDS = 3  # of timings that take seconds, and differ less for it
_N_TRIES = 2  # of each contest, on a machine that is busy
_ROOM = 0.8  # of the memory available that a model may take to be there twice
_SPARE = 1 << 29  # bytes besides two contexts; the weights may be pages of a file that are not to be pushed out
_LONG = 1.0  # seconds of loading that are to be gained by something
_FLASH, _TOGETHER, _LAYOUT = "flash attention", "together", "repacking"
_NAMES = {
    "flash_attention": _FLASH,
    "n_threads": "threads that write",
    "n_threads_prefill": "threads that read",
    "chunk": "tokens of a batch",
}

T = TypeVar("T", Knobs, bool)
OnStep = Callable[[str], None]
MakeGauge = Callable[[Model, Knobs, AbortFlag], Gauge]


def can_be_tuned(model: Model) -> bool:
    """Whether there is something to choose: on a GPU there is not, and not every kind of cache can be filled."""
    return not model.n_gpu_layers and can_be_kept(model)


class Tuning:
    """The measurements of one loaded model. `run` makes those that are missing."""

    def __init__(self, model: Model, abort: AbortFlag, make_gauge: MakeGauge = Gauge) -> None:
        self._model = model
        self._abort = abort
        self._make_gauge = make_gauge
        self._default = default_knobs(model.options, model.kv_type, model.size_bytes, model.n_gpu_layers)
        is_large = model.size_bytes > LARGE_MODEL
        self._rounds = _FEW_ROUNDS if is_large else ROUNDS
        self._briefly = _MORE_BRIEFLY if is_large else _BRIEFLY
        self._contests: dict[str, Contest[Any]] = {}
        self._paces: dict[str, dict[Knobs | bool, list[Pace]]] = {}  # of each contest
        self._load_seconds = {True: model.load_seconds}
        self._knobs = self._default
        self._repack = True

    def run(self, on_step: OnStep) -> Tuned:
        """Measure what was not yet. `on_step` is told what is measured.

        Raises Aborted, ModelError without memory for the measurements.
        """
        if machine.available_memory() < self._model.size_bytes + 2 * kv_bytes(self._model) + _SPARE:
            raise ModelError("there is no memory to measure in beside the model.", "End other programs, and try again.")
        knobs = self._default
        for choose in (self._flash_attention, self._threads, self._threads_prefill, self._batches):
            knobs = choose(knobs, on_step)
        self._knobs = self._check(knobs, on_step)
        self._repack = self._weights(self._knobs, on_step)
        return self._result()

    @property
    def tried(self) -> tuple[Tried, ...]:
        """What was measured, and what of it is chosen. Whole after `run`."""
        return tuple(
            self._described_try(name, contest, other)
            for name, contest in self._contests.items()
            for other in contest.others
        )

    def _described_try(self, name: str, contest: Contest[Any], other: Knobs | bool) -> Tried:
        ratio = contest.ratio(other)
        if isinstance(other, bool):
            return Tried(name, _show(other), ratio, chosen=other == self._repack)
        if name == _TOGETHER:
            return Tried(name, "", ratio, chosen=other == self._knobs)
        [field] = _differing(contest.default, other)
        value = getattr(other, field)
        return Tried(_NAMES[field], _show(value), ratio, chosen=value == getattr(self._knobs, field))

    def _flash_attention(self, knobs: Knobs, on_step: OnStep) -> Knobs:
        """Judged by a usual turn, far into a conversation: that is where it differs."""
        can_choose = self._model.kv_type == "f16" and self._model.options.use_flash_attention
        ways = [replace(knobs, flash_attention=not knobs.flash_attention)] if can_choose else []
        contest = self._contest(_FLASH, knobs, ways, thorough=True)

        def turn(way: Knobs) -> float:
            """In a context of its own: two of the same kind differ by some percent for as long as they live."""
            with self._make_gauge(self._model, way, self._abort) as gauge:
                return self._noted(_FLASH, way, _pace(gauge, way, self._briefly)).turn

        self._hold(contest, turn, on_step)
        return contest.winner

    def _threads(self, knobs: Knobs, on_step: OnStep) -> Knobs:
        ways = [replace(knobs, n_threads=count) for count in self._other_threads(knobs.n_threads)]
        contest = self._contest("threads that write", knobs, ways, needs_quiet=True)
        with self._gauges(contest) as gauges:
            self._hold(contest, lambda way: gauges[way].decode(way.n_threads), on_step)
        return contest.winner

    def _threads_prefill(self, knobs: Knobs, on_step: OnStep) -> Knobs:
        ways = [replace(knobs, n_threads_prefill=count) for count in self._other_threads(knobs.n_threads_prefill)]
        contest = self._contest("threads that read", knobs, ways, needs_quiet=True)
        with self._gauges(contest) as gauges:
            n_read = self._briefly
            self._hold(contest, lambda way: gauges[way].prefill(way.n_threads_prefill, way.chunk, n_read), on_step)
        return contest.winner

    def _batches(self, knobs: Knobs, on_step: OnStep) -> Knobs:
        ways = [replace(knobs, chunk=chunk) for chunk in _CHUNKS if chunk < knobs.chunk]
        contest = self._contest("tokens of a batch", knobs, ways)
        with self._gauges(contest) as gauges:
            self._hold(contest, lambda way: gauges[way].prefill(way.n_threads_prefill, way.chunk), on_step)
        return contest.winner

    def _check(self, knobs: Knobs, on_step: OnStep) -> Knobs:
        """What was found besides flash attention, if as a whole it is better than that alone."""
        known: Knobs = self._contests[_FLASH].winner
        if knobs == known:
            return knobs
        contest = self._contest(_TOGETHER, known, [knobs], thorough=True)
        with self._gauges(contest) as gauges:
            n_read = self._briefly if knobs.chunk == self._default.chunk else None
            self._hold(contest, lambda way: self._noted(_TOGETHER, way, _pace(gauges[way], way, n_read)).turn, on_step)
        is_better = self._pace(_TOGETHER, knobs).is_better_than(self._pace(_TOGETHER, known))
        return knobs if is_better else known

    def _weights(self, knobs: Knobs, on_step: OnStep) -> bool:
        """Whether weights are better laid out anew than left as they lie in the file.

        They are where plain ones write more slowly, and while somebody else computes. Else a usual turn decides, and
        where that takes as long, what is loaded sooner.
        """
        can_choose = self._model.is_repacked and self._has_room_for_two
        contest = self._contest(_LAYOUT, True, [False] if can_choose else [], needs_quiet=True, thorough=True)
        if contest.turn is not None:
            other = self._model.laid_out_plainly(self._abort)
            self._load_seconds[False] = other.load_seconds
            try:
                with ExitStack() as stack:
                    gauges = {
                        way: stack.enter_context(self._make_gauge(model, knobs, self._abort))
                        for way, model in ((True, self._model), (False, other))
                    }

                    def decode(way: bool) -> float:
                        return self._noted(_LAYOUT, way, _pace(gauges[way], knobs, self._briefly)).decode

                    self._hold(contest, decode, on_step)
            finally:
                other.close()
        if not (contest.others and contest.is_settled) or CLEAR * contest.ratio(False) >= 1:
            return True
        repacked, plain = self._pace(_LAYOUT, True), self._pace(_LAYOUT, False)
        if plain.is_better_than(repacked):
            return False
        return self._load_seconds[True] < self._load_seconds[False] + _LONG or plain.turn > AS_GOOD * repacked.turn

    def _result(self) -> Tuned:
        knobs, repack = self._knobs, self._repack
        decode_gain = prefill_gain = 1.0
        known = self._contests[_FLASH].winner
        for contest, default, chosen in (
            (_FLASH, self._default, known),
            (_TOGETHER, known, knobs),
            (_LAYOUT, True, repack),
        ):
            if default != chosen:
                before, after = self._pace(contest, default), self._pace(contest, chosen)
                decode_gain *= before.decode / after.decode
                prefill_gain *= before.prefill / after.prefill
        threads_are_free = not self._model.options.n_threads
        flash_is_free = bool(self._contests[_FLASH].others)
        return Tuned(
            machine.thread_count(),
            knobs.n_threads if threads_are_free else None,
            knobs.n_threads_prefill if threads_are_free else None,
            knobs.chunk,
            knobs.flash_attention if flash_is_free else None,
            repack,
            self._layout_of(True),
            self._layout_of(False),
            decode_gain,
            prefill_gain,
            self._model.kv_type,
        )

    def _layout_of(self, repacked: bool) -> Layout | None:
        if not self._contests[_LAYOUT].others:
            return None
        pace = self._pace(_LAYOUT, repacked)
        return Layout(self._load_seconds[repacked], 1 / pace.prefill, 1 / pace.decode)

    def _contest(self, name: str, default: T, others: list[T], **ways: bool) -> Contest[T]:
        """The one of this name: that of an earlier run, if it began then."""
        return self._contests.setdefault(name, Contest(default, others, self._rounds, **ways))

    def _hold(self, contest: Contest[T], time: Callable[[T], float], on_step: OnStep) -> None:
        """All turns that are left; once more where the times say nothing."""
        if contest.turn is None:
            return
        name = next(name for name, each in self._contests.items() if each is contest)
        on_step(name)
        for is_last in range(_N_TRIES):
            while (way := contest.turn) is not None:
                contest.add(time(way))
            if contest.is_settled or is_last:
                return
            contest.begin()
            self._paces.pop(name, None)

    @contextmanager
    def _gauges(self, contest: Contest[Knobs]) -> Iterator[dict[Knobs, Gauge]]:
        """For each way a context, while there is something to measure. Ways that differ in numbers alone share one."""
        with ExitStack() as stack:
            made: dict[bool, Gauge] = {}
            gauges: dict[Knobs, Gauge] = {}
            ways = (contest.default, *contest.others) if contest.turn is not None else ()
            widest = max((way.chunk for way in ways), default=0)
            for way in ways:
                if way.flash_attention not in made:
                    gauge = self._make_gauge(self._model, replace(way, chunk=widest), self._abort)
                    made[way.flash_attention] = stack.enter_context(gauge)
                gauges[way] = made[way.flash_attention]
            yield gauges

    def _noted(self, contest: str, way: Knobs | bool, pace: Pace) -> Pace:
        self._paces.setdefault(contest, {}).setdefault(way, []).append(pace)
        return pace

    def _pace(self, contest: str, way: Knobs | bool) -> Pace:
        return Pace.median_of(self._paces[contest][way])

    def _other_threads(self, count: int) -> list[int]:
        """Other numbers that are worth a try; none where the user has chosen one."""
        if self._model.options.n_threads:
            return []
        return sorted({count // 2, count - 1, machine.most_threads()} - {0, count})

    @property
    def _has_room_for_two(self) -> bool:
        return self._model.size_bytes < _ROOM * machine.available_memory()


def _pace(gauge: Gauge, way: Knobs, n_read: int | None = None) -> Pace:
    return Pace(gauge.prefill(way.n_threads_prefill, way.chunk, n_read), gauge.decode(way.n_threads))


def _differing(default: Knobs, other: Knobs) -> list[str]:
    before = asdict(default)
    return [field for field, value in asdict(other).items() if value != before[field]]


def _show(value: object) -> str:
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else str(value)
