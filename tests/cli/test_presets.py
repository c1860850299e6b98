"""`llamachat presets`, and presets in one-shots."""

from __future__ import annotations

import json

import pytest


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "home" / "config" / "presets"


def test_all_are_listed_with_what_they_are_for(run):
    out = run("presets").out
    assert out == run("presets", "list").out
    assert "reviewer" in out
    assert "(language=English)" in out
    rows = {row["name"]: row for row in json.loads(run("presets", "list", "--json").out)}
    assert rows["translator"]["variables"] == {"language": "English"}
    assert rows["translator"]["settings"] == {"temperature": 0.2}
    assert not rows["translator"]["own"]
    assert json.loads(run("presets", "show", "translator", "--json").out) == rows["translator"]


def test_a_preset_is_shown_as_its_file_is(run):
    out = run("presets", "show", "translator").out
    assert out.startswith("---\ndescription: Translate")
    assert "{{language}}" in out


def test_on_a_terminal_a_file_cannot_act(run, folder):
    run("presets", "new", "evil", "\x1b]0;title\x07hello")
    assert "\x1b" in run("presets", "show", "evil").out
    shown = run("presets", "show", "evil", terminal=True).out
    assert "\x1b" not in shown
    assert "hello" in shown


def test_one_is_made_from_words_a_pipe_or_a_whole_file(run, folder):
    result = run("presets", "new", "pirate", "You are", "a pirate.", "-d", 'Arr: "yes"')
    assert result.out == f"{folder / 'pirate.md'}\n"
    made = json.loads(run("presets", "show", "pirate", "--json").out)
    assert (made["text"], made["description"], made["own"]) == ("You are a pirate.", 'Arr: "yes"', True)
    run("presets", "new", "piped", stdin="Größe zählt.\n".encode())
    assert json.loads(run("presets", "show", "piped", "--json").out)["text"] == "Größe zählt."
    run("presets", "new", "whole", stdin=b"---\ntemperature: 0.5\n---\nBe brief.\n")
    assert json.loads(run("presets", "show", "whole", "--json").out)["settings"] == {"temperature": 0.5}
    run("presets", "new", "copy", "--like", "translator")
    assert json.loads(run("presets", "show", "copy", "--json").out)["variables"] == {"language": "English"}
    run("presets", "new", "windows", stdin=b"---\r\ntemperature: 0.5\r\n---\r\nBe brief.\r\n")
    assert json.loads(run("presets", "show", "windows", "--json").out)["settings"] == {"temperature": 0.5}
    run("presets", "new", "dashes", "--", "--- be nice")
    assert json.loads(run("presets", "show", "dashes", "--json").out)["text"] == "--- be nice"
    run("presets", "new", "empty")
    assert json.loads(run("presets", "show", "empty", "--json").out)["text"] == "You are a helpful assistant."


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["new", "../x", "Be."], "cannot be a preset's name"),
        (["new", "none", "Be."], "cannot be a preset's name"),
        (["new", "pirate", "Be."], "presets edit pirate"),
        (["new", "x", "--like", "revewer"], "Did you mean reviewer?"),
        (["new", "x", ""], "the text is empty"),
        (["new", "x", "\udcff"], "not UTF-8"),
        (["new", "x", "-d", "\udcff", "Be."], "not UTF-8"),
        (["new", "x", "Be.", "--like", "reviewer"], "--like begins"),
        (["new", "x", "--", "---\nnope: 1\n---\nBe."], "line 2"),
        (["show", "revewer"], "Did you mean reviewer?"),
        (["edit", "revewer"], "Did you mean reviewer?"),
        (["remove", "revewer"], "Did you mean reviewer?"),
        (["remove", "reviewer"], "came with llamachat"),
        (["remove", "pirate"], "--yes"),
        (["lisst"], "no such command 'lisst'"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2_and_loses_nothing(run, folder, arguments, words):
    run("presets", "new", "pirate", "You are a pirate.")
    result = run("presets", *arguments)
    assert result.code == 2
    assert words in result.err
    assert result.err.count("\n") == 1
    assert [path.name for path in folder.iterdir()] == ["pirate.md"]


def test_a_broken_file_is_listed_with_its_line_and_the_others_stay(run, folder):
    run("presets", "new", "mine", "Be brief.")
    (folder / "broken.md").write_text("---\ntemprature: 1\n---\nBe.")
    out = run("presets", "list").out
    assert f"{folder / 'broken.md'}, line 2: there is no 'temprature' in a preset." in out
    assert "mine" in out
    assert "reviewer" in out
    rows = {row["name"]: row for row in json.loads(run("presets", "list", "--json").out)}
    assert "line 2" in rows["broken"]["error"]
    assert run("-p", "broken", "hi").code == 2
    assert run("presets", "show", "broken").out.startswith("---")


def test_an_edit_of_a_shipped_one_makes_it_ones_own_and_removing_that_brings_it_back(run, folder, editor):
    unchanged = run("presets", "edit", "concise", EDITOR=editor("text"))
    assert unchanged.out == "Nothing was changed.\n"
    assert not (folder / "concise.md").exists()
    result = run("presets", "edit", "concise", EDITOR=editor("text.replace('Answer', 'Reply')"))
    assert result.code == 0, result.err
    assert json.loads(run("presets", "show", "concise", "--json").out)["text"].startswith("Reply")
    wrong = run("presets", "edit", "concise", EDITOR=editor("'---\\nnope: 1\\n' + text[4:]"))
    assert wrong.code == 2
    assert "kept in" in wrong.err
    assert json.loads(run("presets", "show", "concise", "--json").out)["text"].startswith("Reply")
    removed = run("presets", "remove", "concise", "--yes")
    assert "holds again" in removed.out
    assert json.loads(run("presets", "show", "concise", "--json").out)["text"].startswith("Answer")


def test_a_new_one_is_made_only_when_the_editor_saves(run, folder, editor):
    assert "Nothing was made" in run("presets", "new", "mine", EDITOR="true").out
    assert not (folder / "mine.md").exists()
    assert run("presets", "new", "mine", EDITOR=editor("text")).out == f"{folder / 'mine.md'}\n"


def test_removing_asks_on_a_terminal(run, folder):
    run("presets", "new", "mine", "Be brief.")
    assert run("presets", "remove", "mine", terminal=True, stdin=b"\n").code == 130
    assert (folder / "mine.md").exists()
    assert run("presets", "remove", "mine", terminal=True, stdin=b"y\n").code == 0
    assert not (folder / "mine.md").exists()


def system_of(run, model, *arguments, **options) -> str | None:
    prompt = json.loads(run("-m", str(model), "--dry-run", "--json", *arguments, **options).out)["prompt"]
    return prompt.partition("<<SYS>>\n")[2].partition("\n<</SYS>>")[0] or None


def test_a_one_shot_has_the_usual_preset_the_named_one_or_none(run, tiny_model):
    assert system_of(run, tiny_model, "hi").startswith("You are a helpful assistant.")
    assert "French" in system_of(run, tiny_model, "-p", "translator", "--var", "language=French", "hi")
    assert system_of(run, tiny_model, "-p", "none", "hi") is None
    assert system_of(run, tiny_model, "-p", "translator", "-s", "Mine.", "hi") == "Mine."
    assert system_of(run, tiny_model, "hi", LLAMACHAT_SYSTEM="From outside.") == "From outside."
    run("config", "set", "preset", "concise")
    assert system_of(run, tiny_model, "hi").startswith("Answer in one short sentence")


def test_messages_get_no_system_prompt_but_one_that_is_asked_for(run, tiny_model):
    def of(*arguments, **variables):
        messages = b'[{"role": "user", "content": "a"}]'
        return system_of(run, tiny_model, "--messages", "-", *arguments, stdin=messages, **variables)

    run("config", "set", "system", "From the file.")
    assert of() is None
    assert of(LLAMACHAT_SYSTEM="x", LLAMACHAT_PRESET="concise") is None
    assert of("-p", "concise").startswith("Answer in one short sentence")
    assert of("-p", "concise", LLAMACHAT_SYSTEM="x").startswith("Answer in one short sentence")
    assert of("-s", "Mine.") == "Mine."


def test_a_preset_brings_its_sampling_and_its_model_and_options_win(run, tiny_model):
    run("presets", "new", "mine", stdin=f"---\nmodel: {tiny_model}\nmax_tokens: 3\nseed: 5\n---\nBe.".encode())
    answer = json.loads(run("-p", "mine", "--json", "hi").out)
    assert answer["model"]["path"] == str(tiny_model)
    assert (answer["usage"]["completion_tokens"], answer["seed"]) == (3, 5)
    assert json.loads(run("-p", "mine", "--json", "-n", "2", "hi").out)["usage"]["completion_tokens"] == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-p", "revewer"], "Did you mean reviewer?"),
        (["-p", "translator", "--var", "langauge=x"], "Did you mean language?"),
        (["-p", "translator", "--var", "language"], "NAME=VALUE"),
        (["--var", "language=x"], "the preset assistant has no variable"),
        (["-p", "none", "--var", "language=x"], "without a preset"),
    ],
)
def test_a_mistake_in_naming_a_preset_is_exit_code_2(run, arguments, words):
    result = run(*arguments, "hi")
    assert result.code == 2
    assert words in result.err
    assert result.err.count("\n") == 1
