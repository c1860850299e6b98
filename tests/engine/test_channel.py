"""Requests queue in order; a Cancel reaches the right one; a Prefill gives way."""

from __future__ import annotations

from llamachat.engine.channel import Jobs
from llamachat.engine.protocol import Cancel, Close, Prefill, Render, Reply
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
