"""`/set` and the table of commands: what is taken, what is refused, and with which words."""

from __future__ import annotations

import pytest

from llamachat.chat.turn import Settings
from llamachat.choices import Choices, Layer, Origin
from llamachat.errors import UsageError
from llamachat.ui.settings import NAMES, change, describe


def test_values_are_set_by_name_and_taken_back_by_off():
    choices = Choices()
    for name, value in {"temperature": "0.3", "top_k": "20", "seed": "7", "max_tokens": "50", "stop": "END"}.items():
        choices = change(choices, name, value)
    assert Settings.of(choices) == Settings({"temperature": 0.3, "top_k": 20}, 7, 50, ("END",))
    for name in ("temperature", "top_k", "seed", "max_tokens", "stop"):
        choices = change(choices, name, "off")
    assert Settings.of(choices) == Settings()


def test_off_is_the_models_own_even_where_the_file_says_otherwise():
    choices = Choices({Origin.FILE: Layer({"temperature": 0.0})})
    assert Settings.of(change(choices, "temperature", "off")).sampling == {}


def test_a_second_stop_is_added_to_the_first():
    choices = change(change(Choices(), "stop", "one"), "stop", "two words")
    assert choices.texts("stop") == ("one", "two words")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("top_k", "1.5", "whole number"),
        ("temprature", "1", "Did you mean temperature"),
        ("temperature", "", "needs a value, or off"),
        ("ctx_size", "100", "llamachat config set ctx_size"),
        ("system", "x", "/system"),
        ("preset", "x", "/preset"),
    ],
)
def test_what_cannot_be_set_is_answered_with_what_can(name, value, words):
    with pytest.raises(UsageError, match=words):
        change(Choices(), name, value)


def test_every_setting_is_described_with_where_it_comes_from():
    choices = Choices({Origin.FILE: Layer({"temperature": 0.5}, "config.toml"), Origin.FLAG: Layer({"seed": 3})})
    rows = dict(describe(choices, None))
    assert set(rows) == set(NAMES)
    assert rows["temperature"] == "0.5  (config.toml; otherwise: the model's own)"
    assert rows["seed"].startswith("3  (flag")
    assert rows["top_p"] == "the model's own"
