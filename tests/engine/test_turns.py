"""One at a time at the cores: who waits, who gives way, and who is not waited for."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from llamachat.engine.base import Delta, Finished, Reading, Request, Waiting
from llamachat.engine.ladder import Ladder
from llamachat.engine.process import EngineProcess
from llamachat.engine.turns import Turn, Turns
from llamachat.types import FinishReason, LoadOptions, Message, Role

LONG = Request((Message(Role.USER, "hi"),), max_tokens=300)
HOLDER = """
import sys, time
from pathlib import Path
from llamachat.engine.turns import Turns
with Turns(Path(sys.argv[1]), False).taken(print):
    print("held", flush=True)
    time.sleep(60)
"""

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="Windows lacks SIGSTOP and file modes")


class Flag:
    up = False

    def raise_(self) -> None:
        self.up = True

    def __bool__(self) -> bool:
        return self.up


@pytest.fixture
def place(tmp_path) -> Path:
    return tmp_path / "turns"


@pytest.fixture
def engine(tiny_model, tmp_path, place) -> Iterator:
    """A real engine that takes turns; called twice, two."""
    engines: list[EngineProcess] = []

    def make() -> EngineProcess:
        options = LoadOptions(path=str(tiny_model), n_threads=1, n_ctx=512, turns=str(place))
        log = tmp_path / f"log{len(engines)}"
        engines.append(EngineProcess(options, log=log, ladder=Ladder(tmp_path / "ladder")))
        for _ in engines[-1].wait_until_loaded():
            pass
        return engines[-1]

    yield make
    for each in engines:
        each.close()


@contextmanager
def holder(place: Path) -> Iterator[subprocess.Popen]:
    """Another process that has the turn."""
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(place)], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"held\n"
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def waits(turns: Turns) -> list[float]:
    """How long a request waited, as it was told."""
    told: list[float] = []
    with turns.taken(told.append):
        pass
    return told


def test_two_engines_evaluate_one_after_the_other(engine):
    first, second = engine(), engine()
    times: dict[str, list[float]] = {"first": [], "second": []}
    has_begun = threading.Event()

    def ask(name: str, asked: EngineProcess) -> None:
        for event in asked.reply(LONG):
            if isinstance(event, Reading | Delta | Finished):
                times[name].append(time.monotonic())
                has_begun.set()

    threads = [threading.Thread(target=ask, args=pair) for pair in (("first", first), ("second", second))]
    threads[0].start()
    has_begun.wait()
    threads[1].start()
    for thread in threads:
        thread.join()
    assert times["second"][0] >= times["first"][-1] - 0.05


def test_a_request_that_waits_says_so_and_begins_when_the_other_has_ended(engine, place):
    asked = engine()
    with holder(place) as other:
        events = asked.reply(Request(LONG.messages, {"temperature": 0}, max_tokens=2))
        assert isinstance(next(events), Waiting)
        other.kill()  # the system frees what it held
        rest = list(events)
    assert not any(isinstance(event, Waiting) for event in rest)
    assert rest[-1].reason is FinishReason.LENGTH
    assert rest[-1].timings.prefill < 5


def test_ctrl_c_ends_a_wait_at_once(engine, place):
    asked = engine()
    with holder(place):
        events = asked.reply(LONG)
        assert isinstance(next(events), Waiting)
        started = time.monotonic()
        asked.interrupt()
        *_, finished = events
    assert finished.reason is FinishReason.INTERRUPTED
    assert time.monotonic() - started < 0.2


def test_work_ahead_is_not_begun_while_another_answers(engine, place):
    asked = engine()

    def n_reused(text: str) -> int:
        """Tokens of a prompt that were there when it came, half a second after it was announced."""
        request = Request((Message(Role.USER, text),), max_tokens=1)
        asked.prefill(request)
        time.sleep(0.5)
        place.unlink(missing_ok=True)  # the request itself is not to wait
        *_, finished = asked.reply(request)
        return finished.usage.reused_tokens

    assert n_reused("one two three " * 20) > 50
    with holder(place):
        assert n_reused("four five six " * 20) < 50


def test_work_ahead_that_is_under_way_gives_way(place):
    flag = Flag()
    with Turns(place, flag).ahead():
        assert not flag
        with Turns(place, Flag()).taken(print):
            deadline = time.monotonic() + 5
            while not flag and time.monotonic() < deadline:
                time.sleep(0.01)
    assert flag


def test_after_a_long_turn_who_waits_comes_first(place):
    order: list[str] = []
    waits, is_over = threading.Event(), threading.Event()

    def wait() -> None:
        with Turns(place, Flag()).taken(lambda _seconds: waits.set()):
            order.append("other")
        is_over.set()

    other = threading.Thread(target=wait)
    with Turns(place, Flag(), long=0).taken(print) as turn:
        other.start()
        waits.wait()
        order.append("before")
        deadline = time.monotonic() + 10
        while not is_over.is_set() and time.monotonic() < deadline:
            turn.share()
        order.append("after")
        assert Turns(place, Flag()).is_anothers
    other.join()
    assert order == ["before", "other", "after"]


def test_a_turn_that_is_not_long_is_kept(place):
    with Turns(place, Flag(), long=60).taken(print) as turn:
        clock, started = turn.clock(), time.monotonic()
        turn.share()
        assert turn.clock() - clock == pytest.approx(time.monotonic() - started, abs=0.04)
        assert Turns(place, Flag()).is_anothers


def test_where_there_are_no_turns_nothing_is_shared():
    asked: list[str] = []
    turn = Turn(lambda: asked.append("wait"), long=0)
    turn.share()
    assert asked == ["wait"]


@posix_only
def test_a_holder_that_was_stopped_is_not_waited_for_for_ever_and_then_not_at_all(place):
    turns = Turns(place, Flag(), silence=1.0)
    with holder(place) as other:
        other.send_signal(signal.SIGSTOP)
        started = time.monotonic()
        assert waits(turns)
        assert 0.9 < time.monotonic() - started < 4
        assert waits(turns) == []
        assert not turns.is_anothers
        other.send_signal(signal.SIGCONT)
        deadline = time.monotonic() + 5
        while not turns.is_anothers and time.monotonic() < deadline:
            time.sleep(0.05)
        assert turns.is_anothers


@posix_only
def test_a_holder_that_is_stuck_is_not_waited_for_for_ever(place):
    is_over = threading.Event()

    def hold() -> None:
        with Turns(place, Flag()).taken(print, lambda: True):
            is_over.wait()

    holding = threading.Thread(target=hold)
    holding.start()
    turns = Turns(place, Flag(), silence=1.0)
    while not turns.is_anothers:
        time.sleep(0.01)
    assert waits(turns)
    assert waits(turns) == []
    is_over.set()
    holding.join()


@posix_only
def test_other_users_can_take_turns_with_us(place):
    with Turns(place, Flag()).taken(print):
        assert place.stat().st_mode & 0o777 == 0o666


@posix_only
@pytest.mark.parametrize("obstacle", ["folder", "link", "pipe", "missing folder"])
def test_where_there_can_be_no_turns_everybody_computes(place, tmp_path, obstacle):
    if obstacle == "folder":
        place.mkdir()
    elif obstacle == "link":
        place.symlink_to(tmp_path / "elsewhere")
    elif obstacle == "pipe":
        os.mkfifo(place)
    else:
        place = tmp_path / "missing" / "turns"
    turns = Turns(place, Flag())
    with turns.taken(print):
        assert waits(Turns(place, Flag())) == []
        assert not turns.is_anothers
    assert not (tmp_path / "elsewhere").exists()


@posix_only
def test_a_file_that_was_swept_away_is_made_anew(place):
    with Turns(place, Flag()).taken(print):
        place.unlink()
        with Turns(place, Flag()).taken(print):
            assert Turns(place, Flag()).is_anothers
