"""`llamachat models`: what is here, what becomes of it, and what could be."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from llamachat.cli.assemble import make_library
from tests.cli.conftest import LLAMA


def listed(go, **options) -> dict[str, dict]:
    return {Path(row["path"]).name: row for row in json.loads(go("models", "--json", **options).out)}


@pytest.fixture
def other(cache, weights):
    """A file that another tool put into the Hub's cache, with its blob and two revisions."""
    folder = cache / "models--you--other-GGUF"
    blob = folder / "blobs" / hashlib.sha256(weights).hexdigest()
    for commit in ("a" * 40, "b" * 40):
        link = folder / "snapshots" / commit / "other.Q8_0.gguf"
        link.parent.mkdir(parents=True)
        link.symlink_to(Path("../..") / "blobs" / blob.name)
    blob.parent.mkdir()
    blob.write_bytes(weights)
    return folder


def test_what_is_here_is_listed_with_all_that_is_known(go, llama, other):
    rows = listed(go)
    assert rows[llama.name]["default"]
    assert rows[llama.name]["verified"]
    assert rows[llama.name]["repo"] == LLAMA.repo
    assert rows["other.Q8_0.gguf"]["repo"] == "you/other-GGUF"
    assert rows["other.Q8_0.gguf"]["verified"] is None
    assert rows["other.Q8_0.gguf"]["sha256"]
    assert any(row["origin"] == "starter" for row in rows.values())
    out = go("models").out
    assert out == go("models", "list").out
    line = next(line for line in out.splitlines() if line.startswith("*"))
    assert line.split() == ["*", "llama-2-7b-chat", "Q4_0", "0.5", "MB", "-", f"{datetime.now():%Y-%m-%d}", LLAMA.repo]


def test_on_a_terminal_the_list_and_the_advice_fit_80_columns(go, llama, other):
    for command in ("list", "recommend"):
        out = go("models", command, terminal=True, COLUMNS="80").out
        assert max(map(len, out.splitlines())) <= 80
        assert "llama-2-7b-chat " in out
        assert "…" not in out


def test_a_name_from_a_file_cannot_act_on_the_terminal(go, weights, tmp_path):
    (tmp_path / "evil\x1b]0;x\x07.gguf").write_bytes(weights)
    go("models", "import", str(tmp_path))
    for terminal in (False, True):
        assert "\x1b" not in go("models", terminal=terminal).out


def test_a_model_of_another_tool_chats_by_its_name(go, other):
    for name in ("you/other-GGUF", "you/other-GGUF:Q8_0", "other", "other:q8_0", "other.Q8_0.gguf"):
        assert go("-m", name, "-n", "1", "hi").code == 0, name


def test_a_model_that_is_not_here_is_said_with_the_command_that_gets_it(go, llama):
    for name in ("llama-2-13b-chat", "llama-2-7b-chat:Q5_K_M", "me/small-GGUF"):
        result = go("-m", name, "hi")
        assert result.code == 3
        assert f"{name} is not on this machine. Get it: llamachat pull {name}" in result.err
    assert "Did you mean llama-2-7b-chat:Q4_0?" in go("-m", "lama-2-7b-chat:Q4_0", "hi").err


def test_the_usual_model_is_the_chosen_one_else_the_last_llama_2_chat_else_the_starter(go, hub, weights):
    def used() -> str:
        return json.loads(go("--json", "-n", "1", "hi").out)["model"]["name"]

    assert used() == "SmolLM2-135M-Instruct"
    go("pull", "me/small-GGUF")
    assert used() == "SmolLM2-135M-Instruct"
    go("pull", "llama-2-7b-chat:Q4_0", "--accept-licence")
    assert used() == "llama-2-7b-chat"
    assert "is used from now on" in go("models", "use", "me/small-GGUF").out
    assert used() == "small"
    go("models", "use", "starter")
    assert used() == "SmolLM2-135M-Instruct"
    assert go("models", "use", "llama-2-13b-chat").code == 3


def test_a_usual_model_that_was_removed_behind_our_back_is_said(go, llama):
    for chosen in (False, True):
        if chosen:
            go("pull", "llama-2-7b-chat:Q4_0")
            go("models", "use", "llama-2-7b-chat")
        llama.unlink()
        result = go("hi")
        assert result.code == 3
        assert "llama-2-7b-chat:Q4_0 was removed from outside" in result.err
        assert "llamachat pull llama-2-7b-chat:Q4_0" in result.err
        assert go("-m", "llama-2-7b-chat", "hi").code == 3
    shown = go("models")
    assert "gone" in shown.out
    assert f"Forget it: llamachat models remove {llama}" in shown.err
    assert "is forgotten" in go("models", "remove", str(llama)).out
    assert llama.name not in listed(go)


def test_when_it_was_last_used_is_remembered(go, llama, hub, tmp_path):
    library = library_at(tmp_path, hub)
    now = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
    library.touch(llama, now)
    assert listed(go)[llama.name]["used"].startswith("2026-01-02T03:04")
    library.touch(tmp_path / "nothing.gguf", now)
    assert "nothing.gguf" not in listed(go)


def test_a_card_says_what_one_has_to_know(go, llama, other):
    card = json.loads(go("models", "show", "llama2", "--json").out)
    assert "2 trillion tokens of publicly available online data that Meta has not listed" in card["trained_on"]
    assert card["notice"].startswith("Llama 2 is licensed under the LLAMA 2 Community License")
    assert [each["path"] for each in card["installed"]] == [str(llama)]
    out = go("models", "show", "llama2", terminal=True).out
    assert "Copyright (c) Meta Platforms" in out
    assert str(llama) in out.splitlines()
    assert "installed      no" in go("models", "show", "llama-2-13b").out
    assert json.loads(go("models", "show", "starter", "--json").out)["installed"]
    assert json.loads(go("models", "show", "other", "--json").out)["architecture"] == "llama"
    assert go("models", "show", "nobody/nothing").code == 3


def test_removing_asks_first_and_takes_the_blob(go, llama):
    blob = llama.resolve()
    assert go("models", "remove", "llama-2-7b-chat").code == 2
    assert go("models", "remove", "llama-2-7b-chat", terminal=True, stdin=b"n\n").code == 130
    assert llama.exists()
    result = go("models", "remove", "llama-2-7b-chat", terminal=True, stdin=b"y\n")
    assert "0.5 MB are free again" in result.out
    assert not llama.is_symlink()
    assert not blob.exists()
    assert "-m" in go("pull", "llama-2-7b-chat:Q4_0").out


def test_one_quantisation_is_removed_and_the_others_stay(go, llama):
    go("pull", "llama-2-7b-chat:Q5_K_M")
    ambiguous = go("models", "remove", "llama-2-7b-chat", "--yes")
    assert ambiguous.code == 2
    assert "llama-2-7b-chat:Q4_0, llama-2-7b-chat:Q5_K_M" in ambiguous.err
    assert go("models", "remove", "llama-2-7b-chat:Q5_K_M", "--yes").code == 0
    assert llama.exists()  # both quantisations are the same bytes here, so the blob is shared, too
    assert go("-m", "llama-2-7b-chat", "-n", "1", "hi").code == 0


def test_a_blob_that_another_revision_holds_stays(go, other, weights):
    first, second = sorted(other.glob("snapshots/*/*.gguf"))
    assert "0.0 MB" in go("models", "remove", str(first), "--yes").out
    assert not first.is_symlink()
    assert second.read_bytes() == weights
    assert "0.5 MB" in go("models", "remove", str(second), "--yes").out
    assert not list(other.glob("blobs/*"))


def test_the_starter_belongs_to_a_package(go, starter):
    result = go("models", "remove", "starter", "--yes")
    assert (result.code, starter.exists()) == (2, True)
    assert "pip uninstall" in result.err


def test_a_right_file_is_verified_and_the_day_remembered(go, other):
    path = next(other.glob("snapshots/*/*.gguf"))
    result = go("models", "verify", str(path), "--json")
    assert result.code == 0, result.out
    assert "as it should be" in json.loads(result.out)["checks"][f"sha256 of {path.name}"]
    assert any(row["verified"] for row in json.loads(go("models", "--json").out))


@pytest.mark.parametrize("at", [100, -100])
def test_a_flipped_byte_is_found_and_what_is_said_mends_it(go, at):
    path = Path(json.loads(go("pull", "me/small-GGUF", "--json").out)["path"])
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)
    result = go("models", "verify", "me/small-GGUF")
    assert result.code == 6
    assert "is not what it should be" in result.err
    assert "models remove small:Q4_K_M, then: llamachat pull me/small-GGUF:small.Q4_K_M.gguf" in result.err
    assert listed(go)[path.name]["verified"] is None
    go("models", "remove", "small:Q4_K_M", "--yes")
    go("pull", "me/small-GGUF:small.Q4_K_M.gguf")
    assert go("models", "verify", "small:Q4_K_M").code == 0


def test_a_file_with_another_vocabulary_is_no_llama_2(go, llama):
    result = go("models", "verify", "llama-2-7b-chat")
    assert result.code == 6
    assert "splits text into other tokens" in result.err


def test_what_other_programs_hold_is_taken_in_without_a_copy(go, tmp_path, weights):
    home = tmp_path / "user"
    digest = hashlib.sha256(weights).hexdigest()
    for path, data in {
        ".ollama/models/manifests/hub.example/library/mistral/7b": manifest(digest),
        ".ollama/models/manifests/hub.example/me/own/latest": b"not JSON",
        f".ollama/models/blobs/sha256-{digest}": weights,
        ".lmstudio/models/you/thing-GGUF/thing.Q5_0.gguf": weights,
        ".lmstudio/models/you/thing-GGUF/mmproj-thing.gguf": weights,
        ".cache/llama.cpp/broken.gguf": weights[:5000],
        ".local/share/nomic.ai/GPT4All/four.Q4_0.gguf": weights,
    }.items():
        (home / path).parent.mkdir(parents=True, exist_ok=True)
        (home / path).write_bytes(data)
    result = go("models", "import")
    assert result.code == 0
    assert result.err.count("\n") == 1
    assert "broken.gguf" in result.err
    rows = {row["name"]: row for row in json.loads(go("models", "--json").out) if row["origin"] != "starter"}
    assert {name: row["origin"] for name, row in rows.items()} == {
        "mistral:7b": "ollama",
        "thing": "lm-studio",
        "four": "gpt4all",
    }
    assert rows["mistral:7b"]["quantisation"] == "F16"
    for name in rows:
        assert json.loads(go("-m", name, "--json", "-n", "1", "hi").out)["model"]["name"] == name
    assert go("models", "verify", "mistral:7b").code == 0
    assert "The file stays" in go("models", "remove", "thing").out
    assert (home / ".lmstudio/models/you/thing-GGUF/thing.Q5_0.gguf").exists()


def test_a_folder_of_ones_own_is_taken_in_and_what_is_known_stays_as_it_was(go, llama, tmp_path, weights):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "mine.Q4_0.gguf").write_bytes(weights)
    (mine / "link.gguf").symlink_to(llama)
    taken = json.loads(go("models", "import", str(mine), str(llama), "--json").out)
    assert [row["name"] for row in taken] == ["link", "mine", "llama-2-7b-chat"]
    assert listed(go)[llama.name]["origin"] == "hub"
    assert go("models", "import", str(tmp_path / "nowhere")).code == 3
    assert go("models", "import").out == "No other GGUF files were found.\n"


def test_the_advice_has_every_model_but_the_starter(go):
    rows = {row["name"]: row for row in json.loads(go("models", "recommend", "--json").out)}
    assert rows["llama-2-7b-chat"]["bytes"]
    assert not rows["llama-2-70b-chat"]["memory"] < rows["llama-2-7b-chat"]["memory"]
    assert rows["llama-160m-chat-v1"]["fits"] is None
    assert "smollm2-135m-instruct" not in rows
    out = go("models", "recommend")
    assert "llama-2-13b-chat" in out.out
    assert "llamachat pull NAME" in out.err


@pytest.mark.parametrize("command", ["use", "show", "remove", "verify"])
def test_a_name_that_is_none_is_exit_code_3(go, command):
    result = go("models", command, "llama-2-7b-chta")
    assert result.code == 3
    assert "Did you mean llama-2-7b-chat?" in result.err


def manifest(digest: str) -> bytes:
    layer = {"mediaType": "application/vnd.ollama.image.model", "digest": f"sha256:{digest}"}
    return json.dumps({"layers": [{"mediaType": "text", "digest": "sha256:0"}, layer]}).encode()


def library_at(tmp_path, hub):
    from types import SimpleNamespace

    from llamachat.paths import Paths

    variables = {"LLAMACHAT_HOME": str(tmp_path / "home"), "HF_HOME": str(tmp_path / "hf")}
    return make_library(SimpleNamespace(variables=variables, paths=Paths.of(variables)))
