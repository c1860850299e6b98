"""What the engine is asked to read while the user still writes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from llamachat.types import Role
from llamachat.ui.ahead import Ahead, certain
from llamachat.ui.pastes import Typed


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("Wh", ""),
        ("What is the capi", "What is the "),
        ("What is the capital ", "What is the capital "),
        ("라마 2는 무엇", "라마 2는 "),
        ("字" * 100, "字" * 76),
        ("Mail tom@example.org ", "Mail tom@example.org "),
        ("/retry --n 3 ", None),
        ("//path is ", "//path is "),
        ('"""\nall of ', None),
        ("Look at @notes.txt and ", None),
    ],
)
def test_the_last_word_may_go_on_and_some_drafts_say_nothing_of_the_message(text, expected):
    assert certain(Typed(text)) == (expected and expected.removeprefix("/") if text.startswith("//") else expected)


def test_an_at_sign_in_a_paste_names_no_file():
    assert certain(Typed("@decorated\ndef f(): ...\n", ((0, 24),))) == "@decorated\ndef f(): ...\n"


def test_what_is_certain_is_read_once(chat):
    desk = chat("an answer")
    ahead = Ahead(desk.chat)
    for draft in ("Tell me a sto", "Tell me a story", "Tell me a story about "):
        ahead.read(Typed(draft))
    asked = [request.messages[-1].content for request in desk.engine.prefilled]
    assert asked == ["Tell me a ", "Tell me a story about "]
    assert all(request.unfinished for request in desk.engine.prefilled)


def test_the_conversation_comes_before_the_draft(chat):
    desk = chat("an answer")
    desk("Hello.")
    Ahead(desk.chat).read(Typed("And then "))
    roles = [message.role for message in desk.engine.prefilled[-1].messages]
    assert roles[-3:] == [Role.USER, Role.ASSISTANT, Role.USER]


def test_nothing_is_read_when_that_is_switched_off_or_another_message_is_edited(chat):
    desk = chat("an answer", flags={"prefill.typing": False})
    Ahead(desk.chat).read(Typed("Tell me a "))
    assert desk.engine.prefilled == []
    desk = chat("an answer")
    desk("Hello.")
    desk("/edit")
    n_before = len(desk.engine.prefilled)
    Ahead(desk.chat).read(Typed("Tell me a "))
    assert len(desk.engine.prefilled) == n_before


def test_a_model_that_rested_reads_again_when_it_is_back(chat):
    desk = chat("an answer")
    ahead, info = Ahead(desk.chat), desk.engine.info
    ahead.read(Typed("Tell me a "))
    desk.engine.info = None
    ahead.read(Typed("Tell me a "))
    desk.engine.info = replace(info, load_seconds=0.5)
    ahead.read(Typed("Tell me a "))
    assert [request.messages[-1].content for request in desk.engine.prefilled] == ["Tell me a ", "Tell me a "]
