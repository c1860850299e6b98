"""Presets: what a file says, where a mistake in it is, and whose wins."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from llamachat import presets
from llamachat.choices import Choices, Layer, Origin
from llamachat.errors import UsageError
from llamachat.formats.llama2 import TAGS
from llamachat.preset import read
from llamachat.presets import Broken, Shelf

ROOT = Path(__file__).parent.parent
SHIPPED = {
    *("assistant", "concise", "reviewer", "commit-message", "shell", "explain", "translator", "summarise", "tutor"),
    *("brainstorm", "proofread", "regex", "sql", "unit-tests"),
}
FULL = """\
---
# a comment
description: "For me: all of it"
temperature: 0
model: llama.gguf
stop: [a, b]
max_tokens: 50
variables:
  language: no
  tone: ""
  count: 10
  who:
---

Say it in {{language}}, {{ tone }}{{count}} {{who}}.

"""


@pytest.fixture
def shelf(tmp_path) -> Shelf:
    return Shelf(tmp_path / "presets")


def put(shelf: Shelf, name: str, text: str) -> Path:
    shelf.own.mkdir(exist_ok=True)
    path = shelf.own / f"{name}.md"
    path.write_text(text, encoding="utf-8")
    return path


def test_all_of_the_shipped_presets_are_there_and_can_be_used(shelf):
    assert set(shelf.names()) >= SHIPPED
    for preset in shelf.all():
        assert not isinstance(preset, Broken), preset
        assert preset.description
        assert not preset.is_own
        text = preset.fill({})
        assert "{{" not in text
        assert not any(tag in text for tag in TAGS)
        assert len(text.split()) <= 60, "a 7B model reads 30 tokens a second"


def test_a_preset_is_a_text_with_settings_and_variables(shelf):
    put(shelf, "mine", FULL)
    preset = shelf.get("mine")
    assert preset.description == "For me: all of it"
    assert preset.values == {"temperature": 0.0, "model": "llama.gguf", "stop": ("a", "b"), "max_tokens": 50}
    assert preset.variables == {"language": "no", "tone": "", "count": "10", "who": None}
    assert preset.fill({"who": "{{tone}} times"}) == "Say it in no, 10 {{tone}} times."
    assert preset.is_own
    layer = preset.layer({"who": "x", "language": "Thai"})
    assert layer.values["system"] == "Say it in Thai, 10 x."
    assert layer.values["temperature"] == 0.0


def test_without_variables_braces_are_only_braces(shelf):
    put(shelf, "jinja", "Explain {{ this }} template.")
    assert shelf.get("jinja").fill({}) == "Explain {{ this }} template."


def test_a_text_without_a_head_and_windows_line_ends_will_do(shelf):
    put(shelf, "bare", "Be brief.\n")
    assert shelf.get("bare").text == "Be brief."
    (shelf.own / "windows.md").write_bytes(b"\xef\xbb\xbf---\r\ntemperature: 1\r\n---\r\nBe brief.\r\n")
    assert shelf.get("windows").values == {"temperature": 1.0}
    assert shelf.get("windows").text == "Be brief."


def test_a_variable_without_a_default_has_to_be_given(shelf):
    put(shelf, "mine", "---\nvariables:\n  who:\n---\nGreet {{who}}.")
    with pytest.raises(UsageError, match=r"needs a value for who.*--var who="):
        shelf.get("mine").fill({})


def test_an_unknown_variable_is_answered_with_the_nearest():
    preset = Shelf(Path("nowhere")).get("translator")
    with pytest.raises(UsageError, match=r"no variable 'langauge'.*Did you mean language"):
        preset.fill({"langauge": "French"})
    with pytest.raises(UsageError, match="It has none"):
        Shelf(Path("nowhere")).get("concise").fill({"x": "y"})


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("---\ndescription: x\ntemprature: 1\n---\nBe.", 3, "Did you mean temperature"),
        ("---\ndescription: x\n\n# y\ntemperature: hot\n---\nBe.", 5, "a number from 0 to 100, not 'hot'"),
        ("---\nctx_size: 99\n---\nBe.", 2, "no 'ctx_size' in a preset"),
        ("---\na: b: c\n---\nBe.", 2, "mapping values are not allowed"),
        ("---\ndescription: [x\n---\nBe.", 3, "expected"),
        ("---\n\ttemperature: 1\n---\nBe.", 2, "cannot start any token"),
        ("---\n- a\n---\nBe.", 2, "name: value"),
        ("---\ntemperature: 2024-13-45\n---\nBe.", 2, "a number from 0 to 100, not '2024-13-45'"),
        ("---\nseed: !!int foo\n---\nBe.", 2, "not 'foo'"),
        ("---\ndescription: \x07\n---\nBe.", 2, "not allowed"),
        ("---\nseed: " + "9" * 5000 + "\n---\nBe.", 2, "a whole number from 0"),
        ("---\nstop: " + "[" * 3000 + "\n---\nBe.", 2, "nested too deeply"),
        ("---\nstop: [[a]]\n---\nBe.", 2, "an item of stop has to be one value"),
        ("---\ndescription: [a, b]\n---\nBe.", 2, "the description has to be one value"),
        ("---\nseed: 1\nseed: 2\n---\nBe.", 3, "seed is there twice"),
        ("---\nvariables:\n  a: 1\n  a: 2\n---\nBe.", 4, "the variable a is there twice"),
        ("---\n? [a]\n: b\n---\nBe.", 2, "in a preset"),
        ("---\ndescription: x\n\nBe.", 1, "does not end"),
        ("---\nvariables: 5\n---\nBe.", 2, "indented"),
        ("---\nvariables:\n  a: 1\n  b: [1]\n---\nBe.", 4, "the default of b"),
        ("---\nvariables:\n  1a: x\n---\nBe.", 3, "'1a' cannot be"),
        ("---\nvariables:\n  language: x\n---\n\nBe\n{{langauge}}.", 7, "Did you mean language"),
        ("---\ndescription: x\n---\n\n", 4, "there is no text"),
        ("", 1, "there is no text"),
    ],
)
def test_a_broken_file_names_its_line_and_does_not_stop_the_others(shelf, text, line, words):
    path = put(shelf, "broken", text)
    put(shelf, "fine", "Be brief.")
    with pytest.raises(UsageError) as caught:
        shelf.get("broken")
    assert f"{path}, line {line}: " in caught.value.message
    assert words in str(caught.value)
    assert caught.value.hint
    kinds = {preset.name: type(preset).__name__ for preset in shelf.all()}
    assert kinds["broken"] == "Broken"
    assert kinds["fine"] == kinds["assistant"] == "Preset"


def test_a_bomb_of_aliases_is_refused_at_once(shelf):
    levels = "".join(f"  - &x{level} [{', '.join([f'*x{level - 1}'] * 9)}]\n" for level in range(1, 9))
    put(shelf, "bomb", f"---\nstop:\n  - &x0 [lol]\n{levels}---\nBe.")
    with pytest.raises(UsageError, match="an item of stop"):
        shelf.get("bomb")


def test_a_folder_and_a_file_called_none_in_its_place_do_not_stop_the_others(shelf):
    put(shelf, "none", "Be.")
    (shelf.own / "folder.md").mkdir()
    kinds = {preset.name: type(preset).__name__ for preset in shelf.all()}
    assert kinds["none"] == kinds["folder"] == "Broken"
    assert kinds["assistant"] == "Preset"


def test_values_are_read_as_they_are_written_and_not_as_yaml_would(shelf):
    put(shelf, "mine", "---\ntemperature: 1e-1\nseed: 010\nstop: no\n---\nBe.")
    assert shelf.get("mine").values == {"temperature": 0.1, "seed": 10, "stop": ("no",)}


def test_a_text_that_another_one_replaces_needs_no_variables(shelf):
    put(shelf, "mine", "---\ntemperature: 0.4\nvariables:\n  who:\n---\nGreet {{who}}.")
    choices = Choices({Origin.FLAG: Layer({"system": "Mine."})})
    switched = presets.switch(choices, Origin.PRESET, "mine", {}, shelf)
    assert (switched.text("system"), switched.number("temperature")) == ("Mine.", 0.4)


def test_ones_own_wins_by_name_even_when_broken(shelf):
    put(shelf, "concise", "Mine.")
    assert shelf.get("concise").text == "Mine."
    put(shelf, "concise", "---\nnope: 1\n---\nMine.")
    with pytest.raises(UsageError, match="line 2"):
        shelf.get("concise")


def test_an_unknown_name_is_answered_with_the_nearest(shelf):
    with pytest.raises(UsageError, match="Did you mean reviewer"):
        shelf.get("revewer")
    with pytest.raises(UsageError, match="presets list"):
        shelf.get("xyzzy")


@pytest.mark.parametrize("name", ["../x", "a/b", ".hidden", "", "a b", "-x", "a" * 101])
def test_a_name_that_is_no_file_name_is_refused(shelf, name):
    with pytest.raises(UsageError):
        shelf.own_path(name)
    with pytest.raises(UsageError):
        shelf.get(name)


def test_a_preset_takes_the_place_of_another(shelf):
    choices = Choices({Origin.FILE: Layer({"temperature": 0.7})})
    usual = presets.switch(choices, Origin.DEFAULT_PRESET, "reviewer", {}, shelf)
    assert usual.number("temperature") == 0.7, "the file is stronger than the preset nobody named"
    named = presets.switch(usual, Origin.PRESET, "translator", {"language": "Thai"}, shelf)
    assert named.number("temperature") == 0.2
    assert "Thai" in named.text("system")
    nothing = presets.switch(named, Origin.PRESET, "none", {}, shelf)
    assert nothing.text("system") is None
    assert nothing.number("temperature") == 0.7
    with pytest.raises(UsageError, match="without a preset"):
        presets.switch(named, Origin.PRESET, "none", {"language": "Thai"}, shelf)


def test_the_shipped_presets_are_in_the_wheel_and_an_editable_install_reads_the_checkouts(tmp_path):
    build = "import hatchling.build as b; print(b.build_wheel({!r})); print(b.build_editable({!r}))"
    folders = [str(tmp_path / "wheel"), str(tmp_path / "editable")]
    for folder in folders:
        Path(folder).mkdir()
    done = subprocess.run(
        [sys.executable, "-c", build.format(*folders)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    wheel, editable = (
        zipfile.ZipFile(Path(folder, name)) for folder, name in zip(folders, done.stdout.split(), strict=True)
    )
    packaged = {name for name in wheel.namelist() if name.endswith(".md") and name.startswith("llamachat/prompts/")}
    assert {Path(name).stem for name in packaged} == set(Shelf(tmp_path).names())
    assert not [name for name in editable.namelist() if "prompts" in name]
    wheel.extractall(tmp_path / "site")
    code = "from llamachat.presets import *; print(shipped(), *Shelf(Path('x')).names())"
    out = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path / "site", capture_output=True, text=True, check=True
    ).stdout.split()
    assert out[0] == str(tmp_path / "site" / "llamachat" / "prompts")
    assert set(out[1:]) >= SHIPPED


@pytest.mark.parametrize("text", ["Helpful, honest (the default)", "a - b", "x. y", "none", "No", "1e3 things", "a  b"])
def test_a_head_of_one_plain_line_means_what_it_means_to_yaml(text, tmp_path):
    plain = tmp_path / "plain.md"
    plain.write_text(f"---\ndescription: {text}\n---\nBe.\n")
    by_yaml = tmp_path / "yaml.md"
    by_yaml.write_text(f"---\n# a comment\ndescription: {text}\n---\nBe.\n")
    assert read(plain, is_own=True).description == read(by_yaml, is_own=True).description
