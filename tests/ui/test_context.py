"""What `/context` and `/tokens` show when the conversation is longer than the model's view."""

from __future__ import annotations

from dataclasses import replace

WORDS = "w " * 9


def long_chat(chat):
    desk = chat(*[[WORDS]] * 4, flags={"preset": "none"})
    desk.engine.info = replace(desk.engine.info, n_ctx=64)
    for number in range(4):
        desk(f"question{number} {WORDS}")
    return desk


def test_context_says_which_turns_have_left_and_counts_the_rest(chat):
    desk = long_chat(chat)
    assert "Turn 2 leaves the model's view" in desk.shown
    desk("/context")
    lines = desk.shown.splitlines()
    rows = {line[:9].strip(): line for line in lines}
    assert "left" in rows["1 you"]
    assert "left" in rows["2 answer"]
    assert "left" not in rows["4 you"]
    seen = 2 * (10 + 9 + 2)
    assert lines[0] == f"{seen} of 64 tokens are in use."
    assert str(64 - seen) in rows["room"]


def test_context_marks_what_is_pinned(chat):
    desk = long_chat(chat)
    desk.shown  # noqa: B018  what was said so far
    desk("/pin 1")
    desk("/context")
    pinned = [line for line in desk.shown.splitlines() if "pinned" in line]
    assert [line.split(",")[0] for line in pinned] == ["1 you"]
    assert "left" not in pinned[0]


def test_tokens_shows_what_the_model_sees(chat):
    desk = long_chat(chat)
    desk("/tokens")
    shown = desk.shown
    assert "question0" not in shown.replace("\n", "")
    assert "question3" in shown


def test_pins_are_kept_and_taken_back(chat):
    desk = chat(["one"], ["two"])
    desk("first")
    desk("second")
    desk("/pin 1")
    assert "Message 1 and its answer stay in the model's view" in desk.shown
    transcript = desk.store.load(desk.chat.keeping.session)
    assert [entry.pinned for entry in transcript.branch] == [True, False, False, False]
    assert len(transcript.conversation().pinned) == 1
    desk("/pin 1")
    assert desk.chat.settings.pinned == frozenset()
    desk("/pin 9")
    assert "the number of a message of yours, 1 to 2" in desk.shown
