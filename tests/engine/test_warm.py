"""Engines that stay: the next one-shot finds them, nothing odd is used, and they end by themselves."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import psutil
import pytest

from llamachat.engine import stay
from llamachat.engine.base import Delta, Request
from llamachat.engine.ladder import Ladder
from llamachat.engine.pipe import pack
from llamachat.engine.process import EngineProcess
from llamachat.engine.protocol import Load, Reply
from llamachat.engine.warm import Warm, find, places, stop
from llamachat.types import FinishReason, LoadOptions, Message, Role, Sampling

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Python has no Unix sockets on Windows")

TEXT = "one two three four five six seven eight nine ten " * 3
MESSAGES = (Message(Role.USER, TEXT),)
KEPT = Request(MESSAGES, {"temperature": 0}, max_tokens=2, owner="somebody")


@pytest.fixture
def folder(tmp_path) -> Iterator[Path]:
    folder = tmp_path / "warm"
    yield folder
    with suppress(OSError):
        folder.chmod(0o700)
    pids = [found.says.pid for found in find(folder)]
    stop(folder)
    for pid in pids:
        assert is_gone(pid)


@pytest.fixture
def open_engine(tiny_model, tmp_path, folder) -> Iterator:
    """An engine, loaded, that stays for a minute when it is closed."""
    engines: list[EngineProcess] = []

    def call(seconds: float = 60, **options) -> EngineProcess:
        load = LoadOptions(path=str(tiny_model), n_threads=1, **{"n_ctx": 512, **options})
        log, ladder = tmp_path / "engine.log", Ladder(tmp_path / "ladder")
        engines.append(EngineProcess(load, log=log, ladder=ladder, warm=Warm(folder, seconds)))
        for _ in engines[-1].wait_until_loaded():
            pass
        return engines[-1]

    yield call
    for engine in engines:
        engine.close()


def ask(engine: EngineProcess, request: Request = KEPT):
    """The end of an answer, and the engine's process; it is closed."""
    *_, finished = engine.reply(request)
    pid = engine.pid
    engine.close()
    return finished, pid


def is_gone(pid: int, seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.02)
    return False


def until_free(folder: Path) -> None:
    """Until the engine that stays has noticed that nobody is there."""
    deadline = time.monotonic() + 10
    while not [found for found in find(folder) if not found.says.is_busy]:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_the_next_finds_the_engine_with_all_that_it_has_read(open_engine, folder):
    first, pid = ask(open_engine())
    assert first.usage.reused_tokens == 0
    second, other = ask(open_engine())
    assert other == pid
    assert second.usage.reused_tokens >= second.usage.prompt_tokens - 1
    assert second.timings.load == 0
    assert [found.says.pid for found in find(folder)] == [pid]


def test_it_has_left_the_terminal_and_its_socket_is_its_users_alone(open_engine, folder):
    _, pid = ask(open_engine())
    assert os.getsid(pid) == pid
    assert folder.stat().st_mode & 0o777 == 0o700
    assert [place.stat().st_mode & 0o077 for place in places(folder)] == [0]


def test_it_says_what_it_is_and_for_how_long(open_engine, folder, tiny_model):
    _, pid = ask(open_engine(seconds=50))
    (found,) = find(folder)
    assert (found.says.pid, found.says.model, found.says.is_busy) == (pid, tiny_model.stem, False)
    assert 40 < found.says.seconds <= 50
    assert found.says.n_bytes > 10e6


def test_it_ends_when_nobody_has_come_for_so_long(open_engine, folder):
    _, pid = ask(open_engine(seconds=0.5))
    assert is_gone(pid)
    assert places(folder) == []


def test_who_only_looks_does_not_keep_it(open_engine, folder):
    _, pid = ask(open_engine(seconds=1))
    deadline = time.monotonic() + 10
    while list(find(folder)):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert is_gone(pid)


def test_it_ends_when_its_socket_is_gone(open_engine, folder):
    _, pid = ask(open_engine())
    places(folder)[0].unlink()
    assert is_gone(pid)


def test_it_ends_when_it_is_told_to(open_engine, folder):
    _, pid = ask(open_engine())
    assert stop(folder) == 1
    assert is_gone(pid)
    assert (stop(folder), places(folder)) == (0, [])


def test_other_options_are_another_engine(open_engine, folder):
    _, pid = ask(open_engine())
    _, other = ask(open_engine(n_ctx=256))
    assert other != pid
    assert sorted(found.says.pid for found in find(folder)) == sorted([pid, other])


def test_a_model_file_that_has_changed_is_another_engine(open_engine, tiny_model):
    _, pid = ask(open_engine())
    before = tiny_model.stat()
    os.utime(tiny_model, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    _, other = ask(open_engine())
    assert other != pid


def test_while_it_answers_somebody_others_have_engines_of_their_own_which_do_not_stay(open_engine, folder):
    _, pid = ask(open_engine())
    busy, other = open_engine(), open_engine()
    assert (busy.pid, other.pid != pid) == (pid, True)
    assert [found.says.is_busy for found in find(folder)] == [True]
    finished, other_pid = ask(other)
    assert finished.reason is FinishReason.LENGTH
    assert is_gone(other_pid)
    assert ask(busy)[0].reason is FinishReason.LENGTH
    until_free(folder)
    assert [found.says.pid for found in find(folder)] == [pid]


def test_ctrl_c_of_a_one_shot_leaves_it_alive(open_engine, folder):
    _, pid = ask(open_engine())
    engine = open_engine()
    events = engine.reply(Request(MESSAGES, max_tokens=400, owner="somebody"))
    while not isinstance(next(events), Delta):
        pass
    engine.interrupt()
    *_, finished = events
    assert finished.reason is FinishReason.INTERRUPTED
    engine.close()
    assert ask(open_engine())[1] == pid


def test_a_one_shot_that_dies_in_mid_answer_leaves_it_alive(open_engine, folder, tiny_model):
    _, pid = ask(open_engine())
    options = LoadOptions(path=str(tiny_model), n_threads=1, n_ctx=512)
    nothing = dict.fromkeys(("exact", "open_answer", "raw_tags", "shift"), False)
    request = Reply(id=1, messages=MESSAGES, sampling=Sampling(), seeds=(1,), max_tokens=400, stops=(), **nothing)
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(places(folder)[0]))
        connection.sendall(pack(Load(options)) + pack(request))
        time.sleep(0.2)
    until_free(folder)
    finished, other = ask(open_engine())
    assert other == pid
    assert finished.usage.reused_tokens == 0  # what it was asked was nobody's to keep


def test_one_that_was_killed_is_followed_by_another_in_its_place(open_engine, folder):
    _, pid = ask(open_engine())
    os.kill(pid, signal.SIGKILL)
    assert is_gone(pid)
    _, other = ask(open_engine())
    assert [found.says.pid for found in find(folder)] == [other]


def test_one_that_is_stopped_is_not_waited_for(open_engine):
    _, pid = ask(open_engine())
    os.kill(pid, signal.SIGSTOP)
    try:
        _, other = ask(open_engine())
    finally:
        os.kill(pid, signal.SIGCONT)
    assert other != pid


def test_one_that_dies_under_a_one_shot_costs_a_new_one(open_engine):
    _, pid = ask(open_engine())
    engine = open_engine()
    os.kill(pid, signal.SIGKILL)
    finished, other = ask(engine)
    assert finished.reason is FinishReason.LENGTH
    assert other != pid


def test_what_was_not_to_be_kept_is_forgotten(open_engine, tmp_path):
    cache = {"cache_folder": str(tmp_path / "kv"), "cache_bytes": 10**9}
    _, pid = ask(open_engine(**cache), Request(MESSAGES, max_tokens=2))
    finished, other = ask(open_engine(**cache), Request(MESSAGES, max_tokens=2))
    assert (other, finished.usage.reused_tokens) == (pid, 0)
    assert ask(open_engine(**cache))[0].usage.reused_tokens == 0
    assert ask(open_engine(**cache), Request(MESSAGES, max_tokens=2))[0].usage.reused_tokens > 0
    assert ask(open_engine(**cache))[0].usage.reused_tokens == 0
    assert not list((tmp_path / "kv").rglob("*.kv"))  # reading so little is noticed by nobody


def test_a_folder_that_others_can_open_is_not_used(open_engine, folder):
    _, pid = ask(open_engine())
    folder.chmod(0o750)
    _, other = ask(open_engine())
    assert other != pid
    assert is_gone(other)


def test_nothing_is_removed_from_a_folder_that_others_can_open(folder):
    folder.mkdir(mode=0o755)
    theirs = folder / "letter"
    theirs.write_text("Dear Anna")
    assert stop(folder) == 0
    assert theirs.exists()
    theirs.unlink()


def test_who_finds_the_place_of_one_that_lets_nobody_in_does_not_stay(open_engine, folder):
    _, pid = ask(open_engine())
    (place,) = places(folder)
    with ExitStack() as waiting:
        os.kill(pid, signal.SIGSTOP)
        try:
            with suppress(BlockingIOError):
                for _ in range(20):  # until no more can wait
                    other = waiting.enter_context(socket.socket(socket.AF_UNIX))
                    other.setblocking(False)
                    other.connect(str(place))
            _, second = ask(open_engine())
            assert second != pid
            assert is_gone(second)
        finally:
            os.kill(pid, signal.SIGCONT)


def test_one_whose_time_is_over_by_the_clock_ends(tmp_path):
    """The machine slept: of its own time little has passed, and those who look take it for dead."""
    place = tmp_path / "place"
    listener, known = stay._listen(place)
    desk = stay.Desk(listener, place, known, 3600, lambda: ("m", 1))
    desk._announced = time.time() - 1
    assert desk.next() is None
    assert not place.exists()


def test_of_two_that_take_the_place_at_once_the_later_has_it(tmp_path, monkeypatch):
    place = tmp_path / "place"
    monkeypatch.setattr(stay, "_lives", lambda _place: False)
    desks = []
    for _ in range(2):
        listener, known = stay._listen(place)
        desks.append(stay.Desk(listener, place, known, 3600, lambda: ("m", 1)))
    first, second = desks
    assert first.next() is None
    assert place.exists()
    assert not second.has_visitor
    second.close()
    assert not place.exists()


@pytest.mark.parametrize("answer", [b"", b"Hello, who is there?", None])
def test_whoever_else_sits_at_the_socket_is_not_talked_to(open_engine, folder, answer):
    """Who hangs up, who says something else, and who says nothing."""
    _, pid = ask(open_engine())
    (place,) = places(folder)
    stop(folder)
    assert is_gone(pid)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(place))
        listener.listen()

        def sit() -> None:
            with ExitStack() as silent, suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    silent.enter_context(connection)
                    if answer is not None:
                        with connection, suppress(OSError):
                            connection.sendall(answer)

        sitting = threading.Thread(target=sit)
        sitting.start()
        started = time.monotonic()
        engine = open_engine()
        assert time.monotonic() - started < 20
        finished, other = ask(engine)
        assert finished.reason is FinishReason.LENGTH
        assert is_gone(other)
        listener.shutdown(socket.SHUT_RDWR)
        sitting.join()
    place.unlink()
