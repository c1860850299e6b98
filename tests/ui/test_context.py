"""What `/context` and `/tokens` show when the conversation is longer than the model's view."""

from __future__ import annotations

from dataclasses import replace

from llamachat.chat.imports import read
from llamachat.types import FinishReason

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


def summarising_chat(chat, *answers, n_ctx=512, **flags):
    desk = chat(*answers, flags={"preset": "none", "overflow": "summarise", **flags})
    desk.engine.info = replace(desk.engine.info, n_ctx=n_ctx)
    return desk


def overflowing_chat(chat):
    """Four questions fit; before the fifth the model writes a summary."""
    desk = summarising_chat(chat, *[[WORDS * 6]] * 4, ["They counted words."], [WORDS], ["and on"])
    for number in range(5):
        desk(f"question{number} {WORDS * 6}")
    return desk


def test_turns_that_become_a_summary_are_told_and_it_is_shown(chat):
    desk = overflowing_chat(chat)
    shown = desk.shown
    assert "Turns 1-2 have no room any more: the model sums up what is said there." in " ".join(shown.split())
    assert "Turns 1-2 are now a summary of 3 tokens (before: 222):\nThey counted words.\n" in shown
    assert "They counted words." not in desk.answers
    assert len(desk.said()) == 10


def test_context_shows_the_summary_as_a_part_of_its_own(chat):
    desk = overflowing_chat(chat)
    desk.shown  # noqa: B018  what was said so far
    desk("/context")
    rows = {line[:9].strip(): line for line in desk.shown.splitlines()}
    assert "summed up" in rows["1 you"]
    assert "summed up" in rows["2 answer"]
    assert "summed up" not in rows["3 you"]
    assert rows["summary"].split() == ["summary", "3", "Turns", "1-2:", "They", "counted", "words."]


def test_a_summary_is_kept_with_the_session_and_taken_up_again(chat):
    desk = overflowing_chat(chat)
    session = desk.chat.keeping.session
    transcript = desk.store.load(session)
    (kept,) = transcript.summaries
    assert kept.content == "They counted words."
    assert [entry.turn.number for entry in transcript.branch[:4]] == kept.made["turns"]
    assert transcript.branch[-1].made["summary"] == kept.number
    desk.shown  # noqa: B018  what was said so far
    desk("/why")
    assert ["summary", "They", "counted", "words."] in [line.split() for line in desk.shown.splitlines()]
    desk("/new")
    desk(f"/resume {session}")
    desk("and now?")
    first, *_ = desk.engine.requests[-1].messages
    assert first.content.startswith("Summary of the conversation so far:\nThey counted words.\n\nquestion2")
    desk.store.remove([session])
    assert desk.store.sessions() == []


def test_compact_sums_up_all_but_the_last_turn_and_can_be_changed_and_ended(chat):
    desk = summarising_chat(chat, ["one"], ["two"], ["three"], ["It was about numbers."], ["four"], overflow="drop")
    for question in ("a", "b", "c"):
        desk(question)
    desk.shown  # noqa: B018  what was said so far
    desk("/compact")
    shown = desk.shown
    assert "Turns 1-2 are now a summary of 4 tokens (before: 8):\nIt was about numbers.\n" in shown
    used = desk.chat.toolbar().context.used
    assert f"The next question finds {used} of 512 tokens in use" in shown
    assert desk.engine.prefilled[-1].messages[-2].content == "three"
    desk("/compact edit")
    assert "has 5 tokens now" in desk.shown
    assert desk.chat.toolbar().context.used == used + 1
    desk("d")
    assert desk.chat.toolbar().context.used == desk.chat.last.context.used
    sent = [message.content for message in desk.engine.requests[-1].messages]
    assert sent == ["Summary of the conversation so far:\nIt was about numbers. (edited)\n\nc", "three", "d"]
    assert [each.content for each in desk.store.load(desk.chat.keeping.session).summaries] == [
        "It was about numbers.", "It was about numbers. (edited)",
    ]  # fmt: skip
    used = desk.chat.toolbar().context.used
    desk("/compact off")
    assert "the turns themselves again" in desk.shown
    assert desk.chat.toolbar().context.used != used
    desk("/context")
    assert "summed up" not in desk.shown
    for wrong, said in (
        ("/compact off", "nothing is summed up"),
        ("/compact edit", "nothing is summed up"),
        ("/compact now", "/compact takes nothing, edit or off, not 'now'."),
    ):
        desk(wrong)
        assert said in desk.shown


def test_compact_that_is_stopped_changes_nothing(chat):
    desk = summarising_chat(chat, ["one"], ["two"], ["It was", FinishReason.INTERRUPTED])
    desk("a")
    desk("b")
    desk("/compact")
    assert "[stopped before the summary was written.]" in desk.shown
    assert desk.chat.conversation.summary is None


def test_in_a_private_chat_no_summary_is_written(chat, tmp_path):
    desk = summarising_chat(chat, ["one"], ["two"], ["xyzzysecret"])
    desk("/private")
    desk("a")
    desk("b")
    desk("/compact")
    assert "xyzzysecret" in desk.shown
    assert desk.store.sessions() == []
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and b"xyzzysecret" in path.read_bytes()]


def test_a_summary_is_exported_and_imported_with_the_conversation(chat, tmp_path):
    desk = summarising_chat(chat, ["one"], ["two"], ["It was about numbers."], ["three"])
    desk("a")
    desk("b")
    desk("/compact")
    desk("/compact edit")
    desk("c")
    desk("/export chat.json")
    (transcript,) = read(tmp_path / "chat.json")
    summary = transcript.conversation().summary
    assert summary.content == "It was about numbers. (edited)"
    (session,) = desk.store.take_in([transcript])
    taken = desk.store.load(session.id)
    first, edited = taken.summaries
    assert edited.made["edited"] == first.number > transcript.summaries[-1].number
    assert taken.branch[-1].made["summary"] == edited.number
    assert taken.conversation().summary.covered([entry.turn.number for entry in taken.branch]) == {
        entry.turn.number for entry in taken.branch[:2]
    }
