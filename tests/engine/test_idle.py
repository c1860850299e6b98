"""An engine that nobody asks for a while gives its memory back, and is there again when it is asked."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from llamachat.engine.base import Delta, Finished, Notice, Request
from llamachat.engine.ladder import Ladder
from llamachat.engine.process import EngineProcess
from llamachat.types import LoadOptions, Message, Role
from tests.conftest import FAKE_WORKER

QUESTION = Request((Message(Role.USER, "hi"),))


@pytest.fixture
def make(tmp_path):
    """An engine over the fake worker that rests after a fifth of a second."""
    engines: list[EngineProcess] = []

    def call(scenario: str = "answer") -> EngineProcess:
        engine = EngineProcess(
            LoadOptions(path="fake.gguf"),
            log=tmp_path / "engine.log",
            ladder=Ladder(tmp_path / "ladder.json"),
            command=(sys.executable, str(FAKE_WORKER), scenario, str(tmp_path / "starts")),
            idle_seconds=0.2,
        )
        engines.append(engine)
        return engine

    yield call
    for engine in engines:
        engine.close()


@pytest.fixture
def n_starts(tmp_path):
    return lambda: (tmp_path / "starts").stat().st_size


def until_it_rests(engine: EngineProcess, seconds: float = 5) -> None:
    deadline = time.monotonic() + seconds
    while not engine.is_resting:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def text_of(events) -> str:
    return "".join(event.text for event in events if isinstance(event, Delta))


def test_it_rests_and_answers_the_next_request_as_before(make, n_starts):
    engine = make()
    changes: list[bool] = []
    engine.on_change = lambda: changes.append(engine.is_resting)
    assert text_of(engine.reply(QUESTION)) == "Hello at 0.5"
    until_it_rests(engine)
    assert (engine.info, engine.pid, engine.failure) == (None, None, None)
    assert changes[-1] is True
    assert text_of(engine.reply(QUESTION)) == "Hello at 0.5"
    assert not engine.is_resting
    assert n_starts() == 2


def test_start_wakes_it_and_nothing_is_told_twice(make, n_starts):
    engine = make()
    assert [event for event in engine.reply(QUESTION) if isinstance(event, Notice)]
    until_it_rests(engine)
    engine.start()
    assert not engine.is_resting
    assert not [event for event in engine.reply(QUESTION) if isinstance(event, Notice)]
    assert n_starts() == 2


def test_it_does_not_rest_while_it_is_asked_something(make, n_starts):
    engine = make("wait-for-cancel")
    events = engine.reply(QUESTION)
    while not isinstance(next(events), Delta):
        pass
    time.sleep(0.5)
    assert not engine.is_resting
    engine.interrupt()
    assert isinstance(list(events)[-1], Finished)
    assert n_starts() == 1
    until_it_rests(engine)


def test_it_does_not_rest_while_it_loads(make, n_starts):
    engine = make("slow-load")
    engine.start()
    time.sleep(1)
    assert not engine.is_resting
    assert text_of(engine.reply(QUESTION)) == "Hello at 0.5"
    assert n_starts() == 1


def test_what_it_had_read_comes_back_from_the_disk(starter, tmp_path):
    options = LoadOptions(str(starter), n_threads=1, n_ctx=1024, cache_folder=str(tmp_path / "kv"), cache_bytes=10**9)
    engine = EngineProcess(options, log=tmp_path / "log", ladder=Ladder(Path(tmp_path / "ladder")), idle_seconds=0.5)
    text = " ".join(f"Item {number}: {number * number % 97} stones." for number in range(45))
    question = Request((Message(Role.USER, text),), max_tokens=2, owner="me")
    try:
        *_, first = engine.reply(question)
        until_it_rests(engine)
        *_, second = engine.reply(question)
    finally:
        engine.close()
    assert first.usage.reused_tokens == 0
    assert second.usage.reused_tokens > 400
