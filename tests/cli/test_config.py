"""`llamachat config`: each value with its origin, changes that keep comments, edits that are checked."""

from __future__ import annotations

import json
import os
import sys

import pytest

from llamachat.settings import SETTINGS


@pytest.fixture
def path(tmp_path):
    return tmp_path / "home" / "config" / "config.toml"


def listed(run, *arguments, **variables) -> dict[str, dict]:
    result = run("config", "list", "--json", *arguments, **variables)
    assert result.code == 0, result.err
    return {row["key"]: row for row in json.loads(result.out)}


def test_every_setting_is_listed_with_its_origin_in_the_designs_order(run, path):
    run("config", "set", "temperature", "0.3")
    run("config", "set", "top_k", "20")
    run("config", "set", "top-p", "0.5")
    rows = listed(run, "-t", "1", "-p", "translator", "--var", "language=Thai", LLAMACHAT_TOP_K="30", LLAMACHAT_SEED="")
    assert set(rows) == {setting.key for setting in SETTINGS}
    found = {key: (row["value"], row["origin"], row["place"]) for key, row in rows.items()}
    assert found["temperature"] == (1.0, "flag", None)
    assert found["top_k"] == (30, "environment", "LLAMACHAT_TOP_K")
    assert found["top_p"] == (0.5, "file", str(path))
    assert found["system"][1:] == ("preset", "preset translator")
    assert "Thai" in found["system"][0]
    assert found["gpu_layers"] == ("auto", "default", None)
    assert found["seed"] == (None, "default", None)


def test_a_named_preset_beats_the_file_and_the_file_beats_the_usual_one(run):
    run("config", "set", "temperature", "0.7")
    run("config", "set", "preset", "reviewer")
    assert listed(run)["temperature"]["value"] == 0.7
    assert listed(run)["system"]["origin"] == "default preset"
    assert listed(run, "-p", "reviewer")["temperature"] | {"default": None} == {
        "key": "temperature",
        "value": 0.2,
        "origin": "preset",
        "place": "preset reviewer",
        "default": None,
    }
    assert listed(run, LLAMACHAT_PRESET="reviewer")["temperature"]["value"] == 0.2


def test_for_people_it_is_one_line_a_setting_in_a_pipe_and_fits_a_terminal(run):
    result = run("config", LLAMACHAT_TEMPERATURE="0.5")
    assert len(result.out.splitlines()) == len(SETTINGS)
    assert "environment: LLAMACHAT_TEMPERATURE" in result.out
    shown = run("config", "list", terminal=True, COLUMNS="60").out
    assert "temperature" in shown


def test_a_value_is_got_set_and_unset(run, path):
    assert run("config", "get", "temperature").out == "\n"
    assert run("config", "set", "temperature", "0.30").out == f"temperature = 0.3  (in {path})\n"
    assert run("config", "get", "temperature").out == "0.3\n"
    assert json.loads(run("config", "get", "temperature", "--json").out)["origin"] == "file"
    assert "no longer set" in run("config", "unset", "temperature").out
    assert run("config", "get", "temperature").out == "\n"
    assert "not set" in run("config", "unset", "temperature").out
    run("config", "set", "stop", "a b", "c")
    assert run("config", "get", "stop").out == "a b\nc\n"
    run("config", "set", "system", "Answer", "in", "French.")
    assert run("config", "get", "system").out == "Answer in French.\n"


def test_setting_a_value_keeps_the_comments(run, path):
    path.parent.mkdir(parents=True)
    path.write_text("# mine\nseed = 1 # why not\n")
    run("config", "set", "seed", "2")
    assert path.read_text() == "# mine\nseed = 2 # why not\n"


def test_a_variable_that_wins_over_what_was_set_is_named(run):
    assert "LLAMACHAT_SEED is set and wins" in run("config", "set", "seed", "2", LLAMACHAT_SEED="1").err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["set", "temprature", "1"], "Did you mean temperature?"),
        (["get", "temprature"], "Did you mean temperature?"),
        (["unset", "temprature"], "Did you mean temperature?"),
        (["set", "temperature", "hot"], "temperature takes a number from 0 to 100, not 'hot'"),
        (["set", "format", "llama9"], "llama2, template or plain"),
        (["set", "temperature"], "missing argument"),
        (["sett"], "no such command 'sett'"),
        (["list", "-t", "hot"], "-t/--temperature takes a number"),
        (["list", "-p", "revewer"], "Did you mean reviewer?"),
        (["set", "preset", "revewer"], "Did you mean reviewer?"),
        (["set", "system", "\udcff"], "not UTF-8"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(run, path, arguments, words):
    result = run("config", *arguments)
    assert result.code == 2
    assert words in result.err
    assert result.err.count("\n") == 1
    assert not path.exists()


def test_a_mistake_in_the_file_stops_a_chat_with_its_line_and_what_mends_it(run, path):
    path.parent.mkdir(parents=True)
    path.write_text("seed = 1\ntemprature = 1\n")
    for arguments in (["hi"], ["config", "list"], ["config", "get", "seed"]):
        result = run(*arguments)
        assert result.code == 2
        assert f"{path}, line 2: there is no setting 'temprature'. Did you mean temperature?" in result.err
    for arguments in (["config", "path"], ["--version"], ["presets", "list"], ["config", "unset", "seed"]):
        assert run(*arguments).code == 0


def test_a_mistake_in_a_variable_names_it(run):
    result = run("hi", LLAMACHAT_TEMPERATURE="hot")
    assert result.code == 2
    assert "LLAMACHAT_TEMPERATURE takes a number from 0 to 100, not 'hot'" in result.err


def test_a_preset_that_the_file_or_a_variable_names_and_is_not_there_says_where(run, path):
    path.parent.mkdir(parents=True)
    path.write_text('preset = "revewer"\n')
    assert f"{path}: there is no preset 'revewer'. Did you mean reviewer?" in run("hi").err
    assert "LLAMACHAT_PRESET: there is no preset" in run("hi", LLAMACHAT_PRESET="x").err


def test_an_edit_is_saved_when_it_is_right(run, path, editor):
    result = run("config", "edit", EDITOR=editor("text + 'seed = 5\\n'"))
    assert (result.code, result.out) == (0, f"{path}\n")
    assert path.read_text().startswith("# What llamachat uses")
    assert run("config", "get", "seed").out == "5\n"
    again = run("config", "edit", VISUAL=editor("text"), EDITOR="false")
    assert again.out == "Nothing was changed.\n"
    assert [file.name for file in path.parent.iterdir()] == ["config.toml"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("path.unlink() or exit()", "removed the draft"),
        ("exit(3)", "ended with 3"),
    ],
)
def test_an_editor_that_fails_leaves_the_file_and_no_draft(run, path, editor, change, words):
    run("config", "set", "seed", "1")
    before = path.read_text()
    result = run("config", "edit", EDITOR=editor(change))
    assert result.code == 2
    assert words in result.err
    assert path.read_text() == before
    assert not list(path.parent.glob(".draft*"))


def test_what_changes_while_the_editor_is_open_is_not_overwritten(run, path, editor):
    run("config", "set", "seed", "1")
    change = f"pathlib.Path({str(path)!r}).write_text('seed = 2\\n') and text + 'top_k = 5\\n'"
    result = run("config", "edit", EDITOR=editor(change))
    assert result.code == 2
    assert "changed by somebody else" in result.err
    assert path.read_text() == "seed = 2\n"
    assert "top_k = 5" in path.with_name(".draft.config.toml").read_text()


def test_a_file_that_is_no_text_can_be_mended_in_the_editor(run, path, tmp_path):
    path.parent.mkdir(parents=True)
    path.write_bytes(b"seed = 1 # \xff\n")
    assert "config edit" in run("config", "list").err
    script = tmp_path / "mend.py"
    script.write_text(
        "import sys; f = sys.argv[1]; d = open(f, 'rb').read(); open(f, 'wb').write(d.replace(b'\\xff', b''))"
    )
    assert run("config", "edit", EDITOR=f'"{sys.executable}" "{script}"').code == 0
    assert run("config", "get", "seed").out == "1\n"


def test_an_edit_that_is_wrong_changes_nothing_and_is_not_lost(run, path, editor):
    run("config", "set", "seed", "1")
    before = path.read_text()
    result = run("config", "edit", EDITOR=editor("text + 'temprature = 5\\n'"))
    assert result.code == 2
    assert "there is no setting 'temprature'" in result.err
    assert path.read_text() == before
    draft = path.with_name(".draft.config.toml")
    assert str(draft) in result.err
    assert "temprature = 5" in draft.read_text()
    again = run("config", "edit", EDITOR=editor("text.replace('temprature', 'temperature')"))
    assert again.code == 0
    assert "could not be saved the last time" in again.err
    assert run("config", "get", "temperature").out == "5\n"
    assert not draft.exists()


def test_a_draft_that_is_older_than_the_file_does_not_undo_what_came_after_it(run, path, editor):
    run("config", "edit", EDITOR=editor("text + 'temprature = 5\\n'"))
    os.utime(path.with_name(".draft.config.toml"), (1, 1))
    run("config", "set", "seed", "2")
    assert run("config", "edit", EDITOR=editor("text + 'top_k = 3\\n'")).code == 0
    assert run("config", "get", "seed").out == "2\n"
    assert "temprature" in path.with_name(".draft.config.toml").read_text()


def test_on_a_terminal_a_wrong_edit_can_be_tried_again(run, path, editor):
    mend = editor("text.replace('temprature', 'temperature') if 'temprature' in text else text + 'temprature = 5\\n'")
    result = run("config", "edit", terminal=True, stdin=b"\n", EDITOR=mend)
    assert result.code == 0
    assert "Edit again?" in result.err
    assert run("config", "get", "temperature").out == "5\n"


@pytest.mark.parametrize(
    ("command", "words"), [("no-such-editor", "cannot be run"), ("false", "ended with 1"), ("", "EDITOR=")]
)
def test_an_editor_that_does_not_work_is_said(run, command, words):
    result = run("config", "edit", EDITOR=command)
    assert result.code == 2
    assert words in result.err


def test_the_file_decides_what_a_one_shot_does(run, tiny_model):
    run("config", "set", "model", str(tiny_model))
    run("config", "set", "max_tokens", "3")
    run("config", "set", "seed", "9")
    answer = json.loads(run("--json", "hi").out)
    assert (answer["usage"]["completion_tokens"], answer["seed"]) == (3, 9)
    answer = json.loads(run("--json", "-n", "2", "hi", LLAMACHAT_SEED="8").out)
    assert (answer["usage"]["completion_tokens"], answer["seed"]) == (2, 8)
    run("config", "set", "verbose", "true")
    assert "written" in run("hi").err
    assert "written" not in run("hi", "--no-verbose").err


def test_errors_are_json_where_json_is_wanted(run):
    result = run("config", "get", "temprature", "--json")
    assert json.loads(result.out)["error"] == {
        "code": 2,
        "message": "there is no setting 'temprature'.",
        "hint": "Did you mean temperature?",
    }
