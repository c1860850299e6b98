"""A draft that a real engine reads while it is typed: what Enter finds of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from llamachat.engine.base import Finished, Request
from llamachat.engine.ladder import Ladder
from llamachat.engine.process import EngineProcess
from llamachat.types import LoadOptions, Message, Role

DRAFT = "The tide came in over the grey stones while the children counted boats. " * 60
CHUNK = 512  # tokens that are evaluated together


@pytest.fixture
def engine(starter, tmp_path) -> Iterator[EngineProcess]:
    options = LoadOptions(path=str(starter), n_ctx=4096)
    with closing(EngineProcess(options, log=tmp_path / "log", ladder=Ladder(tmp_path / "ladder"))) as engine:
        for _ in engine.wait_until_loaded():
            pass
        yield engine


def begin_to_read(engine: EngineProcess) -> None:
    engine.prefill(Request((Message(Role.USER, DRAFT),), unfinished=True))
    time.sleep(0.5)  # until the first batch is under way, or done where that is quick


def reused(engine: EngineProcess, text: str) -> int:
    events = list(engine.reply(Request((Message(Role.USER, text),), max_tokens=1)))
    assert isinstance(events[-1], Finished)
    return events[-1].usage.reused_tokens


def test_enter_finds_the_batch_that_was_under_way_though_tokens_are_counted_meanwhile(engine):
    begin_to_read(engine)
    assert engine.count("How many tokens is this?") > 3
    assert engine.measure([(Message(Role.USER, DRAFT + "And now?"),)])[0] > CHUNK
    assert reused(engine, DRAFT + "And now?") >= CHUNK


def test_another_message_throws_it_away(engine):
    begin_to_read(engine)
    assert reused(engine, "Something else.") < CHUNK
