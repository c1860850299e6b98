"""What `/context` and `/tokens` show when the conversation is longer than the model's view."""

from __future__ import annotations

from dataclasses import replace

from llamachat.chat.turn import Settings
from llamachat.ui.chat import Chat

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


def test_context_marks_what_is_pinned(chat, monkeypatch):
    desk = long_chat(chat)
    desk.shown  # noqa: B018  what was said so far
    monkeypatch.setattr(Chat, "settings", property(lambda _chat: Settings(pinned=frozenset({0}))))
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
