"""The line of progress: what it says, and that nothing of it stays."""

from __future__ import annotations

import io
import time

import pyte
import pytest

from llamachat.engine.base import Delta, Reading, Waiting
from llamachat.environment import Environment
from llamachat.ui.answer import AnswerWriter, Harmless
from llamachat.ui.screen import AnswerView
from llamachat.ui.status import Status


@pytest.fixture
def shown():
    """A status on a terminal, and what is on its screen."""
    stderr, screen = io.StringIO(), pyte.Screen(80, 4)
    stream = pyte.Stream(screen)

    def make(**options) -> tuple[Status, object]:
        environment = Environment(
            io.BytesIO(), io.BytesIO(), stderr, "utf-8",
            stdin_is_terminal=False, stdout_is_terminal=False, stderr_is_terminal=True, variables={"TERM": "xterm"},
        )  # fmt: skip

        def lines() -> str:
            stream.feed(stderr.getvalue())
            stderr.seek(0)
            stderr.truncate()
            return "\n".join(screen.display).strip()

        return Status(environment, **{"quiet": False, "plain": False, **options}), lines

    return make


def test_a_wait_for_another_llamachat_is_told_in_seconds_and_leaves_no_trace(shown):
    status, lines = shown()
    time.sleep(0.4)
    for seconds in (0.4, 1.0, 2.02):
        status.wait(Waiting(seconds))
    assert lines() == "waiting for another llamachat… 2 s"
    status.progress(Reading(0, 100))
    assert lines() == "reading 100 tokens… 0 %"
    status.clear()
    assert lines() == ""


def test_where_nothing_moves_a_long_wait_for_another_llamachat_is_a_line_once(shown):
    status, lines = shown(plain=True)
    for seconds in (0.4, 9.0, 10.0, 11.0):
        status.wait(Waiting(seconds))
    status.clear()
    assert lines() == "llamachat: waiting for another llamachat, which has the processor."


@pytest.mark.parametrize("option", ["quiet", "plain"])
def test_where_nothing_may_move_or_be_said_nothing_is(shown, option):
    status, lines = shown(**{option: True})
    time.sleep(0.4)
    status.wait(Waiting(5))
    status.clear()
    assert lines() == ""


def test_the_rate_of_reading_does_not_count_a_wait(shown, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    status, lines = shown()

    def at(seconds: float, event) -> str:
        clock[0] = seconds
        status.wait(event) if isinstance(event, Waiting) else status.progress(event)
        return lines()

    at(1, Reading(0, 1000))
    assert at(11, Reading(400, 1000)) == "reading 1,000 tokens… 40 %, 40/s"
    at(12, Waiting(1))
    at(41, Reading(400, 1000))
    assert at(51, Reading(800, 1000)) == "reading 1,000 tokens… 80 %, 40/s"


@pytest.mark.parametrize("options", [{"quiet": True}, {"plain": True}])
def test_where_no_wait_is_told_no_answer_is_broken(shown, options):
    status, _ = shown(**options)
    status.wait(Waiting(1.0), pytest.fail)


def test_an_answer_that_waits_in_its_middle_says_so_below_and_keeps_every_word():
    screen = pyte.Screen(80, 4)
    screen.set_mode(pyte.modes.LNM)
    stream = pyte.Stream(screen)

    class Out(io.BytesIO):
        def write(self, data) -> int:
            stream.feed(bytes(data).decode())
            return len(data)

    class Err(io.StringIO):
        def write(self, text: str) -> int:
            stream.feed(text)
            return len(text)

    environment = Environment(
        io.BytesIO(), Out(), Err(), "utf-8",
        stdin_is_terminal=True, stdout_is_terminal=True, stderr_is_terminal=True, variables={"TERM": "xterm"},
    )  # fmt: skip

    def lines() -> list[str]:
        return [line.rstrip() for line in screen.display]

    status = Status(environment, quiet=False, plain=False)
    view = AnswerView(AnswerWriter(environment, Harmless(), status.clear), status, lambda *_: None, plain=False)
    view.show(Delta("Once upon a "))
    time.sleep(0.4)
    view.show(Waiting(1.0))
    assert lines() == ["Once upon a", "waiting for another llamachat… 1 s", "", ""]
    view.show(Delta("time."))
    view.end()
    assert lines() == ["Once upon a", "time.", "", ""]
