"""Requests queue in order; a Cancel reaches the right one; a Prefill gives way; what ends a visit."""

from __future__ import annotations

import os
import sys
import threading
import time

import pytest

from llamachat.engine.channel import Channel, Jobs, Left
from llamachat.engine.pipe import pack
from llamachat.engine.protocol import Cancel, Close, Prefill, Render, Reply, Stay, TextDelta
from llamachat.types import Message, Role, Sampling


class Flag:
    up = False

    def raise_(self) -> None:
        self.up = True

    def lower(self) -> None:
        self.up = False


def jobs() -> tuple[Jobs, Flag]:
    flag = Flag()
    return Jobs(flag), flag


def render(number: int) -> Render:
    return Render(number, (), False, False)


def test_requests_come_in_the_order_they_were_received():
    queue, flag = jobs()
    for number in (1, 2):
        queue.receive(render(number))
    assert [queue.next().id, queue.next().id] == [1, 2]
    assert not flag.up


def test_a_cancel_stops_the_running_request_and_no_other():
    queue, flag = jobs()
    queue.receive(render(1))
    queue.next()
    queue.receive(Cancel(2))
    assert not flag.up
    queue.receive(Cancel(1))
    assert flag.up


def test_a_request_cancelled_while_it_waited_begins_stopped():
    queue, flag = jobs()
    queue.receive(render(1))
    queue.receive(Cancel(1))
    queue.next()
    assert flag.up


def test_the_request_after_a_cancelled_one_runs():
    queue, flag = jobs()
    queue.receive(render(1))
    queue.next()
    queue.receive(Cancel(1))
    queue.receive(render(2))
    queue.next()
    assert not flag.up


def test_a_running_prefill_gives_way_to_the_next_request():
    queue, flag = jobs()
    queue.receive(Prefill(1, (), exact=False, shift=False))
    queue.next()
    assert not flag.up
    queue.receive(render(2))
    assert flag.up


def test_a_prefill_that_waits_behind_another_request_is_skipped():
    queue, flag = jobs()
    queue.receive(Prefill(1, (), exact=False, shift=False))
    queue.receive(render(2))
    queue.next()
    assert flag.up
    queue.next()
    assert not flag.up


HEAD = (Message(Role.SYSTEM, "Be brief."),)


def typed(number: int, text: str) -> Prefill:
    return Prefill(number, (*HEAD, Message(Role.USER, text)), exact=False, shift=False, unfinished=True)


def question(number: int, text: str) -> Reply:
    messages = (*HEAD, Message(Role.USER, text))
    return Reply(
        number, messages, Sampling(), exact=False, max_tokens=None, stops=(), open_answer=False, raw_tags=False,
        shift=False, seeds=(1,),
    )  # fmt: skip


def test_a_prefill_that_is_wanted_ends_its_batch_first():
    for wanted in (typed(2, "Tell me a story about "), question(2, "Tell me a story.")):
        queue, flag = jobs()
        queue.receive(typed(1, "Tell me a "))
        queue.next()
        queue.receive(wanted)
        assert not flag.up
        assert queue.is_waiting


def test_a_prefill_of_a_text_that_was_changed_is_aborted():
    queue, flag = jobs()
    queue.receive(typed(1, "Tell me a "))
    queue.next()
    queue.receive(question(2, "Tell us a story."))
    assert flag.up


def test_ctrl_c_does_not_wait_for_a_prefill_before_the_request():
    queue, flag = jobs()
    queue.receive(typed(1, "Tell me a "))
    queue.next()
    queue.receive(question(2, "Tell me a story."))
    queue.receive(Cancel(2))
    assert flag.up


def test_a_close_stops_what_runs_and_comes_last():
    queue, flag = jobs()
    queue.receive(render(1))
    queue.next()
    assert not queue.is_waiting
    queue.receive(Close())
    assert flag.up
    assert queue.is_waiting
    assert isinstance(queue.next(), Close)


def test_what_runs_while_nobody_waits_is_stopped_by_any_request():
    for frame in (render(2), Prefill(2, (), False, False), Close()):
        queue, flag = jobs()
        queue.receive(render(1))
        queue.next()
        assert queue.rest(0.0)
        assert not flag.up
        queue.receive(frame)
        assert flag.up


def test_the_request_that_stopped_it_runs():
    queue, flag = jobs()
    assert queue.rest(0.0)
    queue.receive(render(1))
    queue.next()
    assert not flag.up
    queue.receive(render(2))
    assert not flag.up


def test_there_is_no_rest_while_a_request_waits_or_when_one_comes():
    queue, _ = jobs()
    queue.receive(render(1))
    assert not queue.rest(60)
    queue.next()
    threading.Timer(0.05, lambda: queue.receive(render(2))).start()
    assert not queue.rest(60)


def test_a_late_cancel_of_what_has_ended_stops_nothing():
    queue, flag = jobs()
    queue.receive(render(1))
    queue.next()
    assert queue.rest(0.0)
    queue.receive(Cancel(1))
    assert not flag.up


@pytest.fixture
def pipes():
    """A channel, and llamachat's ends of it: to write to, to read from."""
    incoming, to_it = os.pipe()
    from_it, outgoing = os.pipe()
    hung_up: list[bool] = []
    channel = Channel(incoming, outgoing, lambda: hung_up.append(True))
    ends = {to_it, from_it}
    yield channel, to_it, from_it, ends, hung_up
    channel.close()
    for descriptor in ends:
        os.close(descriptor)


def test_nothing_is_heard_after_a_stay_and_the_end_of_the_pipe_is_nobodys_end(pipes):
    channel, to_it, _, ends, _ = pipes
    os.write(to_it, pack(render(1)) + pack(Stay(5.0, "place")) + pack(render(2)))
    ends.discard(to_it)
    os.close(to_it)
    heard: list = []
    channel.listen(heard.append, at_end=heard.append)
    assert heard == [render(1), Stay(5.0, "place")]


def test_the_end_of_a_visit_is_told_with_what_was_wrong(pipes):
    channel, to_it, _, ends, _ = pipes
    os.write(to_it, b"no frame")
    ends.discard(to_it)
    os.close(to_it)
    codes: list[int] = []
    channel.listen(codes.append, at_end=codes.append)
    assert codes == [70]


def test_who_does_not_read_any_more_is_hung_up_on(pipes):
    channel, _, from_it, ends, hung_up = pipes
    ends.discard(from_it)
    os.close(from_it)
    channel.send(render(1))
    assert hung_up == [True]


@pytest.mark.skipif(sys.platform == "win32", reason="pipes are of another size on Windows")
def test_a_frame_that_is_not_read_is_stuck(pipes, monkeypatch):
    monkeypatch.setattr("llamachat.engine.channel._STUCK", 0.05)
    channel, _, from_it, _, _ = pipes
    frame = TextDelta(1, "x" * 300_000)
    assert not channel.is_stuck
    sending = threading.Thread(target=channel.send, args=(frame,))
    sending.start()
    deadline = time.monotonic() + 5
    while not channel.is_stuck and time.monotonic() < deadline:
        time.sleep(0.01)
    assert channel.is_stuck
    n_left = len(pack(frame))
    while n_left:
        n_left -= len(os.read(from_it, n_left))
    sending.join()
    assert not channel.is_stuck


@pytest.mark.parametrize("end", [Close(), Stay(5.0, "place"), Left()])
def test_an_end_stops_the_running_request(end):
    queue, flag = jobs()
    queue.receive(render(1))
    queue.next()
    queue.receive(end)
    assert flag.up
    assert queue.next() == end
    assert not flag.up
