"""Whether an answer begins inside a thought is the template's doing."""

from __future__ import annotations

import pytest

from llamachat.formats.llama2 import Llama2Format
from llamachat.formats.plain import PlainFormat
from llamachat.formats.template import JinjaFormat
from llamachat.formats.thought import opens_thought

_TURNS = "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{% endfor %}"
_PROMPT = "{% if add_generation_prompt %}<|assistant|>SUFFIX{% endif %}"


def with_suffix(suffix: str) -> JinjaFormat:
    """A template whose prompts end so."""
    controls = ["<|user|>", "<|assistant|>", "<think>"]
    return JinjaFormat(_TURNS + _PROMPT.replace("SUFFIX", suffix), controls=controls, bos="", eos="")


@pytest.mark.parametrize(
    ("suffix", "opens"),
    [
        ("<think>", True),
        ("<think>\n", True),
        ("{{ '<think>\n' }}", True),
        ("", False),
        ("<think>\n\n</think>\n\n", False),  # told not to think
        ("think>", False),
        ("{{ raise_exception('no') }}", False),
    ],
)
def test_a_template_that_ends_with_the_opening_tag_opens_a_thought(suffix, opens):
    assert opens_thought(with_suffix(suffix)) is opens


def test_as_text_the_tag_opens_one_too():
    template = JinjaFormat(_TURNS + _PROMPT.replace("SUFFIX", "<think>\n"), controls=[], bos="", eos="")
    assert opens_thought(template)


@pytest.mark.parametrize("format_", [Llama2Format(), PlainFormat()])
def test_the_other_formats_open_none(format_):
    assert not opens_thought(format_)
