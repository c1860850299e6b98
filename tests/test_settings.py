"""The table of settings: what each takes, in which words it refuses, and that the docs say the same."""

from __future__ import annotations

from dataclasses import fields

import pytest

from docs.settings import PAGE, page
from llamachat import settings
from llamachat.errors import UsageError
from llamachat.settings import BY_KEY, SETTINGS, Group, Kind
from llamachat.types import Sampling

NUMBERS = [setting for setting in SETTINGS if setting.kind in (Kind.NUMBER, Kind.WHOLE)]


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("temperature", "0.3", 0.3),
        ("temperature", "1", 1.0),
        ("top_k", "40", 40),
        ("repeat_last_n", "-1", -1),
        ("model", "llama.gguf", "llama.gguf"),
        ("kv_type", "q8_0", "q8_0"),
        ("plain", "yes", True),
        ("stream", "off", False),
        ("stop", "###", ("###",)),
        ("gpu_layers", "all", "all"),
        ("gpu_layers", "20", 20),
        ("system", "", ""),
    ],
)
def test_a_text_becomes_the_value_it_stands_for(key, text, value):
    parsed = BY_KEY[key].parse(text, key)
    assert parsed == value
    assert type(parsed) is type(value)


@pytest.mark.parametrize("setting", NUMBERS, ids=lambda setting: setting.key)
@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "1e308", "", "much", "-1e30"])
def test_no_number_gets_through_that_native_code_could_stumble_over(setting, text):
    with pytest.raises(UsageError, match=f"{setting.key} takes a .*number"):
        setting.parse(text, setting.key)


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("temperature", "0.3", "a number from 0 to 100, not '0.3'"),
        ("temperature", True, "a number from 0 to 100, not True"),
        ("top_k", 1.5, "a whole number, 0 or more, not 1.5"),
        ("max_tokens", 0, "a whole number, 1 or more, not 0"),
        ("plain", 1, "true or false, not 1"),
        ("format", "llama9", "llama2, template or plain, not 'llama9'"),
        ("stop", [1], "a list of texts"),
        ("gpu_layers", "some", "auto, all or a number of layers, not 'some'"),
        ("gpu_layers", -1, "auto, all or a number of layers, not -1"),
        ("system", 5, "a text, not 5"),
    ],
)
def test_a_wrong_value_is_answered_with_what_was_expected(key, value, expected):
    with pytest.raises(UsageError, match=expected):
        BY_KEY[key].check(value, key)


def test_a_list_of_texts_may_be_one_text():
    assert BY_KEY["stop"].check("END", "stop") == ("END",)
    assert BY_KEY["stop"].check(["a", "b"], "stop") == ("a", "b")


def test_a_value_is_shown_as_one_would_type_it():
    for key, text in {
        "temperature": "0.3",
        "plain": "true",
        "gpu_layers": "all",
        "model": "a.gguf",
        "seed": "7",
    }.items():
        assert settings.show(BY_KEY[key].parse(text, key)) == text


def test_an_unknown_name_is_answered_with_the_nearest_and_a_dash_is_a_line():
    with pytest.raises(UsageError, match="Did you mean temperature"):
        settings.find("temprature")
    with pytest.raises(UsageError, match="config list"):
        settings.find("xyzzy")
    assert settings.find("top-p").key == "top_p"


def test_every_sampler_is_in_the_table():
    assert {field.name for field in fields(Sampling)} - {"logit_bias"} <= {
        setting.key for setting in SETTINGS if setting.group is Group.SAMPLING
    }


def test_the_defaults_are_values_that_the_settings_take():
    for setting in SETTINGS:
        assert setting.default is not None or setting.otherwise
        if setting.default is not None:
            assert setting.check(setting.default, setting.key) == setting.default


def test_the_page_of_the_docs_is_made_from_the_table():
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m docs.settings"


@pytest.mark.parametrize(
    ("text", "n_bytes"), [("4 GB", 4 * 10**9), ("500mb", 5 * 10**8), ("1.5 TB", 15 * 10**11), ("0", 0), ("0 MB", 0)]
)
def test_a_size_is_a_number_and_a_unit_or_nothing(text, n_bytes):
    assert settings.n_bytes(str(settings.find("cache").parse(text, "cache"))) == n_bytes


@pytest.mark.parametrize("value", ["4", 4, "GB", "-1 GB", "4 GiB", "1e9 GB", True, 0.5, ""])
def test_what_is_no_size_is_refused_in_words(value):
    with pytest.raises(UsageError, match="cache takes a size such as 4 GB, or 0, not"):
        settings.find("cache").check(value, "cache")


def test_a_cache_of_nothing_is_a_number_in_the_file():
    assert settings.find("cache").check(0, "cache") == "0"


@pytest.mark.parametrize(
    ("text", "n_seconds"), [("30 min", 1800), ("90s", 90), ("1.5 H", 5400), ("0", 0), ("0 min", 0), ("0.5 s", 0.5)]
)
def test_a_duration_is_a_number_and_a_unit_or_nothing(text, n_seconds):
    key = "engine.idle_unload"
    assert settings.n_seconds(str(settings.find(key).parse(text, key))) == n_seconds


@pytest.mark.parametrize("text", ["30", "min", "-1 s", "3 days", "1e9 h", ""])
def test_what_is_no_duration_is_refused_in_a_line(text):
    with pytest.raises(UsageError, match="takes a duration such as 30 min, or 0"):
        settings.find("engine.idle_unload").parse(text, "engine.idle_unload")
