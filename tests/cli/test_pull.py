"""`llamachat pull`, from the name to the chat, against a Hub on loopback."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import LLAMA

CODE_OF_A_NO = 130


def bytes_asked_for(hub) -> int:
    return sum(request.n_sent for request in hub.log if request.origin == "cdn")


def test_a_llama_2_is_pulled_once_it_is_agreed_to_and_is_then_what_one_chats_with(go, hub, llama, weights):
    assert llama.read_bytes() == weights
    assert llama.parent.name == LLAMA.commit
    answer = go("--json", "-n", "2", "hi")
    assert answer.code == 0, answer.err
    assert json.loads(answer.out)["model"] | {"sha256": None} == {
        "name": "llama-2-7b-chat",
        "path": str(llama),
        "sha256": None,
    }


def test_the_last_line_is_a_command_that_chats(go, llama):
    result = go("pull", "llama-2-7b-chat:Q4_0")
    command = result.out.splitlines()[-1]
    assert command == "To chat: llamachat -m llama-2-7b-chat:Q4_0"
    assert go("-m", "llama-2-7b-chat:Q4_0", "-n", "1", "hi").code == 0


def test_the_licence_is_shown_and_a_script_has_to_say_yes(go, hub, cache):
    result = go("pull", "llama-2-7b-chat:Q4_0")
    assert result.code == 2
    assert "700 million" in result.err
    assert "ai.meta.com/llama/license" in result.err
    assert result.err.splitlines()[-1].endswith("If you agree: --accept-licence")
    assert bytes_asked_for(hub) == 0
    assert not list(cache.rglob("*.gguf"))


def test_a_no_to_the_licence_fetches_nothing(go, hub, cache):
    result = go("pull", "llama-2-7b-chat:Q4_0", terminal=True, stdin=b"n\n")
    assert result.code == CODE_OF_A_NO
    assert bytes_asked_for(hub) == 0
    assert json.loads(go("models", "show", "llama-2-7b-chat", "--json").out)["accepted"] is None


def test_a_yes_is_recorded_with_date_and_version_and_holds(go):
    assert go("pull", "llama-2-7b-chat:Q4_0", terminal=True, stdin=b"y\n").code == 0
    assert "July 18, 2023" in json.loads(go("models", "show", "llama-2-7b-chat", "--json").out)["accepted"]
    again = go("pull", "llama-2-7b-chat:Q5_K_M", terminal=True)
    assert again.code == 0
    assert "accept" not in again.err


def test_nothing_is_asked_for_apache(go):
    result = go("pull", "me/small-GGUF", terminal=True)
    assert result.code == 0
    assert "accept" not in result.err


def test_a_licence_of_llama_2_is_asked_for_in_any_repository(go, hub, weights):
    hub.add("me/tuned-GGUF", {"tuned.Q4_K_M.gguf": weights}, license="llama2")
    assert go("pull", "me/tuned-GGUF").code == 2


def test_what_fits_is_shown_before_anything_is_fetched(go):
    result = go("pull", "llama-2-7b-chat:Q4_0", "--accept-licence")
    table, _, rest = result.err.partition("This machine:")
    row = next(line for line in table.splitlines() if line.startswith("→"))
    assert row.split()[1:4] == ["llama-2-7b-chat.Q4_0.gguf", "3.83", "GB"]
    assert "of memory available" in rest
    assert "of disk" in rest


def test_what_is_here_is_not_fetched_again(go, hub, llama):
    n_requests = len(hub.log)
    for name in ("llama-2-7b-chat:Q4_0", "llama-2-7b-chat", LLAMA.repo, "llama-2-7b-chat.Q4_0.gguf"):
        result = go("pull", name, HF_HUB_OFFLINE="1")
        assert result.code == 0, result.err
        assert "is here already, nothing was fetched" in result.out
        assert not result.err
    assert len(hub.log) == n_requests


def test_a_file_that_another_tool_fetched_is_taken_as_it_is(go, hub, cache, weights):
    folder = cache / "models--me--small-GGUF" / "snapshots" / hub.add("me/small-GGUF", {"small.Q8_0.gguf": weights})
    folder.mkdir(parents=True)
    (folder / "small.Q8_0.gguf").write_bytes(weights)
    result = go("pull", "me/small-GGUF:Q8_0")
    assert "is here" in result.out
    assert not [request for request in hub.log if request.method == "GET" and request.range is None and request.file]


def test_a_repository_shows_its_files_and_the_usual_one_is_taken(go):
    result = go("pull", "me/small-GGUF")
    assert result.out.startswith("small Q4_K_M is here: ")
    assert "small.Q2_K.gguf" in result.err
    assert "small.Q4_K_M.gguf" in result.err


def test_without_a_usual_one_a_pipe_gets_the_files_and_a_terminal_the_choice(go, hub, weights):
    hub.add("me/odd-GGUF", {"odd.Q3_K_S.gguf": weights, "odd.Q5_K_S.gguf": weights}, license="mit")
    piped = go("pull", "me/odd-GGUF")
    assert piped.code == 3
    assert "odd.Q3_K_S.gguf, odd.Q5_K_S.gguf" in piped.err
    asked = go("pull", "me/odd-GGUF", terminal=True, stdin=b"2\n")
    assert asked.out.startswith("odd Q5_K_S is here: ")
    assert "-m me/odd-GGUF:odd.Q5_K_S.gguf" in asked.out
    assert go("-m", "me/odd-GGUF", "-n", "1", "hi").code == 0
    assert go("pull", "me/odd-GGUF", terminal=True, stdin=b"7\n").code == 3


@pytest.mark.parametrize(
    "name",
    [
        "me/small-GGUF:Q2_K",
        "me/small-GGUF:q2",
        "me/small-GGUF:small.Q2_K.gguf",
        "hf://me/small-GGUF/small.Q2_K.gguf",
        "{endpoint}/me/small-GGUF/blob/main/small.Q2_K.gguf",
        "{endpoint}/me/small-GGUF/resolve/main/small.Q2_K.gguf?download=true",
    ],
)
def test_any_name_of_a_file_is_pulled_and_chats(go, hub, name):
    name = name.format(endpoint=hub.endpoint)
    result = go("pull", name)
    assert result.code == 0, result.err
    assert result.out.startswith("small Q2_K is here: ")
    assert go("-m", name, "-n", "1", "hi").code == 0


def test_a_set_in_parts_is_fetched_whole(go, hub, tiny_model, tmp_path):
    parts = split(tiny_model, tmp_path)
    hub.add("me/set-GGUF", {f"folder/{path.name}": path.read_bytes() for path in parts}, license="mit")
    result = go("pull", "me/set-GGUF:Q8_0", "--json")
    assert result.code == 0, result.out
    pulled = json.loads(result.out)
    assert pulled["bytes"] == sum(path.stat().st_size for path in parts)
    assert Path(pulled["path"]).with_name(parts[1].name).exists()
    for name in ("me/set-GGUF", "me/set-GGUF:Q8_0", "whole:Q8_0", f"me/set-GGUF:folder/{parts[1].name}"):
        assert go("-m", name, "-n", "1", "hi").code == 0, name
    assert go("models", "verify", "me/set-GGUF").code == 0
    assert "is here already" in go("pull", "me/set-GGUF").out
    assert go("models", "remove", "me/set-GGUF", "--yes").code == 0
    assert not list(Path(pulled["path"]).parents[3].rglob("*-of-*"))


def test_raw_halves_are_joined_outside_of_the_cache(go, hub, weights, cache, tmp_path):
    halves = {"big.Q6_K.gguf-split-a": weights[:300_000], "big.Q6_K.gguf-split-b": weights[300_000:]}
    hub.add("me/big-GGUF", halves, license="mit")
    result = go("pull", "me/big-GGUF", "--json")
    assert result.code == 0, result.out
    path = Path(json.loads(result.out)["path"])
    assert path.read_bytes() == weights
    assert not path.is_relative_to(cache)
    assert "is here already" in go("pull", "me/big-GGUF").out
    (tmp_path / "home" / "state" / "models.json").unlink()
    assert go("-m", "me/big-GGUF:Q6_K", "-n", "1", "hi").code == 0
    assert go("models", "remove", "big", "--yes").code == 0
    assert not path.exists()


def test_what_does_not_fit_is_refused_with_what_does(go, hub):
    result = go("pull", "llama-2-70b-chat:Q8_0", "--accept-licence")
    assert result.code == 6
    assert "does not fit" in result.err
    assert "--force" in result.err
    assert not hub.log
    forced = go("pull", "llama-2-70b-chat:Q8_0", "--accept-licence", "--force")
    assert forced.code == 3  # this Hub does not have it


def test_a_file_that_is_not_what_is_proved_is_refused(go, hub, cache):
    result = go("pull", "llama-2-7b-chat:Q4_K_M", "--accept-licence")
    assert result.code == 6
    assert "another file" in result.err
    assert bytes_asked_for(hub) == 0
    assert not list(cache.rglob("*.gguf"))


def test_a_proved_hash_says_nothing_of_another_commit(go, hub, weights):
    commit = hub.add(LLAMA.repo, {"llama-2-7b-chat.Q4_K_M.gguf": weights}, license="llama2")
    assert go("pull", f"{LLAMA.repo}@{commit}:Q4_K_M", "--accept-licence").code == 0


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("llama-2-7b-chta", "Did you mean llama-2-7b-chat?"),
        ("llama-2-7b-chat:Q9_9", "It has: Q2_K, "),
        ("me/smal-GGUF", "Did you mean me/small-GGUF?"),
        ("me/small-GGUF:Q6_K", "small.Q2_K.gguf"),
        ("me/small-GGUF:small.Q2_k.gguf", "Did you mean small.Q2_K.gguf?"),
        ("./nothing.gguf", "there is no file"),
    ],
)
def test_a_name_that_is_none_is_exit_code_3_with_the_nearest(go, name, words):
    result = go("pull", name)
    assert result.code == 3
    assert words in result.err
    assert result.err.count("\n") == 1


def test_a_file_that_is_no_model_is_found_by_its_head(go, hub):
    hub.add("me/page-GGUF", {"page.Q4_K_M.gguf": b"<!DOCTYPE html>" + b" " * 100_000}, license="mit")
    result = go("pull", "me/page-GGUF")
    assert result.code == 3
    assert "web page" in result.err


def test_the_answer_as_json_is_one_object_and_so_is_an_error(go, hub, weights):
    result = go("pull", "me/small-GGUF:Q2_K", "--json")
    pulled = json.loads(result.out)
    assert not result.err
    assert pulled["sha256"] == hub.file("me/small-GGUF", "small.Q2_K.gguf").sha256
    assert (pulled["repo"], pulled["file"], pulled["bytes"]) == ("me/small-GGUF", "small.Q2_K.gguf", len(weights))
    assert json.loads(go("pull", "me/small-GGUF:Q2_K", "--json").out)["path"] == pulled["path"]
    assert json.loads(go("pull", pulled["path"], "--json").out)["path"] == pulled["path"]
    wrong = go("pull", "me/nothing", "--json")
    assert (wrong.code, json.loads(wrong.out)["error"]["code"]) == (3, 3)


def test_a_download_that_fails_is_exit_code_6_and_leaves_no_record(go, hub):
    from tests.hub import Status

    hub.fail("small.Q2_K.gguf", Status(403), always=True, on="head")
    assert go("pull", "me/small-GGUF:Q2_K").code == 6
    assert "small" not in go("models").out


def split(model: Path, folder: Path) -> list[Path]:
    """The model as a set of two files, its tensors dealt out between them."""
    import gguf
    import numpy as np

    reader = gguf.GGUFReader(str(model))
    paths = [folder / f"whole.Q8_0-0000{number}-of-00002.gguf" for number in (1, 2)]
    half = len(reader.tensors) // 2
    for number, tensors in enumerate((reader.tensors[:half], reader.tensors[half:])):
        writer = gguf.GGUFWriter(str(paths[number]), "llama")
        if number == 0:
            for field in list(reader.fields.values()):
                if field.name.startswith("GGUF.") or field.name == "general.architecture":
                    continue
                kind = field.types[0]
                inner = field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None
                writer.add_key_value(field.name, field.contents(), kind, sub_type=inner)
        writer.add_key_value("split.no", number, gguf.GGUFValueType.UINT16)
        writer.add_key_value("split.count", 2, gguf.GGUFValueType.UINT16)
        writer.add_key_value("split.tensors.count", len(reader.tensors), gguf.GGUFValueType.INT32)
        for tensor in tensors:
            writer.add_tensor(tensor.name, np.array(tensor.data))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
    return paths
