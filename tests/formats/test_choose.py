"""Which format a model file gets."""

from __future__ import annotations

import pytest

from llamachat.errors import ModelError, UsageError
from llamachat.formats.choose import ModelFacts, build, choose

METAS = (
    "{% for message in messages %}{% set content = message['content'].strip() %}{% if message['role'] == 'user' %}"
    "{{ bos_token + '[INST] ' + content + ' [/INST]' }}{% elif message['role'] == 'system' %}"
    "{{ '<<SYS>>\\n' + content + '\\n<</SYS>>\\n\\n' }}{% else %}{{ ' ' + content + ' ' + eos_token }}"
    "{% endif %}{% endfor %}"
)
METAS_WITH_NAMES = (
    "{% set b_inst, e_inst = '[INST]', '[/INST]' %}{% set b_sys = '<<SYS>>\\n' %}{% set e_sys = '\\n<</SYS>>\\n\\n' %}"
    "{% for m in messages %}{{ bos_token ~ b_inst ~ ' ' ~ m.content ~ ' ' ~ e_inst }}{% endfor %}"
)
MISTRALS = (
    "{% for m in messages %}{% if m.role == 'user' %}{{ '[INST] ' + m.content + ' [/INST]' }}{% endif %}{% endfor %}"
)
CHATML = "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{% endfor %}"


def facts(file_name: str = "model.gguf", **changes) -> ModelFacts:
    """A Llama 2 of 2023 by its metadata."""
    values = {
        "architecture": "llama",
        "tokenizer_model": "llama",
        "context_length": 4096,
        "chat_template": None,
        "file_name": file_name,
        "name": "LLaMA v2",
        "declared_format": None,
    }
    return ModelFacts(**{**values, **changes})


@pytest.mark.parametrize(
    "name",
    [
        "llama-2-7b-chat.Q4_K_M.gguf",
        "Llama-2-13B-chat-GGUF.q5_0.gguf",
        "llama2-70b-chat.gguf",
        "codellama-7b-instruct.Q4_K_M.gguf",
        "CodeLlama-34b-Instruct.Q2_K.gguf",
    ],
)
def test_a_known_chat_model_is_llama_2_without_a_word(name):
    choice = choose(facts(name, context_length=16384 if "ode" in name else 4096), None)

    assert (choice.format, choice.notice) == ("llama2", "")


@pytest.mark.parametrize(
    "name", ["model.gguf", "llama-2-7b.gguf", "llama-2-7b-custom.Q4_0.gguf", "airoboros-l2-13b-3.1.gguf"]
)
def test_an_unknown_llama_2_is_taken_for_a_chat_model_and_says_so(name):
    choice = choose(facts(name), None)

    assert choice.format == "llama2"
    assert name in choice.notice
    assert "--format plain" in choice.notice


@pytest.mark.parametrize(
    "name",
    [
        "llama-2-7b.Q4_K_M.gguf",
        "LLAMA-2-13B.q8_0.GGUF",
        "llama-2-70b.IQ2_XXS.gguf",
        "llama-2-7b.f16-00001-of-00002.gguf",
    ],
)
def test_a_base_model_is_known_by_the_exact_name_of_its_file(name):
    choice = choose(facts(name), None)

    assert choice.format == "plain"
    assert "base model" in choice.notice


@pytest.mark.parametrize(
    "name",
    [
        "vicuna-7b-v1.5.Q4_K_M.gguf",
        "wizardlm-13b-v1.2.Q4_0.gguf",
        "WizardMath-7B-V1.0.gguf",
        "orca_mini_v3_7b.gguf",
        "Orca-2-7b.gguf",
        "alpaca-llama2-7b.gguf",
        "guanaco-13b.gguf",
        "nous-hermes-llama2-13b.Q4_K_M.gguf",
        "openhermes-13b.gguf",
        "zephyr-7b-beta.gguf",
        "airoboros-l2-13b-2.2.1.gguf",
        "samantha-1.11-7b.gguf",
        "xwin-lm-13b-v0.1.gguf",
        "stablebeluga-7b.gguf",
        "yi-34b-chat.Q4_K_M.gguf",
        "solar-10.7b-instruct-v1.0.gguf",
        "mythomax-l2-13b.gguf",
        "tulu-2-7b.gguf",
    ],
)
def test_a_fine_tune_of_other_turns_is_not_given_llama_2s(name):
    by_file, by_name = choose(facts(name), None), choose(facts(name=name), None)

    assert by_file.format == by_name.format == "plain"
    assert "other turns" in by_file.notice


def test_a_name_within_a_word_is_no_match():
    assert choose(facts("kiyi-7.gguf"), None).format == choose(facts("resolar.gguf"), None).format == "llama2"


@pytest.mark.parametrize("template", [METAS, METAS_WITH_NAMES])
def test_metas_own_template_is_our_exact_format(template):
    assert choose(facts(chat_template=template), None).format == "llama2"


@pytest.mark.parametrize("template", [MISTRALS, CHATML, METAS + "<|im_end|>", METAS + "### Instruction:"])
def test_any_other_template_is_rendered_as_it_is(template):
    assert choose(facts("llama-2-7b-chat.Q4_0.gguf", chat_template=template), None).format == "template"


def test_metas_template_on_another_tokenizer_is_rendered():
    assert choose(facts(chat_template=METAS, tokenizer_model="gpt2"), None).format == "template"


@pytest.mark.parametrize(
    "changes",
    [
        {"architecture": "falcon"},
        {"tokenizer_model": "gpt2"},
        {"context_length": 2048},
        {"file_name": "codellama-7b.Q4_K_M.gguf", "context_length": 16384},
        {"file_name": "codellama-70b-instruct.gguf", "context_length": 16384},
    ],
)
def test_a_model_that_says_nothing_gets_the_transcript_and_a_warning(changes):
    choice = choose(facts(**changes), None)

    assert choice.format == "plain"
    assert "--format" in choice.notice


def test_every_notice_is_one_line_that_names_a_way_to_change_it():
    names = ("model.gguf", "llama-2-7b.Q4_0.gguf", "vicuna.gguf")
    notices = [choose(facts(name), None).notice for name in names]

    assert all(notice and "\n" not in notice and "change it with --format" in notice for notice in notices)


@pytest.mark.parametrize("declared", ["llama2", "plain"])
def test_a_declared_format_goes_before_the_template(declared):
    assert choose(facts(chat_template=CHATML, declared_format=declared), None).format == declared


@pytest.mark.parametrize("declared", ["vicuna", "template"])
def test_a_declaration_that_cannot_be_followed_is_passed_over(declared):
    assert choose(facts("llama-2-7b-chat.Q4_0.gguf", declared_format=declared), None).format == "llama2"


@pytest.mark.parametrize("asked", ["llama2", "template", "plain"])
def test_what_is_asked_for_goes_before_everything_and_says_nothing(asked):
    choice = choose(facts("vicuna.gguf", chat_template=CHATML, declared_format="llama2"), asked)

    assert (choice.format, choice.notice) == (asked, "")


def test_a_template_cannot_be_asked_of_a_file_without_one():
    with pytest.raises(UsageError, match=r"model\.gguf carries no chat template"):
        choose(facts(), "template")


def test_a_format_that_does_not_exist_is_refused_with_those_that_do():
    with pytest.raises(UsageError, match="llama2, template or plain"):
        choose(facts(), "chatml")


@pytest.mark.parametrize("name", ["llama2", "template", "plain"])
def test_each_choice_can_be_built(name):
    assert build(name, template=CHATML, controls=["<|im_start|>"], bos="", eos="").name == name


def test_a_broken_template_is_known_when_it_is_built():
    with pytest.raises(ModelError):
        build("template", template="{% if %}", controls=[], bos="", eos="")
