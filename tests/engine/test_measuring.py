"""Measuring while nobody waits: begun after an answer, given up for any request, remembered, and survived."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from llamachat.engine.base import Delta, Request
from llamachat.engine.channel import Jobs
from llamachat.engine.ladder import Ladder
from llamachat.engine.measuring import Measuring
from llamachat.engine.process import EngineProcess
from llamachat.engine.protocol import (
    Close,
    Done,
    Frame,
    Load,
    Loaded,
    Reply,
    Tokenize,
    TokenizeDone,
    Tune,
    TuneDone,
    TuneStep,
)
from llamachat.engine.ready import Ready
from llamachat.engine.tunings import Tunings
from llamachat.engine.turns import Turns
from llamachat.engine.worker import Worker
from llamachat.errors import Interrupted, UsageError
from llamachat.llama.lib import AbortFlag, C, Log
from llamachat.types import LoadOptions, Message, Role, Sampling, Tuned
from tests.conftest import FAKE_WORKER

QUESTION = Request((Message(Role.USER, "hi"),))
REPLY = Reply(1, QUESTION.messages, Sampling(), (1,), False, 2, (), False, False, False)


# The child's side


class Pipe:
    """The engine's end of the pipe: what was sent, with the moment."""

    is_stuck = False

    def __init__(self) -> None:
        self.sent: list[tuple[float, Frame]] = []
        self._arrived = threading.Condition()

    def send(self, frame: Frame) -> None:
        with self._arrived:
            self.sent.append((time.monotonic(), frame))
            self._arrived.notify_all()

    def wait_for(self, is_it: Callable[[Frame], bool], seconds: float = 60) -> float:
        """When such a frame was sent."""
        with self._arrived:
            assert self._arrived.wait_for(lambda: any(is_it(frame) for _, frame in self.sent), seconds)
            return next(moment for moment, frame in self.sent if is_it(frame))

    @property
    def steps(self) -> list[str]:
        return [frame.what for _, frame in self.sent if isinstance(frame, TuneStep)]


@pytest.fixture
def worker() -> Iterator[tuple[Jobs, Pipe]]:
    """A worker on a thread, told what to do."""
    pipe = Pipe()
    worker = Worker(pipe)
    jobs = Jobs(worker.abort)
    thread = threading.Thread(target=worker.run, args=(pipe, jobs), daemon=True)
    thread.start()
    yield jobs, pipe
    jobs.receive(Close())
    thread.join(30)
    assert not thread.is_alive()


def load(path: Path, *, measures: bool = True) -> Load:
    return Load(LoadOptions(str(path), n_threads=1, n_ctx=512, measures=measures))


def test_it_begins_in_the_silence_after_an_answer(worker, tiny_model):
    jobs, pipe = worker
    jobs.receive(load(tiny_model))
    pipe.wait_for(lambda frame: isinstance(frame, Loaded))
    time.sleep(1.5)
    assert pipe.steps == []
    jobs.receive(REPLY)
    pipe.wait_for(lambda frame: isinstance(frame, TuneDone))
    assert pipe.steps[0] == "flash attention"


def test_without_being_wanted_nothing_is_measured(worker, tiny_model):
    jobs, pipe = worker
    jobs.receive(load(tiny_model, measures=False))
    jobs.receive(REPLY)
    time.sleep(2)
    assert pipe.steps == []


def test_a_request_does_not_wait_for_it_and_it_goes_on_afterwards(worker, starter):
    jobs, pipe = worker
    jobs.receive(load(starter))
    jobs.receive(REPLY)
    pipe.wait_for(lambda frame: isinstance(frame, TuneStep))
    time.sleep(0.3)
    asked = time.monotonic()
    jobs.receive(Tokenize(2, "hello", True))
    answered = pipe.wait_for(lambda frame: isinstance(frame, TokenizeDone))
    assert answered - asked < 1  # 0.1 s on a quiet machine: benchmarks/tuning.py
    assert pipe.steps[-1] == ""
    n_steps = len(pipe.steps)
    deadline = time.monotonic() + 60
    while len(pipe.steps) == n_steps and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(pipe.steps) > n_steps


def test_it_is_measured_at_once_when_asked(worker, tiny_model):
    jobs, pipe = worker
    jobs.receive(load(tiny_model, measures=False))
    jobs.receive(Tune(7))
    pipe.wait_for(lambda frame: isinstance(frame, TuneDone) and frame.id == 7 and not frame.is_stopped)


@pytest.fixture
def ready(tiny_model) -> Iterator[Ready]:
    log = Log(lambda _text: None)
    C.llama_backend_init()
    ready = Ready.load(LoadOptions(str(tiny_model), n_threads=1, n_ctx=256), AbortFlag(), log, lambda *_: None)
    yield ready
    ready.session.close()
    ready.model.close()


def test_a_cancelled_one_says_so(ready):
    sent: list[Frame] = []
    abort = ready.session.abort
    abort.raise_()
    Measuring(ready, abort, sent.append, wanted=False).at_once(3, lambda: None)
    assert sent == [TuneDone(3, None, is_stopped=True)]


def test_before_each_question_others_can_have_their_turn(ready):
    order: list[str] = []
    measuring = Measuring(ready, ready.session.abort, lambda frame: order.append(type(frame).__name__), wanted=False)
    measuring.at_once(3, lambda: order.append("share"))
    *steps, end = order
    assert end == "TuneDone"
    assert steps == ["share", "TuneStep"] * (len(steps) // 2) != []


def test_on_a_gpu_there_is_nothing_to_measure(ready):
    ready.model.n_gpu_layers = 1
    measuring = Measuring(ready, ready.session.abort, lambda _frame: None, wanted=True)
    assert not measuring.is_wanted
    with pytest.raises(UsageError, match="nothing to tune"):
        measuring.at_once(3, lambda: None)


# The parent's side


def test_what_gave_way_to_another_llamachat_is_taken_up_when_that_has_ended(worker, tiny_model, tmp_path):
    jobs, pipe = worker
    place = tmp_path / "turns"
    jobs.receive(Load(LoadOptions(str(tiny_model), n_threads=1, n_ctx=512, measures=True, turns=str(place))))
    jobs.receive(REPLY)
    pipe.wait_for(lambda frame: isinstance(frame, Done))
    with Turns(place, AbortFlag()).taken(print):
        time.sleep(2.5)
        assert pipe.steps == []
    pipe.wait_for(lambda frame: isinstance(frame, TuneDone) and frame.tuned is not None)


@pytest.fixture
def engine(tmp_path) -> Iterator[Callable[[str], EngineProcess]]:
    """`engine(SCENARIO)`: with the fake worker."""
    model = tmp_path / "fake.gguf"
    model.write_bytes(b"GGUF")
    engines: list[EngineProcess] = []

    def make(scenario: str) -> EngineProcess:
        engines.append(
            EngineProcess(
                LoadOptions(str(model), measures=True),
                log=tmp_path / "engine.log",
                ladder=Ladder(tmp_path / "ladder.json"),
                command=(sys.executable, str(FAKE_WORKER), scenario, str(tmp_path / "starts")),
                tunings=Tunings(tmp_path / "tunings.json"),
            )
        )
        return engines[-1]

    yield make
    for each in engines:
        each.close()


def known(engine: EngineProcess, seconds: float = 10):
    """What is remembered of the engine's model, soon."""
    tunings = engine._recipe.tunings
    deadline = time.monotonic() + seconds
    while tunings.known(engine.options.path) is None and time.monotonic() < deadline:
        time.sleep(0.02)
    return tunings.known(engine.options.path)


def test_what_was_measured_is_remembered_and_not_measured_again(engine):
    first = engine("measures")
    list(first.reply(QUESTION))
    assert known(first).tuned == Tuned(2, chunk=256)
    assert not first._recipe.measures


def test_what_is_measured_on_request_is_told_and_remembered(engine):
    first = engine("answer")
    events = list(first.tune())
    assert [type(event).__name__ for event in events] == ["Loading", "Notice", "TuneStep", "TuneDone"]
    assert events[-1].tried[0].value == "256"
    assert known(first).tuned == Tuned(2, chunk=256)


def test_a_measurement_that_ends_the_engine_costs_no_answer_and_is_not_tried_again(engine):
    first = engine("die-while-measuring")
    list(first.reply(QUESTION))
    found = known(first)
    assert (found.tuned, found.fault) == (None, "SIGSEGV")
    events = list(first.reply(QUESTION))
    assert "Hello" in "".join(event.text for event in events if isinstance(event, Delta))
    assert not first._recipe.measures


def test_a_crash_after_it_was_left_is_not_its_fault(engine):
    first = engine("die-after-measuring")
    list(first.reply(QUESTION))
    assert known(first, seconds=0.5) is None
    assert first._recipe.measures


def test_an_interrupted_one_raises(engine):
    first = engine("slow-load")
    threading.Timer(0.3, first.interrupt).start()
    with pytest.raises(Interrupted):
        list(first.tune())
