"""`@file` in a message, as it is met at the prompt."""

from __future__ import annotations

import pytest

from llamachat.ui.pastes import Origin, Pastes


@pytest.fixture
def notes(tmp_path):
    (tmp_path / "notes.txt").write_text("the cat sat")
    (tmp_path / "src").mkdir()
    for name in "abcdefg":
        (tmp_path / "src" / f"{name}.py").write_text(f"{name} = 1")
    return tmp_path


def test_a_file_is_shown_with_size_and_tokens_and_sent_before_the_words(chat, notes):
    desk = chat(["a cat"])
    desk("Who is in @notes.txt?")
    assert "notes.txt: 11 bytes, 3 tokens" in desk.shown
    message = desk.said()[0]
    assert message.index("the cat sat") < message.index("Who is in notes.txt?")


def test_what_is_shown_of_a_message_with_files_are_its_words(chat, notes):
    desk = chat(["a cat"])
    desk("Who is in @notes.txt?")
    desk("/tree")
    assert "0 you: Who is in notes.txt?" in desk.shown
    assert [session.title for session in desk.store.sessions()] == ["Who is in @notes.txt?"]
    desk("/undo")
    assert "Taken back: Who is in notes.txt?" in desk.shown


def test_an_answer_that_looks_like_a_message_with_files_is_shown_from_its_beginning(chat):
    desk = chat(["This:\n```python\nprint(1)\n```\n\nIt prints 1."])
    desk("Show me Python.")
    desk("/tree")
    desk("/switch 1")
    shown = desk.shown
    assert "1 answer: This: ```python" in shown
    assert "stands at: This: ```python" in shown


def test_a_folder_is_asked_about(chat, notes):
    desk = chat(["fine"])
    desk.keys = ["n", "y"]
    assert desk("What is @src/ about?") == "What is @src/ about?"
    shown = desk.shown
    assert "src/a.py, src/b.py, src/c.py, src/d.py, src/e.py and 2 more" in shown
    assert "[nothing was sent; \\@src/ sends it as words]" in shown
    desk("What is @src/*.py about?")
    assert desk.asked == ["Attach 7 files, 35 bytes? [y/N]"] * 2
    assert desk.said()[0].count("= 1") == 7


def test_what_looks_like_a_path_and_is_none_is_sent_with_a_remark(chat, notes):
    desk = chat(["a decorator"])
    desk("What does @functools.cache do?")
    assert "@functools.cache: no such file; sent as it is written." in desk.shown
    assert desk.said()[0] == "What does @functools.cache do?"


def test_a_pasted_text_attaches_nothing(chat, notes):
    desk = chat(["words"])
    text = "Explain: @notes.txt"
    desk(text, [(9, len(text))])
    assert desk.said()[0] == text


def test_a_binary_file_is_refused_and_the_message_comes_back(chat, notes):
    (notes / "photo.jpg").write_bytes(b"\xff\xd8\x00")
    desk = chat()
    assert desk("What is on @photo.jpg?") == "What is on @photo.jpg?"
    assert "photo.jpg" in desk.shown
    assert desk.engine.requests == []


def test_more_than_the_context_holds_is_refused_before_it_is_sent(chat, notes):
    (notes / "long.txt").write_text("word " * 600)
    desk = chat()
    assert desk("Sum up @long.txt") == "Sum up @long.txt"
    assert "the prompt is 600 tokens" in desk.shown
    assert desk.engine.requests == []


def test_a_name_that_would_act_on_the_terminal_is_shown_harmless(chat, notes):
    (notes / "a\x1b[31mb.txt").write_text("hi")
    desk = chat(["fine"])
    desk("See @a\x1b[31mb.txt")
    assert "\x1b" not in desk.shown


class TestEditing:
    """A message with files comes back readable, and is sent as it was."""

    def test_the_files_come_back_folded_and_are_sent_unchanged(self, chat, notes):
        source = "x = '@notes.txt'\r\n\x1b[1m```\n" * 20
        (notes / "long.py").write_text(source, newline="")
        desk = chat(["one"], ["two"])
        desk("What is in @long.py and @notes.txt?")
        pastes = Pastes()
        draft = pastes.take(desk("/edit"), Origin.WRITTEN)
        assert "".join(map(pastes.label, draft)) == "[49 lines attached]What is in long.py and notes.txt?"
        typed = pastes.expand(draft)
        desk(typed.text, typed.pasted)
        first, second = (request.messages[0].content for request in desk.engine.requests)
        assert first == second
        assert source in second

    def test_the_words_can_be_changed_and_another_file_added(self, chat, notes):
        (notes / "long.txt").write_text("line\n" * 20)
        desk = chat(["one"], ["two"])
        desk("Read @long.txt")
        pastes = Pastes()
        typed = pastes.expand(pastes.take(desk("/edit"), Origin.WRITTEN) + " and @notes.txt")
        desk(typed.text, typed.pasted)
        message = desk.said()[0]
        assert message.startswith("notes.txt:\n```\nthe cat sat\n```\n\nlong.txt:\n```\nline\n")
        assert message.endswith("```\n\nRead long.txt and notes.txt")

    @pytest.mark.parametrize("words", [r"What is \@notes.txt?", r"\@src/ and `@notes.txt`", "@later and me@notes.txt"])
    def test_words_that_name_no_file_go_on_naming_none(self, chat, notes, words):
        desk = chat(["one"], ["two"])
        desk(words)
        (notes / "long.txt").write_text("later")
        desk(desk("/edit"))
        first, second = (request.messages[0].content for request in desk.engine.requests)
        assert first == second

    def test_a_message_that_begins_with_a_slash_is_not_a_command_when_it_comes_back(self, chat):
        desk = chat(["one"], ["two"])
        desk("//undo what?")
        desk(desk("/edit"))
        assert desk.said() == ["/undo what?", "two"]
