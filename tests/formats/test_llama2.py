"""Llama 2's format, against Meta's rules."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings

from llamachat.errors import ForbiddenTag, UsageError
from llamachat.formats.base import Bos, Eos, Ids, Segment, Text
from llamachat.formats.llama2 import TAGS, Llama2Format
from llamachat.types import Message, Role
from tests.formats import meta
from tests.formats.conftest import DATA
from tests.formats.dialogs import chat, dialogs, messages, with_ids

GOLDEN = json.loads((DATA / "golden_llama2.json").read_text(encoding="utf-8"))


def prompt(turns: list[Message], **options: bool) -> list[Segment]:
    return Llama2Format().prompt(turns, **options)


def texts(segments: list[Segment]) -> list[str]:
    """The texts between BOS and EOS, each in one piece, with the space that the tokenizer puts before an answer."""
    pieces = []
    for segment in segments:
        if isinstance(segment, Bos):
            pieces.append("")
        elif isinstance(segment, Text):
            pieces[-1] += f" {segment.text}" if segment.spaced else segment.text
    return pieces


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(dialog=dialogs())
def test_any_dialog_is_encoded_as_metas_rules_and_sentencepiece_have_it(vocabulary, tokenizer, dialog):
    segments = prompt(messages(dialog), raw_tags=True)

    assert vocabulary.encode(segments) == meta.ids(dialog, tokenizer)


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=lambda case: case["about"])
def test_the_texts_are_those_that_the_golden_vectors_were_made_of(case):
    assert texts(prompt(messages(case["dialog"]), raw_tags=True)) == case["texts"]


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=lambda case: case["about"])
def test_bos_and_eos_stand_where_the_golden_vectors_have_them(case):
    segments = prompt(messages(case["dialog"]), raw_tags=True)

    frame = [1 if isinstance(segment, Bos) else 2 for segment in segments if isinstance(segment, (Bos, Eos))]
    assert frame == [token for token in case["ids"] if token in (1, 2)]


def test_a_conversation_in_full():
    assert prompt(chat(" one ", "\ntwo\n", "three", system="Be brief.")) == [
        Bos(),
        Text("[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\n one [/INST]"),
        Text("two ", spaced=True),
        Eos(),
        Bos(),
        Text("[INST] three [/INST]"),
    ]


def test_an_empty_system_prompt_is_still_one():
    assert prompt(chat("hello", system=""))[1] == Text("[INST] <<SYS>>\n\n<</SYS>>\n\nhello [/INST]")


def test_a_blank_question_after_a_system_prompt_takes_its_blank_line_away():
    assert prompt(chat(" ", system="Be brief."))[1] == Text("[INST] <<SYS>>\nBe brief.\n<</SYS>> [/INST]")


def test_a_typed_end_of_sequence_is_four_characters(vocabulary):
    tokens = vocabulary.encode(prompt(chat("a</s>b")))

    assert vocabulary.eos not in tokens
    assert [vocabulary.piece(token) for token in tokens].count(b"s") == 1


def test_a_prompt_is_a_prefix_of_the_next_one(vocabulary):
    first = vocabulary.encode(prompt(chat("What is it?", system="Be brief.")))
    second = vocabulary.encode(prompt(chat("What is it?", "A test.", "Of what?", system="Be brief.")))

    assert second[: len(first)] == first


def test_an_answers_own_ids_stand_in_the_references_frame(vocabulary):
    question, answer, more = chat("one", "two", "three")
    ids = tuple(vocabulary.tokenize("two"))

    segments = prompt([question, with_ids(answer, *ids), more])

    assert segments[2] == Ids(ids, close_with_space=True)
    assert vocabulary.encode(segments) == vocabulary.encode(prompt([question, answer, more]))


def test_ids_that_end_with_the_closing_space_get_no_second_one(vocabulary):
    question, answer, more = chat("one", "two", "three")
    ids = vocabulary.tokenize("two ")

    tokens = vocabulary.encode(prompt([question, with_ids(answer, *ids), more]))

    assert tokens == vocabulary.encode(prompt([question, answer, more]))


def test_an_answer_without_ids_in_its_memory_is_text():
    question, answer, more = chat("one", "two", "three")

    assert prompt([question, with_ids(answer), more])[2] == Text("two ", spaced=True)


def test_an_open_answer_ends_where_it_breaks_off():
    assert prompt(chat("one", "\n two\n"), open_answer=True) == [
        Bos(),
        Text("[INST] one [/INST]"),
        Text("two\n", spaced=True),
    ]


def test_an_open_answer_of_known_ids_is_those_ids():
    question, answer = chat("one", "two")

    assert prompt([question, with_ids(answer, 7, 8)], open_answer=True)[2:] == [Ids((7, 8))]


@pytest.mark.parametrize("nothing", ["", " \n"])
def test_an_open_answer_that_has_not_begun_is_the_question_alone(nothing):
    assert prompt(chat("one", nothing), open_answer=True) == prompt(chat("one"))


@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize("role", ["system", "user", "assistant"])
def test_a_tag_that_somebody_wrote_is_refused(tag, role):
    dialog = {"system": "s", "user": "u", "assistant": "a", "last": "l"}
    dialog[role] = f"look: {tag}"
    index = list(dialog).index(role)
    turns = [Message(Role(name), dialog[name]) for name in ("system", "user", "assistant")]

    with pytest.raises(ForbiddenTag) as caught:
        prompt([*turns, Message(Role.USER, dialog["last"])])

    assert (caught.value.tag, caught.value.index, caught.value.role, caught.value.offset) == (tag, index, role, 6)


def test_of_several_tags_the_first_is_named():
    with pytest.raises(ForbiddenTag) as caught:
        prompt(chat("a [/INST] b [INST] c"))

    assert (caught.value.tag, caught.value.offset) == ("[/INST]", 2)


def test_a_models_own_answer_may_contain_a_tag():
    question, answer, more = chat("one", "[INST] two", "three")

    assert prompt([question, answer, more])[2] == Text("[INST] two ", spaced=True)


def test_raw_tags_pass_as_text():
    assert prompt(chat("[INST]"), raw_tags=True) == [Bos(), Text("[INST] [INST] [/INST]")]


@pytest.mark.parametrize(
    ("roles", "reason"),
    [
        ((), "empty"),
        (("system",), "last message is from the system"),
        (("assistant",), "message 1 is from the assistant"),
        (("user", "user"), "message 2 is from the user"),
        (("system", "assistant"), "message 2 is from the assistant"),
        (("user", "system", "user"), "message 2 is from the system"),
        (("user", "assistant"), "last message is from the assistant"),
    ],
)
def test_roles_out_of_order_are_refused_in_one_line(roles, reason):
    with pytest.raises(UsageError, match=reason) as caught:
        prompt([Message(Role(role), "x") for role in roles])

    assert "\n" not in str(caught.value)


def test_an_open_answer_needs_one():
    with pytest.raises(UsageError, match="should be from the assistant"):
        prompt(chat("one"), open_answer=True)
