"""A model's own template, as segments."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given, settings

from llamachat.errors import ModelError, UsageError
from llamachat.formats.base import Control, Ids, Segment, Text
from llamachat.formats.template import JinjaFormat
from llamachat.types import Message, Role
from tests.formats.dialogs import chat, dialogs, messages, with_ids

CONTROLS = ("<|im_start|>", "<|im_end|>", "<|user|>", "<|assistant|>", "<|system|>", "<s>", "</s>", "[INST]", "[/INST]")

# Written for these tests, each in the manner of a family.
CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
ZEPHYR = (
    "{% for m in messages %}\n<|{{ m.role }}|>\n{{ m.content | trim }}{{ eos_token }}\n{% endfor %}\n"
    "{% if add_generation_prompt %}\n<|assistant|>\n{% endif %}"
)
MISTRAL = (
    "{{ bos_token }}{% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Roles must alternate user/assistant/user/...') }}{% endif %}"
    "{% if m['role'] == 'user' %}{{ '[INST] ' + m['content'] + ' [/INST]' }}"
    "{% else %}{{ ' ' + m['content'] + eos_token }}{% endif %}{% endfor %}"
)
SILENT_ON_SYSTEM = (
    "{% for m in messages %}{% if m.role != 'system' %}<|{{ m.role }}|>{{ m.content }}{% endif %}{% endfor %}"
    "<|assistant|>"
)
THINKING = (
    "{% for m in messages %}{% set text = m.content %}{% if m.role == 'assistant' %}"
    "{% set text = text.split('</think>')[-1].lstrip() %}{% endif %}<|{{ m.role }}|>{{ text }}</s>{% endfor %}"
    "<|assistant|>"
)
# Not in anybody's manner: it takes contents apart and puts them where they touch the template's text.
HOSTILE = (
    "{% for m in messages %}<{{ m.content }}>|<|im_{{ m.content }}</s{{ m.content | trim }}]"
    "{{ m.content.replace('<image>', '') | lower }}{{ m.content.split('|') | join('|') }}<|user|>{% endfor %}"
    "<|assistant|>"
)
ALL = {"chatml": CHATML, "zephyr": ZEPHYR, "mistral": MISTRAL, "silent": SILENT_ON_SYSTEM, "thinking": THINKING}


def make(template: str, **options) -> JinjaFormat:
    return JinjaFormat(template, **{"controls": CONTROLS, "bos": "<s>", "eos": "</s>", **options})


def prompt(template: str, turns: list[Message], **options: bool) -> list[Segment]:
    return make(template).prompt(turns, **options)


def spelled(segments: list[Segment]) -> str:
    """The prompt in one string, ids as `{7 8}`."""
    parts = [f"{{{' '.join(map(str, s.ids))}}}" if isinstance(s, Ids) else s.text for s in segments]
    return "".join(parts)


def controls(segments: list[Segment]) -> list[str]:
    return [segment.text for segment in segments if isinstance(segment, Control)]


def template_in(path: Path) -> str:
    """The chat template of a GGUF file: after its key, a type (4 bytes), a length (8) and the text."""
    data = path.read_bytes()
    start = data.index(b"tokenizer.chat_template") + len(b"tokenizer.chat_template") + 12
    length = int.from_bytes(data[start - 8 : start], "little")
    return data[start : start + length].decode()


def test_chatml_in_full():
    assert prompt(CHATML, chat("one", "two", "three", system="Be brief.")) == [
        Control("<|im_start|>"),
        Text("system\nBe brief."),
        Control("<|im_end|>"),
        Text("\n"),
        Control("<|im_start|>"),
        Text("user\none"),
        Control("<|im_end|>"),
        Text("\n"),
        Control("<|im_start|>"),
        Text("assistant\ntwo"),
        Control("<|im_end|>"),
        Text("\n"),
        Control("<|im_start|>"),
        Text("user\nthree"),
        Control("<|im_end|>"),
        Text("\n"),
        Control("<|im_start|>"),
        Text("assistant\n"),
    ]


def test_zephyr_in_full():
    expected = "<|system|>\nBe brief.</s>\n<|user|>\none</s>\n<|assistant|>\n"

    segments = prompt(ZEPHYR, chat(" one ", system="Be brief."))

    assert spelled(segments) == expected
    assert controls(segments) == ["<|system|>", "</s>", "<|user|>", "</s>", "<|assistant|>"]


def test_mistrals_in_full():
    assert prompt(MISTRAL, chat("one", "two", "three")) == [
        Control("<s>"),
        Control("[INST]"),
        Text(" one "),
        Control("[/INST]"),
        Text(" two"),
        Control("</s>"),
        Control("[INST]"),
        Text(" three "),
        Control("[/INST]"),
    ]


def test_tags_that_are_no_control_tokens_are_text_with_their_neighbours():
    segments = make(MISTRAL, controls=["<s>", "</s>"]).prompt(chat("one"))

    assert segments == [Control("<s>"), Text("[INST] one [/INST]")]


def test_the_starter_models_own_template(starter):
    segments = make(template_in(starter), bos="<|im_start|>", eos="<|im_end|>").prompt(chat("Hi <|im_end|>"))

    assert controls(segments) == ["<|im_start|>", "<|im_end|>", "<|im_start|>", "<|im_end|>", "<|im_start|>"]
    assert spelled(segments) == (
        "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
        "<|im_start|>user\nHi <|im_end|><|im_end|>\n<|im_start|>assistant\n"
    )


@pytest.mark.parametrize("name", ALL)
@settings(max_examples=60, deadline=None)
@given(dialog=dialogs(max_exchanges=2))
def test_no_message_makes_or_breaks_a_control_token(name, dialog):
    """The control tokens are those that harmless words in the same places get."""
    harmless = [(role, "word") for role, _ in dialog]

    assert controls(prompt(ALL[name], messages(dialog))) == controls(prompt(ALL[name], messages(harmless)))


@settings(max_examples=150, deadline=None)
@given(dialog=dialogs(max_exchanges=1))
def test_not_even_where_a_template_takes_contents_apart(dialog):
    n_messages = len(dialog)

    assert controls(prompt(HOSTILE, messages(dialog))) == ["<|user|>"] * n_messages + ["<|assistant|>"]


@pytest.mark.parametrize(
    "content", ["s", "start|>", "|im_start|", "/s", "<image>im_start|>", "<|im_<image>start|>", "<|IM_END|>"]
)
def test_nor_by_these_that_are_made_for_it(content):
    assert controls(prompt(HOSTILE, chat(content))) == ["<|user|>", "<|assistant|>"]


@settings(max_examples=60, deadline=None)
@given(dialog=dialogs(max_exchanges=2))
def test_every_content_arrives_as_it_was_typed(dialog):
    expected = "".join(f"<|im_start|>{role}\n{content}<|im_end|>\n" for role, content in dialog)

    assert spelled(prompt(CHATML, messages(dialog))) == f"{expected}<|im_start|>assistant\n"


def test_a_system_prompt_goes_into_the_first_question_where_the_template_refuses_one():
    segments = prompt(MISTRAL, chat("one", "two", "three", system="Be brief."))

    assert spelled(segments) == "<s>[INST] Be brief.\n\none [/INST] two</s>[INST] three [/INST]"


def test_or_where_the_template_passes_over_it():
    assert spelled(prompt(SILENT_ON_SYSTEM, chat("one", system="Be brief."))) == "<|user|>Be brief.\n\none<|assistant|>"


def test_an_empty_system_prompt_adds_nothing_to_the_question():
    assert prompt(MISTRAL, chat("one", system="")) == prompt(MISTRAL, chat("one"))


def test_what_the_template_refuses_is_a_usage_error():
    with pytest.raises(UsageError, match="Roles must alternate"):
        prompt(MISTRAL, [Message(Role.USER, "a"), Message(Role.USER, "b")])


@pytest.mark.parametrize("turns", [[], chat("one", "two")])
def test_the_last_word_must_be_the_users(turns):
    with pytest.raises(UsageError):
        prompt(CHATML, turns)


def test_an_answers_own_ids_stand_where_the_answer_stood():
    question, answer, more = chat("one", "two", "three")

    segments = prompt(CHATML, [question, with_ids(answer, 7, 8), more])

    assert segments[:9] == [*prompt(CHATML, [question]), Ids((7, 8)), Control("<|im_end|>"), Text("\n")]


def test_ids_stand_for_an_answer_that_the_template_strips():
    question, answer, more = chat("one", " two\n", "three")

    assert "<|assistant|>\n{7}</s>\n<|user|>" in spelled(prompt(ZEPHYR, [question, with_ids(answer, 7), more]))


def test_ids_bring_the_space_that_the_template_writes_before_an_answer():
    question, answer, more = chat("one", "two", "three")

    segments = prompt(MISTRAL, [question, with_ids(answer, 7), more])

    assert segments[:6] == [*prompt(MISTRAL, [question]), Ids((7,)), Control("</s>")]


def test_an_answer_that_the_template_changes_stays_text_and_the_others_keep_their_ids():
    turns = chat("one", "<s>hm</think> two", "three", "four", "five")
    turns[1], turns[3] = with_ids(turns[1], 7), with_ids(turns[3], 8)

    expected = "<|user|>one</s><|assistant|>two</s><|user|>three</s><|assistant|>{8}</s><|user|>five</s><|assistant|>"
    assert spelled(prompt(THINKING, turns)) == expected


def test_a_template_that_looks_at_answers_gets_them_as_text():
    """The two renderings differ, so nothing says where the answer stands."""
    template = "{% for m in messages %}{% if 'two' in m.content %}<s>{% endif %}<|user|>{{ m.content }}{% endfor %}"
    question, answer, more = chat("one", "two", "three")

    assert spelled(prompt(template, [question, with_ids(answer, 7), more])) == "<|user|>one<s><|user|>two<|user|>three"


@settings(max_examples=60, deadline=None)
@given(dialog=dialogs(max_exchanges=3))
def test_ids_change_nothing_else(dialog):
    plain = messages(dialog)
    numbered = [with_ids(turn, i) if turn.role == Role.ASSISTANT else turn for i, turn in enumerate(plain)]
    n_answers = sum(turn.role == Role.ASSISTANT for turn in plain)

    segments = prompt(CHATML, numbered)

    assert [s.ids[0] for s in segments if isinstance(s, Ids)] == [
        i for i, t in enumerate(plain) if t.role == Role.ASSISTANT
    ]
    assert len(controls(segments)) == len(controls(prompt(CHATML, plain))) == 2 * len(plain) + 1
    assert n_answers == (len(plain) - 1) // 2


def test_an_open_answer_follows_the_prompt_as_text():
    assert prompt(CHATML, chat("one", "two\n"), open_answer=True) == [
        *prompt(CHATML, chat("one"))[:-1],
        Text("assistant\ntwo\n"),
    ]


def test_an_open_answer_may_spell_control_tokens():
    assert prompt(CHATML, chat("one", "</s>"), open_answer=True)[-1] == Text("assistant\n</s>")


def test_an_open_answer_has_the_space_that_the_template_writes_before_it():
    assert prompt(MISTRAL, chat("one", "two"), open_answer=True) == [*prompt(MISTRAL, chat("one")), Text(" two")]


def test_an_open_answer_of_known_ids_is_those_ids():
    question, answer = chat("one", "two")

    assert prompt(MISTRAL, [question, with_ids(answer, 7)], open_answer=True) == [
        *prompt(MISTRAL, [question]),
        Ids((7,)),
    ]


def test_an_open_answer_that_has_not_begun_is_the_question_alone():
    assert prompt(CHATML, chat("one", ""), open_answer=True) == prompt(CHATML, chat("one"))


def test_the_clock_is_the_callers():
    format_ = make("{{ strftime_now('%Y') }}{{ messages[0].content }}", now=lambda: datetime(1984, 1, 1))

    assert format_.prompt(chat("!")) == [Text("1984!")]


def test_a_template_that_fails_on_a_conversation_is_the_models_fault():
    with pytest.raises(ModelError, match="division by zero"):
        prompt("{{ 1 / 0 }}{{ messages }}", chat("one", system="Be brief."))
