"""Who wins: the chat, options, the environment, a named preset, the file, the usual preset, the default."""

from __future__ import annotations

import pytest

from llamachat.chat.turn import Settings
from llamachat.choices import Choices, Layer, Origin

ORDER = (
    Origin.CHAT,
    Origin.FLAG,
    Origin.ENVIRONMENT,
    Origin.PRESET,
    Origin.FILE,
    Origin.DEFAULT_PRESET,
)


def all_from(*origins: Origin) -> Choices:
    """Each of these layers gives its own temperature."""
    return Choices(
        {origin: Layer({"temperature": float(ORDER.index(origin))}, f"place of {origin}") for origin in origins}
    )


@pytest.mark.parametrize("weakest", range(1, len(ORDER) + 1))
def test_the_strongest_layer_that_has_a_value_decides(weakest):
    layers = ORDER[-weakest:]
    choice = all_from(*reversed(layers)).find("temperature")
    assert (choice.value, choice.origin) == (float(ORDER.index(layers[0])), layers[0])


def test_without_any_it_is_the_default():
    assert Choices().find("gpu_layers").value == "auto"
    choice = all_from(*ORDER).find("top_k")
    assert (choice.value, choice.origin, choice.place) == (None, Origin.DEFAULT, "")


def test_a_value_says_which_file_or_variable_it_is_from():
    assert all_from(Origin.FILE).find("temperature").place == "place of file"
    assert all_from(Origin.ENVIRONMENT).find("temperature").place == "LLAMACHAT_TEMPERATURE"


def test_none_in_a_layer_hides_what_is_weaker():
    choices = all_from(Origin.FILE).with_value(Origin.CHAT, "temperature", None)
    assert choices.number("temperature") is None
    assert choices.without_value(Origin.CHAT, "temperature").number("temperature") == ORDER.index(Origin.FILE)


def test_a_layer_can_be_put_in_and_taken_out():
    choices = all_from(Origin.FILE, Origin.DEFAULT_PRESET)
    assert choices.with_layer(Origin.FILE, None).find("temperature").origin is Origin.DEFAULT_PRESET
    assert choices.with_layer(Origin.PRESET, Layer({"temperature": 9.0})).number("temperature") == 9.0


def test_what_was_chosen_makes_an_answer_as_far_as_it_concerns_one():
    values = {"temperature": 0.3, "top_k": 20, "seed": 7, "max_tokens": 50, "stop": ("END",), "ctx_size": 99}
    settings = Settings.of(Choices({Origin.FILE: Layer({**values, "raw_tags": True})}))
    assert settings == Settings({"temperature": 0.3, "top_k": 20}, 7, 50, ("END",), raw_tags=True)
    assert Settings.of(Choices()) == Settings()
