"""`llamachat doctor`: what it says when all is well, and when nothing works."""

from __future__ import annotations

import json
import sqlite3
import sys
from pathlib import Path

import pytest

from llamachat.store import migrations
from llamachat.store.sessions import Store
from llamachat.types import Message, Role
from tests.build.place import Place, packages_here

SECTIONS = ["llamachat", "folders", "configuration", "model", "llama.cpp", "engine", "memory", "disk", "sessions"]


@pytest.fixture
def home(tmp_path) -> Path:
    for name in ("config", "data", "state"):
        (tmp_path / "home" / name).mkdir(parents=True)
    return tmp_path / "home"


@pytest.fixture
def doctor(run, parrot, tmp_path):
    """`doctor("--fix")` with a small model, as the exit code, what was found by section, and the result."""

    def call(*arguments: str, **variables: str):
        given = {"LLAMACHAT_MODEL": str(parrot), "HF_HOME": str(tmp_path / "hf"), **variables}
        result = run("doctor", "--json", *arguments, **given)
        rows: dict[str, list[dict]] = {}
        for row in json.loads(result.out).get("findings", []):
            rows.setdefault(row["section"], []).append(row)
        return result.code, rows, result

    return call


def bad(rows: dict[str, list[dict]]) -> dict[str, str]:
    return {name: row["text"] for name, found in rows.items() for row in found if row["status"] == "bad"}


def test_where_all_is_well_each_section_is_a_line(run, parrot, tmp_path):
    result = run("doctor", LLAMACHAT_MODEL=str(parrot), HF_HOME=str(tmp_path))
    assert (result.code, result.err) == (0, "")
    lines = [line for line in result.out.splitlines() if line.startswith(("✓", "✗", "!"))]
    assert not [line for line in lines if line.startswith("✗")]
    assert [line.split()[1] for line in lines if line.startswith("✓")][: len(SECTIONS)] == SECTIONS
    assert "parrot.Q8_0.gguf and answers" in result.out


def test_json_says_the_same_with_the_exit_code(doctor):
    code, rows, result = doctor()
    assert json.loads(result.out)["code"] == code == 0
    assert rows["engine"][0].keys() == {"section", "status", "text", "hint", "fix"}


def test_on_a_terminal_lines_are_broken_at_its_edge_and_paths_are_not(run, parrot, tmp_path):
    options = {"LLAMACHAT_MODEL": str(parrot), "HF_HOME": str(tmp_path), "NO_COLOR": "1", "TERM": "xterm"}
    out = run("doctor", terminal=True, COLUMNS="80", **options).out.replace("\x1b[1m", "").replace("\x1b[0m", "")
    assert not [line for line in out.splitlines() if len(line) > 80 and " " in line[16:].strip()]
    assert str(tmp_path / "home" / "state") in out


def test_nothing_in_a_name_acts_on_the_terminal(run, parrot):
    out = run("doctor", terminal=True, LLAMACHAT_MODEL="no\x1b]0;x\x07", TERM="dumb").out
    assert "\x1b" not in out


def test_a_mistake_in_the_configuration_has_its_line_and_the_rest_is_looked_at(doctor, home):
    (home / "config" / "config.toml").write_text("seed = 1\ntemprature = 2\n")
    code, rows, _ = doctor()
    assert code == 2
    assert bad(rows).keys() == {"configuration"}
    assert "line 2" in bad(rows)["configuration"]
    assert rows["configuration"][0]["hint"] == "Did you mean temperature?"
    assert rows["model"][0]["status"] == rows["engine"][0]["status"] == "ok"


def test_a_variable_that_nobody_reads_is_told_with_the_one_that_was_meant(doctor):
    code, rows, _ = doctor(LLAMACHAT_TEMPRATURE="1")
    assert code == 0
    assert rows["configuration"][-1]["hint"] == "Did you mean LLAMACHAT_TEMPERATURE?"


def test_a_preset_that_cannot_be_used_is_told(doctor, home):
    (home / "config" / "presets").mkdir()
    (home / "config" / "presets" / "mine.md").write_text("---\ntemprature: 1\n---\nBe brief.\n")
    code, rows, _ = doctor()
    assert (code, rows["configuration"][-1]["status"]) == (0, "warn")
    assert "mine.md" in rows["configuration"][-1]["text"]


def test_a_model_that_is_not_there_is_exit_code_3(doctor):
    code, rows, _ = doctor(LLAMACHAT_MODEL="/no/such.gguf")
    assert code == 3
    assert bad(rows).keys() == {"model"}
    assert rows["engine"][0]["status"] == "ok"  # tried with the starter


def test_a_home_that_cannot_be_used_is_exit_code_9_and_the_machine_is_looked_at(doctor, tmp_path):
    (tmp_path / "file").touch()
    code, rows, _ = doctor(LLAMACHAT_HOME=str(tmp_path / "file"))
    assert code == 9
    assert {"folders", "configuration"} == bad(rows).keys()
    assert rows["engine"][0]["status"] == rows["llama.cpp"][0]["status"] == rows["memory"][0]["status"] == "ok"
    code, rows, _ = doctor(LLAMACHAT_HOME="~nobody-of-this-name/x")
    assert (code, list(bad(rows))) == (9, ["folders"])


def test_a_folder_without_which_a_chat_does_with_less_is_no_error(doctor, home):
    (home / "state").rmdir()
    (home / "state").touch()
    code, rows, _ = doctor()
    assert (code, rows["folders"][0]["status"]) == (0, "warn")
    assert "no history" in rows["folders"][0]["text"]
    assert rows["engine"][0]["status"] == "ok"


def test_a_library_that_cannot_be_loaded_is_exit_code_5_and_a_rebuild_mends_it(doctor, tmp_path, monkeypatch):
    monkeypatch.setenv("LLAMA_CPP_LIB_PATH", str(tmp_path))  # where the engine's process looks for it
    code, rows, _ = doctor()
    assert code == 5
    assert bad(rows).keys() == {"llama.cpp"}
    assert "cannot be loaded" in bad(rows)["llama.cpp"]
    assert (rows["llama.cpp"][0]["fix"], rows["llama.cpp"][0]["hint"]) == ("rebuild", "llamachat doctor --fix")
    assert rows["terminal"]


def test_a_damaged_database_is_told_and_left_to_the_command_that_saves_it(doctor, home):
    path = home / "data" / "sessions.db"
    path.write_bytes(b"no database at all" * 100)
    before = path.read_bytes()
    code, rows, _ = doctor()
    assert (code, rows["sessions"][0]["status"]) == (0, "warn")
    assert "llamachat sessions" in rows["sessions"][0]["hint"]
    assert path.read_bytes() == before


def test_sessions_are_counted_and_damaged_copies_named(doctor, home):
    path = home / "data" / "sessions.db"
    with Store(path) as store:
        store.add(store.create("a chat").id, None, Message(Role.USER, "hello"))
    path.with_name("sessions.db.damaged-20260101-000000").write_bytes(b"x" * 2_000_000)
    _, rows, _ = doctor()
    first, second = rows["sessions"]
    assert first["text"].startswith("1 session with 1 message in ")
    assert "damaged copies beside it: 1" in second["text"]
    assert "2.0 MB" in second["text"]


def test_a_database_of_a_newer_llamachat_is_exit_code_9(doctor, home):
    path = home / "data" / "sessions.db"
    Store(path).close()
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {migrations.LATEST + 1}")
    connection.close()
    code, rows, _ = doctor()
    assert code == 9
    assert "newer llamachat" in bad(rows)["sessions"]


@pytest.fixture
def block(home) -> Path:
    """A block of the KV cache of some model."""
    path = home / "cache" / "kv" / "some-model" / "block.kv"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"x" * 3_000_000)
    path.with_name("model.json").write_text('{"name": "llama-2-7b-chat"}')
    for folder in path.parents[:2]:
        folder.chmod(0o700)
    return path


def test_snapshots_are_shown_with_their_quota(doctor, block):
    code, rows, _ = doctor(LLAMACHAT_CACHE="2 GB")
    assert (code, rows["snapshots"][0]["status"]) == (0, "ok")
    assert rows["snapshots"][0]["text"].startswith("3.0 MB of llama-2-7b-chat; up to 2.00 GB in ")
    _, rows, _ = doctor(LLAMACHAT_CACHE="0")
    assert rows["snapshots"][0]["hint"] == "llamachat doctor --clear-cache"


def test_snapshots_are_removed_after_asking(run, block):
    assert run("doctor", "--clear-cache").code == 2
    assert run("doctor", "--clear-cache", terminal=True, stdin=b"n\n").code == 130
    assert block.exists()
    result = run("doctor", "--clear-cache", terminal=True, stdin=b"y\n")
    assert (result.code, result.out) == (0, "There are no snapshots now; 3.0 MB are free again.\n")
    assert not block.exists()
    assert json.loads(run("doctor", "--clear-cache", "--yes", "--json").out) == {"freed_bytes": 0}


@pytest.mark.parametrize("pair", [("--fix", "--clear-cache"), ("--clear-cache", "--stop-engines")])
def test_two_things_at_once_are_refused(run, block, pair):
    result = run("doctor", *pair, "--yes")
    assert (result.code, "one at a time" in result.err) == (2, True)
    assert block.exists()


def test_fix_does_nothing_where_nothing_needs_a_rebuild(run, parrot, tmp_path):
    result = run("doctor", "--fix", LLAMACHAT_MODEL=str(parrot), HF_HOME=str(tmp_path))
    if "--fix" in result.out:
        pytest.skip(f"llama.cpp here was built without what this processor has: {result.out}")
    assert (result.code, "nothing here is mended" in result.err) == (0, True)


def test_fix_shows_its_command_and_asks(run, parrot, tmp_path, monkeypatch):
    monkeypatch.setenv("LLAMA_CPP_LIB_PATH", str(tmp_path))
    options = {"LLAMACHAT_MODEL": str(parrot), "HF_HOME": str(tmp_path)}
    nobody = run("doctor", "--fix", **options)
    assert (nobody.code, "--yes" in nobody.err.splitlines()[-1]) == (2, True)
    no = run("doctor", "--fix", terminal=True, stdin=b"n\n", **options)
    assert no.code == 130
    for result in (nobody, no):
        command = next(line for line in result.err.splitlines() if " -m pip " in line)
        assert command.split(" -m pip ")[0].endswith(sys.executable)
        assert "--no-cache-dir" in command


@pytest.mark.skipif(sys.platform == "win32", reason="the test makes symbolic links, which Windows lets few users do")
def test_fix_mends_an_install_whose_llama_cpp_is_broken(tmp_path, parrot):
    place = Place(tmp_path)
    place.install("raise OSError('no such library')\n")
    (place.packages / "others.pth").write_text(f"{packages_here()}\n")
    real = packages_here() / "llama_cpp"
    variables = {"LLAMACHAT_HOME": str(tmp_path / "home"), "LLAMACHAT_MODEL": str(parrot), "LLAMACHAT_THREADS": "1"}
    before = place.run("llamachat", "doctor", "--fix", "--yes", new=None, **variables)
    assert before.returncode == 5, before.stderr
    assert "llamachat: compiling llama.cpp failed." in before.stderr.splitlines()[-1]
    after = place.run("llamachat", "doctor", "--fix", "--yes", new=real, **variables)
    assert after.returncode == 0, after.stdout + after.stderr
    assert "✗ llama.cpp" in after.stdout
    assert "✓ engine" in after.stdout
    assert "no such library" not in place.installed
