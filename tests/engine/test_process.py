"""The parent's side, against a scripted child: started, supervised, interrupted, restarted."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from llamachat.engine.base import Delta, Finished, Loading, Notice, Reading, Request, Token
from llamachat.engine.ladder import Ladder, Rung
from llamachat.engine.protocol import MeasureDone
from llamachat.errors import EngineDied, Interrupted, LlamachatError, ModelError
from llamachat.types import FinishReason, Message, Role

QUESTION = Request((Message(Role.USER, "hi"),))


def text_of(events) -> str:
    return "".join(event.text for event in events if isinstance(event, Delta))


def n_starts(tmp_path: Path) -> int:
    return (tmp_path / "starts").stat().st_size


def test_an_answer_comes_as_events_in_order(scripted):
    events = list(scripted("answer").reply(QUESTION))
    kinds = [type(event) for event in events]
    assert kinds == [Loading, Notice, Reading, Delta, Delta, Finished]
    assert text_of(events) == "Hello at 0.5"
    assert events[-1].usage.reused_tokens == 1


def test_a_request_overrides_the_models_sampling(scripted):
    request = Request(QUESTION.messages, sampling={"temperature": 0})
    assert text_of(scripted("answer").reply(request)) == "Hello at 0.0"


def test_the_second_request_needs_no_new_process(scripted, tmp_path):
    engine = scripted("answer")
    assert text_of(engine.reply(QUESTION)) == text_of(engine.reply(QUESTION))
    assert n_starts(tmp_path) == 1


def test_a_crash_at_load_is_retried_without_amx_and_said_once(scripted, tmp_path):
    engine = scripted("crash-with-amx")
    events = list(engine.reply(QUESTION))
    notices = [event.text for event in events if isinstance(event, Notice)]
    assert text_of(events) == "Hello at 0.5"
    assert sum("llamachat doctor --fix" in notice for notice in notices) == 1
    assert "AMX" in notices[-1]
    assert n_starts(tmp_path) == 2
    assert not any("llamachat doctor --fix" in e.text for e in engine.reply(QUESTION) if isinstance(e, Notice))


def test_the_rung_that_worked_is_remembered_for_the_next_process(scripted, tmp_path):
    list(scripted("crash-with-amx").reply(QUESTION))
    assert Ladder(tmp_path / "ladder.json").rung("fake") is Rung.NO_AMX
    assert Ladder(tmp_path / "ladder.json").rung("another family") is Rung.AS_CONFIGURED
    events = list(scripted("crash-with-amx").reply(QUESTION))
    assert n_starts(tmp_path) == 3  # twice the first time, once the second
    assert not any("llamachat doctor --fix" in event.text for event in events if isinstance(event, Notice))


def test_a_crash_at_the_first_token_is_retried_and_the_request_sent_again(scripted, tmp_path):
    assert text_of(scripted("crash-at-first-token").reply(QUESTION)) == "Hello at 0.5"
    assert n_starts(tmp_path) == 2


def test_a_crash_on_every_rung_is_an_error_that_names_the_command(scripted, tmp_path):
    with pytest.raises(EngineDied, match="SIGSEGV") as caught:
        list(scripted("crash-at-load").reply(QUESTION))
    assert "llamachat doctor --fix" in caught.value.hint
    assert n_starts(tmp_path) == 3  # as configured, without AMX, without extra buffers: no GPU here


def test_being_killed_while_loading_is_retried_once_and_blames_memory(scripted, tmp_path):
    with pytest.raises(EngineDied, match="SIGKILL") as caught:
        list(scripted("killed-at-load").reply(QUESTION))
    assert "memory" in caught.value.hint
    assert n_starts(tmp_path) == 2


def test_being_killed_once_while_loading_costs_nothing(scripted, tmp_path):
    assert text_of(scripted("killed-at-first-load").reply(QUESTION)) == "Hello at 0.5"
    assert Ladder(tmp_path / "ladder.json").rung("fake") is Rung.AS_CONFIGURED


def test_a_crash_in_an_answer_keeps_what_came_and_the_next_turn_works(scripted):
    engine, came = scripted("die-once"), []
    with pytest.raises(EngineDied, match="SIGSEGV"):
        for event in engine.reply(QUESTION):
            came.append(event)
    assert text_of(came) == "Hello"
    assert text_of(engine.reply(QUESTION)) == "Hello at 0.5"


def test_a_crash_before_the_first_word_costs_the_request_nothing(scripted, tmp_path):
    assert text_of(scripted("die-in-prefill").reply(QUESTION)) == "Hello at 0.5"
    assert n_starts(tmp_path) == 2


def test_a_request_that_crashes_every_engine_is_tried_twice(scripted, tmp_path):
    with pytest.raises(EngineDied, match="SIGSEGV"):
        list(scripted("die-in-every-prefill").reply(QUESTION))
    assert n_starts(tmp_path) in (2, 3)  # the next one may be starting already


@pytest.mark.parametrize(
    ("scenario", "reason"),
    [("garbage", "expected a frame"), ("unknown-frame", "unreadable frame"), ("half-a-frame", "half|ended")],
)
def test_what_is_no_frame_is_a_clear_error_and_no_hang(scripted, scenario, reason):
    started = time.monotonic()
    with pytest.raises(EngineDied, match=reason):
        list(scripted(scenario).reply(QUESTION))
    assert time.monotonic() - started < 9  # the child would sleep for 10


def test_a_model_that_cannot_be_loaded_is_the_error_of_every_request(scripted, tmp_path):
    engine = scripted("no-model")
    for _ in range(2):
        with pytest.raises(ModelError, match="no such model"):
            list(engine.reply(QUESTION))
    assert n_starts(tmp_path) == 1


def test_an_interrupt_ends_the_answer_with_what_it_said(scripted):
    engine = scripted("wait-for-cancel")
    came = []
    for event in engine.reply(QUESTION):
        came.append(event)
        if isinstance(event, Delta):
            engine.interrupt()
    assert text_of(came) == "Hello"
    assert came[-1].reason is FinishReason.INTERRUPTED


def test_an_engine_deaf_to_interrupts_is_killed_and_comes_back(scripted, tmp_path):
    engine = scripted("deaf")
    came = []
    for event in engine.reply(QUESTION):
        came.append(event)
        if isinstance(event, Delta):
            engine.interrupt()
            engine.interrupt()  # a second Ctrl-C does not wait
    assert came[-1].reason is FinishReason.INTERRUPTED
    assert text_of(came) == "Hello"
    for _ in engine.wait_until_loaded():
        pass
    assert n_starts(tmp_path) == 2


def test_an_interrupt_while_loading_gives_up_the_request_only(scripted):
    engine = scripted("slow-load")
    threading.Timer(0.5, engine.interrupt).start()
    with pytest.raises(Interrupted):
        list(engine.reply(QUESTION))
    assert text_of(engine.reply(QUESTION)) == "Hello at 0.5"


class TestSeveralAnswers:
    QUESTION = Request(QUESTION.messages, seed=7, n=3)

    def test_their_events_come_with_an_index_until_each_has_ended(self, scripted):
        engine = scripted("answer")
        events = list(engine.reply(self.QUESTION))
        assert [(event.index, event.text) for event in events if isinstance(event, Delta)] == [
            (0, "seed 7"),
            (1, "seed 8"),
            (2, "seed 9"),
        ]
        ends = [event for event in events if isinstance(event, Finished)]
        assert [(end.index, end.seed) for end in ends] == [(1, 8), (0, 7), (2, 9)]
        assert text_of(engine.reply(QUESTION)) == "Hello at 0.5"

    def test_seeds_go_round_at_their_end(self, scripted):
        request = Request(QUESTION.messages, seed=2**32 - 2, n=2)
        assert text_of(scripted("answer").reply(request)) == "seed 4294967294seed 0"

    def test_an_interrupt_ends_those_that_go_on(self, scripted):
        engine, ends = scripted("wait-for-cancel"), []
        for event in engine.reply(self.QUESTION):
            if isinstance(event, Finished):
                if not ends:
                    engine.interrupt()
                ends.append((event.index, event.reason))
        assert ends == [(1, FinishReason.STOP), (0, FinishReason.INTERRUPTED), (2, FinishReason.INTERRUPTED)]

    def test_an_engine_deaf_to_interrupts_is_killed_and_those_that_went_on_end(self, scripted):
        engine, ends = scripted("deaf"), []
        for event in engine.reply(self.QUESTION):
            if isinstance(event, Finished):
                if not ends:
                    engine.interrupt()
                    engine.interrupt()
                ends.append((event.index, event.reason))
        assert ends == [(1, FinishReason.STOP), (0, FinishReason.INTERRUPTED), (2, FinishReason.INTERRUPTED)]

    def test_a_crash_is_the_end_of_all_and_the_next_turn_works(self, scripted):
        engine, came = scripted("die-once"), []
        with pytest.raises(EngineDied, match="SIGSEGV"):
            for event in engine.reply(self.QUESTION):
                came.append(event)
        assert text_of(came) == "seed 7seed 8seed 9"
        assert len([event for event in engine.reply(self.QUESTION) if isinstance(event, Finished)]) == 3

    def test_a_crash_before_the_first_word_costs_the_request_nothing(self, scripted, tmp_path):
        assert text_of(scripted("die-in-prefill").reply(self.QUESTION)) == "seed 7seed 8seed 9"
        assert n_starts(tmp_path) == 2


def test_tokens_of_a_text_are_shown_or_only_counted(scripted):
    engine = scripted("answer")
    assert engine.tokens("hi") == (Token(104, "h"), Token(105, "i"))
    assert engine.count("hello") == 5


def test_a_prompt_is_measured_once(scripted, monkeypatch):
    engine = scripted("answer")
    short, long = QUESTION.messages, QUESTION.messages * 3
    assert engine.measure([short, long, short]) == (1, 3, 1)
    asked = []
    monkeypatch.setattr(engine, "_ask", lambda frame, _kind: asked.append(frame) or MeasureDone(frame.id, (2,)))
    assert engine.measure([long, QUESTION.messages * 2, short]) == (3, 2, 1)
    assert [frame.prompts for frame in asked] == [(QUESTION.messages * 2,)]


def test_counting_waits_for_the_model_and_an_interrupt_gives_up(scripted):
    engine = scripted("slow-load")
    threading.Timer(0.5, engine.interrupt).start()
    with pytest.raises(Interrupted, match="loading"):
        engine.count("hello")
    assert engine.count("hello") == 5


def test_a_count_that_takes_too_long_can_be_interrupted(scripted):
    engine = scripted("deaf")
    for _ in engine.wait_until_loaded():
        pass
    for seconds in (0.3, 0.5):  # the second Ctrl-C does not wait
        threading.Timer(seconds, engine.interrupt).start()
    with pytest.raises(Interrupted, match="had answered"):
        engine.count("hello")


def test_a_fault_in_the_supervisor_reaches_the_caller_instead_of_a_hang(scripted, monkeypatch):
    monkeypatch.setattr(Ladder, "remember", lambda *_: 1 / 0)
    with pytest.raises(LlamachatError, match="ZeroDivisionError"):
        list(scripted("crash-with-amx").reply(QUESTION))


def test_notices_that_came_while_nobody_asked_are_shown_at_the_next_request(scripted):
    engine = scripted("answer")
    for _ in engine.wait_until_loaded():
        pass
    engine._inbox.post(Notice("late"))
    assert "late" in [event.text for event in engine.reply(QUESTION) if isinstance(event, Notice)]


def test_openmp_settings_of_the_user_do_not_reach_the_child(scripted, monkeypatch, tmp_path):
    monkeypatch.setenv("OMP_WAIT_POLICY", "passive")
    engine = scripted("answer")
    list(engine.reply(QUESTION))
    environment = Path(f"/proc/{engine.pid}/environ")
    if not environment.exists():
        pytest.skip("only Linux shows a process's environment")
    variables = environment.read_bytes().split(b"\0")
    assert b"GGML_NO_BACKTRACE=1" in variables
    assert not any(variable.startswith(b"OMP_") for variable in variables)
