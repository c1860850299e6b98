"""The raw loop, for real: what it evaluates, and how it ends."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from llamachat.bench.values import RawContext, RawModel
from llamachat.bench.yardstick import RawProcess
from llamachat.engine.base import Finished, Request
from llamachat.engine.ladder import Ladder
from llamachat.engine.process import EngineProcess
from llamachat.errors import EngineDied
from llamachat.types import LoadOptions, Message, Role

CONTEXT = RawContext(n_ctx=512, n_threads=1, flash_attention=False)


@pytest.fixture
def raw(parrot, tmp_path) -> Iterator[RawProcess]:
    process = RawProcess(tmp_path / "log", RawModel(str(parrot)))
    process.open("", CONTEXT)
    yield process
    process.close()


def test_it_reads_what_it_has_not_read_and_says_what_the_engine_says(raw, parrot, tmp_path):
    engine = EngineProcess(
        LoadOptions(str(parrot), n_threads=1), log=tmp_path / "engine.log", ladder=Ladder(tmp_path / "ladder.json")
    )
    request = Request((Message(Role.USER, "My name is Anna."),), {"temperature": 0}, max_tokens=30)
    try:
        tokens = engine.render(request).tokens
        finished = [event for event in engine.reply(request) if isinstance(event, Finished)][-1]
    finally:
        engine.close()
    first = raw.measure(tokens, 30)
    assert (first.n_reused, first.n_read) == (0, len(tokens))
    assert first.n_written == finished.usage.completion_tokens > 2
    assert first.first_token >= first.prefill > 0
    again = raw.measure([*tokens[:-1], tokens[0]], 1)
    assert (again.n_reused, again.n_read, again.n_written) == (len(tokens) - 1, 1, 1)


def test_contexts_stand_side_by_side_and_threads_can_change(raw):
    raw.open("other", RawContext(512, 1, flash_attention=True, kv_type="q8_0"))
    tokens = list(range(10, 60))
    assert raw.measure(tokens, 1).n_reused == 0
    assert raw.measure(tokens, 1, name="other").n_reused == 0
    assert raw.measure(tokens, 1, n_threads=2).n_reused == len(tokens) - 1


def test_what_it_cannot_do_is_said(raw, tmp_path):
    with pytest.raises(EngineDied, match="llama_decode returned"):
        raw.measure(list(range(600)), 1)
    with pytest.raises(EngineDied, match="cannot load the model"):
        RawProcess(tmp_path / "log", RawModel(str(Path(__file__))))


def test_that_it_ended_is_said_with_the_log(tmp_path):
    command = (sys.executable, "-c", "raise SystemExit(3)")
    with pytest.raises(EngineDied) as caught:
        RawProcess(tmp_path / "log", RawModel("x"), command)
    assert "exit code 3" in caught.value.message
    assert str(tmp_path / "log") in caught.value.hint


def test_it_ends_with_its_pipe(raw):
    raw._child.stdin.close()
    assert raw._child.wait(timeout=20) == 0
