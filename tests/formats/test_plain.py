"""The fallback transcript."""

from __future__ import annotations

import pytest

from llamachat.errors import UsageError
from llamachat.formats.base import Bos, Ids, Text
from llamachat.formats.plain import PlainFormat
from llamachat.types import Message, Role
from tests.formats.dialogs import chat, with_ids


def prompt(*arguments, **options):
    return PlainFormat().prompt(*arguments, **options)


def test_a_conversation_in_full():
    assert prompt(chat(" one\n", " two ", "three", system=" Be brief. ")) == [
        Bos(),
        Text("Be brief.\n\nUser: one\nAssistant: two\nUser: three\nAssistant:"),
    ]


def test_a_blank_system_prompt_leaves_nothing():
    assert prompt(chat("one", system=" \n")) == prompt(chat("one"))


def test_an_answer_ends_where_the_model_writes_the_next_question():
    transcript = prompt(chat("one", "two", "three"))[1].text

    assert transcript.split(PlainFormat().stops[0])[0] == "User: one\nAssistant: two"


def test_an_answers_own_ids_follow_the_label_as_they_were_generated():
    question, answer, more = chat("one", "two", "three")

    assert prompt([question, with_ids(answer, 7, 8), more]) == [
        *prompt([question]),
        Ids((7, 8)),
        Text("\nUser: three\nAssistant:"),
    ]


def test_an_open_answer_keeps_the_white_space_it_breaks_off_with():
    assert prompt(chat("one", " two\n"), open_answer=True) == [Bos(), Text("User: one\nAssistant: two\n")]


def test_an_open_answer_of_known_ids_is_those_ids():
    question, answer = chat("one", "two")

    assert prompt([question, with_ids(answer, 7)], open_answer=True) == [*prompt([question]), Ids((7,))]


def test_an_open_answer_that_has_not_begun_is_the_question_alone():
    assert prompt(chat("one", " "), open_answer=True) == prompt(chat("one"))


def test_roles_out_of_order_are_refused():
    with pytest.raises(UsageError, match="message 2 is from the user"):
        prompt([Message(Role.USER, "a"), Message(Role.USER, "b")])
