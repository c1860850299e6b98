"""What suits a model, measured: with clocks by script, and for real."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from llamachat.errors import ModelError
from llamachat.llama import gauge, machine
from llamachat.llama.gauge import Gauge
from llamachat.llama.knobs import Knobs, default_knobs, knobs_of
from llamachat.llama.lib import AbortFlag
from llamachat.llama.model import Model
from llamachat.llama.session import Aborted
from llamachat.llama.tuning import Tuning, can_be_tuned
from llamachat.types import LoadOptions, Tuned

N_CORES = machine.thread_count()


@pytest.fixture
def tunable(log, tiny_model) -> Model:
    """The model of noise with threads that are open to choice."""
    model = Model.load(LoadOptions(path=str(tiny_model)), log, lambda _done, _total: None)
    yield model
    model.close()


@dataclass
class Clock:
    """Seconds a token, by what is measured; 1 by default. `calls` is every timing, `opened` every context."""

    decode: Callable[[Knobs, int, bool], float] = lambda _knobs, _threads, _repacked: 1.0
    prefill: Callable[[Knobs, int, int], float] = lambda _knobs, _threads, _chunk: 1.0
    prefill_of_plain: float = 1.0  # against that of repacked weights
    prefill_of_many: float = 1.0  # against that of a few tokens
    calls: list[str] = field(default_factory=list)
    opened: int = 0
    aborts_at: int | None = None

    def make(self, model: Model, knobs: Knobs, _abort: AbortFlag) -> Any:
        self.opened += 1
        return _Scripted(self, model.options.use_extra_buffers, knobs)

    def tick(self, what: str) -> None:
        if len(self.calls) == self.aborts_at:
            self.aborts_at = None
            raise Aborted
        self.calls.append(what)


@dataclass
class _Scripted:
    clock: Clock
    repacked: bool
    knobs: Knobs

    def __enter__(self) -> _Scripted:
        return self

    def __exit__(self, *_error: object) -> None:
        pass

    def decode(self, n_threads: int) -> float:
        self.clock.tick("decode")
        return self.clock.decode(self.knobs, n_threads, self.repacked)

    def prefill(self, n_threads: int, chunk: int, n_tokens: int | None = None) -> float:
        self.clock.tick("prefill")
        seconds = self.clock.prefill(self.knobs, n_threads, chunk)
        seconds *= self.clock.prefill_of_many if n_tokens is None else 1.0
        return seconds if self.repacked else seconds * self.clock.prefill_of_plain


def measured(model: Model, clock: Clock) -> tuple[Tuned, Tuning]:
    tuning = Tuning(model, AbortFlag(), clock.make)
    return tuning.run(lambda _what: None), tuning


def flash_by_default(model: Model) -> bool:
    return model.knobs.flash_attention


def chosen(tuning: Tuning) -> list[tuple[str, str]]:
    return [(each.what, each.value) for each in tuning.tried if each.chosen]


# By script


def test_where_nothing_is_quicker_the_defaults_stay(tunable):
    tuned, tuning = measured(tunable, Clock())
    assert tuned == replace(
        tuned, n_cores=N_CORES, n_threads=N_CORES, n_threads_prefill=N_CORES, chunk=512,
        flash_attention=flash_by_default(tunable), repack=True, decode_gain=1.0, prefill_gain=1.0,
    )  # fmt: skip
    assert chosen(tuning) == []
    assert {each.ratio for each in tuning.tried} == {1.0}


def test_flash_attention_is_chosen_by_what_a_turn_takes(tunable):
    other = not flash_by_default(tunable)
    clock = Clock(decode=lambda knobs, _threads, _repacked: 0.5 if knobs.flash_attention is other else 1.0)
    tuned, tuning = measured(tunable, clock)
    assert tuned.flash_attention is other
    assert (tuned.decode_gain, tuned.prefill_gain) == (2.0, 1.0)
    assert ("flash attention", "on" if other else "off") in chosen(tuning)


def test_a_gain_in_writing_that_reading_pays_for_is_none(tunable):
    other = not flash_by_default(tunable)
    clock = Clock(
        decode=lambda knobs, _threads, _repacked: 0.9 if knobs.flash_attention is other else 1.0,
        prefill=lambda knobs, _threads, _chunk: 1.2 if knobs.flash_attention is other else 1.0,
    )
    tuned, tuning = measured(tunable, clock)
    assert tuned.flash_attention is not other
    assert chosen(tuning) == []


def test_batches_are_chosen_by_how_fast_is_read(tunable):
    tuned, _ = measured(tunable, Clock(prefill=lambda _knobs, _threads, chunk: 0.8 if chunk == 128 else 1.0))
    assert (tuned.chunk, tuned.prefill_gain) == (128, 1.25)


@pytest.mark.skipif(N_CORES < 2, reason="with one core there is no other number of threads to try")
def test_threads_are_chosen_apart_for_reading_and_writing(tunable):
    tuned, _ = measured(tunable, Clock(decode=lambda _knobs, threads, _repacked: 1.0 if threads == N_CORES else 0.8))
    assert tuned.n_threads < N_CORES
    assert tuned.n_threads_prefill == N_CORES


@pytest.mark.parametrize("many", [1.0, 0.7])
def test_what_is_quicker_alone_and_not_together_is_not_taken(tunable, many):
    """All that was found is measured once more as a whole; what was timed otherwise before that does not count."""
    chunks = []

    def prefill(_knobs: Knobs, _threads: int, chunk: int) -> float:
        chunks.append(chunk)
        return 0.8 if chunk == 128 and chunks.count(128) <= 5 else 1.0

    tuned, _ = measured(tunable, Clock(prefill=prefill, prefill_of_many=many))
    assert (tuned.chunk, tuned.prefill_gain) == (512, 1.0)


def test_flash_attention_that_is_quicker_stays_without_what_is_not_quicker_with_it(tunable):
    other = not flash_by_default(tunable)

    def prefill(knobs: Knobs, _threads: int, chunk: int) -> float:
        chunks.append(chunk)
        disturbed = chunk == 128 and chunks.count(128) > 5
        return 3.0 if disturbed else 0.8 if chunk == 128 else 1.0

    chunks: list[int] = []
    clock = Clock(lambda knobs, *_: 0.5 if knobs.flash_attention is other else 1.0, prefill)
    tuned, tuning = measured(tunable, clock)
    assert (tuned.flash_attention, tuned.chunk) == (other, 512)
    assert chosen(tuning) == [("flash attention", "on" if other else "off")]


@pytest.mark.parametrize(("plain", "repack"), [(0.8, False), (1.0, True), (1.6, True)])
def test_weights_are_laid_out_as_they_are_decoded_quicker(tunable, plain, repack):
    tunable.is_repacked = True
    clock = Clock(decode=lambda _knobs, _threads, repacked: 1.0 if repacked else plain)
    tuned, _ = measured(tunable, clock)
    assert tuned.repack is repack
    assert tuned.repacked.decode == 1.0
    assert tuned.plain.decode == pytest.approx(1 / plain)
    assert tuned.plain.load > 0
    assert tuned.decode_gain == pytest.approx(1.0 if repack else 1 / plain)


@pytest.mark.parametrize(
    ("plain", "load", "repack"), [(1.0, 1.5, False), (1.0, 0.5, True), (1.1, 9.0, True), (0.97, 1.5, False)]
)
def test_what_is_not_read_or_written_quicker_is_not_worth_a_long_load(tunable, plain, load, repack):
    tunable.is_repacked = True
    tunable.load_seconds = load
    tuned, _ = measured(tunable, Clock(decode=lambda _knobs, _threads, repacked: 1.0 if repacked else plain))
    assert tuned.repack is repack


@pytest.mark.parametrize(("written", "repack"), [(1.2, True), (1.02, False), (1.0, False)])
def test_what_reads_quicker_as_it_lies_is_only_left_so_where_it_writes_as_fast(tunable, written, repack):
    tunable.is_repacked = True
    clock = Clock(lambda _knobs, _threads, repacked: 1.0 if repacked else written, prefill_of_plain=0.6)
    tuned, _ = measured(tunable, clock)
    assert tuned.repack is repack


def test_on_a_busy_machine_weights_stay_repacked(tunable):
    tunable.is_repacked, tunable.load_seconds = True, 9.0
    times = itertools.cycle([1.0, 2.0, 1.5])
    tuned, tuning = measured(tunable, Clock(lambda _knobs, _threads, repacked: next(times) if repacked else 1.0))
    assert tuned.repack
    assert ("repacking", "off") not in chosen(tuning)


def test_what_is_remembered_of_layouts_is_without_the_try_that_was_disturbed(tunable):
    tunable.is_repacked = True
    disturbed = iter([5.0, 9.0, 7.0, 5.0, 9.0])
    steps: list[str] = []

    def decode(_knobs: Knobs, _threads: int, repacked: bool) -> float:
        return 1.1 if not repacked else next(disturbed, 1.0) if steps[-1] == "repacking" else 1.0

    tuned = Tuning(tunable, AbortFlag(), Clock(decode).make).run(steps.append)
    assert (tuned.repacked.decode, tuned.repack) == (1.0, True)


@pytest.mark.skipif(N_CORES < 2, reason="with one core there is no other number of threads to try")
def test_on_a_busy_machine_threads_are_asked_twice_and_stay(tunable):
    """Fewer that are quicker may only suffer less."""
    times = itertools.cycle([1.0, 2.0, 1.5])
    clock = Clock(decode=lambda _knobs, threads, _repacked: next(times) if threads == N_CORES else 0.5)
    steps: list[str] = []
    tuning = Tuning(tunable, AbortFlag(), clock.make)
    assert tuning.run(steps.append).n_threads == N_CORES
    assert "threads that read" in steps


def test_what_reads_quicker_is_measured_once_more_as_a_whole(tunable):
    _, tuning = measured(tunable, Clock(prefill=lambda _knobs, _threads, chunk: 0.8 if chunk == 128 else 1.0))
    assert ("together", "") in chosen(tuning)


def test_flash_attention_alone_was_measured_as_a_whole(tunable):
    other = not flash_by_default(tunable)
    clock = Clock(decode=lambda knobs, *_: 0.5 if knobs.flash_attention is other else 1.0)
    _, tuning = measured(tunable, clock)
    assert "together" not in {each.what for each in tuning.tried}


def test_without_memory_nothing_is_measured(tunable, monkeypatch):
    monkeypatch.setattr(machine, "available_memory", lambda: 1 << 20)
    with pytest.raises(ModelError, match="no memory to measure"):
        measured(tunable, Clock())


def test_an_abort_leaves_it_at_any_moment_and_it_goes_on_from_there(tunable):
    whole = Clock()
    measured(tunable, whole)
    for moment in range(0, len(whole.calls), 7):
        clock = Clock(aborts_at=moment)
        tuning = Tuning(tunable, AbortFlag(), clock.make)
        with pytest.raises(Aborted):
            tuning.run(lambda _what: None)
        assert tuning.run(lambda _what: None).n_cores == N_CORES
        assert len(clock.calls) <= len(whole.calls) + 1  # of a turn of two timings the first is made again


def test_what_was_measured_is_not_measured_again(tunable):
    clock = Clock()
    _, tuning = measured(tunable, clock)
    opened, steps = clock.opened, []
    tuning.run(steps.append)
    assert (clock.opened, steps) == (opened, [])


def test_what_the_user_chose_is_not_tried(log, tiny_model):
    model = Model.load(LoadOptions(str(tiny_model), n_threads=1, kv_type="q8_0"), log, lambda *_: None)
    try:
        tuned, tuning = measured(model, Clock())
    finally:
        model.close()
    assert (tuned.n_threads, tuned.n_threads_prefill, tuned.flash_attention) == (None, None, None)
    assert {each.what for each in tuning.tried} <= {"tokens of a batch", "repacking"}


def test_flash_attention_that_crashed_here_is_not_tried(log, tiny_model):
    model = Model.load(LoadOptions(str(tiny_model), use_flash_attention=False), log, lambda *_: None)
    try:
        _, tuning = measured(model, Clock())
    finally:
        model.close()
    assert "flash attention" not in {each.what for each in tuning.tried}


# For real


@pytest.mark.parametrize("flash", [True, False])
def test_a_gauge_fills_its_context_with_copies_and_stays_as_it_was(model, flash):
    with Gauge(model, replace(model.knobs, flash_attention=flash), AbortFlag()) as opened:
        session = opened._session
        assert gauge._cells(bytes(session.read(0, gauge._SEED))) is not None
        assert len(session.tokens) == opened.depth >= 128
        assert opened.decode(1) > 0
        assert opened.prefill(1, 64, 128) > 0
        assert len(session.tokens) == opened.depth


def test_a_gauge_can_be_stopped_and_used_again(tunable):
    abort = AbortFlag()
    with Gauge(tunable, tunable.knobs, abort) as opened:
        abort.raise_()
        with pytest.raises(Aborted):
            opened.decode(1)
        with pytest.raises(Aborted):
            opened.prefill(1, 256)
        abort.lower()
        assert opened.decode(1) > 0
        assert len(opened._session.tokens) == opened.depth


def test_the_whole_of_it_runs_on_a_real_model(model):
    """One thread: two that wait for each other take minutes on a busy machine."""
    tuning = Tuning(model, AbortFlag())
    steps: list[str] = []
    tuned = tuning.run(steps.append)
    assert steps[0] == "flash attention"
    assert tuning.tried
    assert tuned.chunk in (128, 512)


def test_an_abort_by_another_thread_ends_a_slice(model):
    abort = AbortFlag()
    tuning = Tuning(model, abort)
    with pytest.raises(Aborted):
        tuning.run(lambda _what: abort.raise_())
    abort.lower()
    tuning.run(lambda _what: None)
    assert tuning.tried


# What is done with it


def knobs(tuned: Tuned | None = None, **options: Any) -> Knobs:
    return knobs_of(LoadOptions("m", tuned=tuned, **options), options.get("kv_type") or "f16", 1 << 20, 0)


TUNED = Tuned(N_CORES, n_threads=3, n_threads_prefill=5, chunk=128, flash_attention=True)


def test_what_was_measured_holds():
    assert knobs(TUNED) == Knobs(3, 5, 128, True)
    assert knobs(replace(TUNED, flash_attention=False)) == Knobs(3, 5, 128, False)


def test_what_was_not_measured_stays_as_by_default():
    assert knobs(Tuned(N_CORES)) == knobs()


def test_the_users_threads_win():
    assert knobs(TUNED, n_threads=2) == Knobs(2, 2, 128, True)


def test_a_quantised_cache_keeps_the_flash_attention_that_it_needs():
    assert knobs(replace(TUNED, flash_attention=False), kv_type="q8_0").flash_attention


def test_what_crashed_stays_off():
    assert not knobs(TUNED, use_flash_attention=False).flash_attention


def test_with_another_number_of_cores_nothing_was_measured():
    assert knobs(replace(TUNED, n_cores=N_CORES + 1)) == knobs()


def test_on_a_gpu_nothing_was_measured(model):
    options = LoadOptions("m", tuned=TUNED)
    assert knobs_of(options, "f16", 1 << 20, 9) == default_knobs(options, "f16", 1 << 20, 9)
    on_gpu = Model(model.handle, model.options, [], 1)
    assert can_be_tuned(model)
    assert not can_be_tuned(on_gpu)


def test_batches_never_grow_beyond_what_an_abort_waits_for():
    large = 4 << 30
    assert knobs_of(LoadOptions("m", tuned=replace(TUNED, chunk=512)), "f16", large, 0).chunk == 256
