"""`/set`: what is taken, what is refused, and with which words."""

from __future__ import annotations

import pytest

from llamachat.chat.turn import Settings
from llamachat.errors import UsageError
from llamachat.ui import commands
from llamachat.ui.settings import NAMES, change, describe


def test_values_are_set_by_name_and_taken_back_by_off():
    settings = Settings()
    for name, value in {"temperature": "0.3", "top_k": "20", "seed": "7", "max_tokens": "50", "stop": "END"}.items():
        change(settings, name, value)
    assert settings.sampling == {"temperature": 0.3, "top_k": 20}
    assert (settings.seed, settings.max_tokens, settings.stops) == (7, 50, ("END",))
    for name in ("temperature", "top_k", "seed", "max_tokens", "stop"):
        change(settings, name, "off")
    assert settings == Settings()


@pytest.mark.parametrize("name", [name for name in NAMES if name != "stop"])
@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e308", "", "much", "-1e30"])
def test_no_value_gets_through_that_native_code_could_stumble_over(name, value):
    settings = Settings()
    with pytest.raises(UsageError, match=name):
        change(settings, name, value)
    assert settings == Settings()


def test_a_whole_number_is_asked_for_where_one_is_needed():
    with pytest.raises(UsageError, match="whole number"):
        change(Settings(), "top_k", "1.5")


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(UsageError, match="Did you mean temperature"):
        change(Settings(), "temprature", "1")


def test_every_setting_is_described():
    assert {name for name, _ in describe(Settings(), None)} == set(NAMES)


def test_commands_are_found_by_unambiguous_prefix():
    assert commands.find("he").name == "help"
    assert commands.find("set").name == "set"
    with pytest.raises(UsageError, match="Did you mean /system or /set or /stats"):
        commands.find("s")
    with pytest.raises(UsageError, match="/help"):
        commands.find("xyzzy")
