"""Where other programs keep their models."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from llamachat.models.sources import Found, everywhere, in_folder, ollama

DIGEST = "a" * 64
MODEL = "application/vnd.ollama.image.model"


def write(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("hub.example/library/llama2/7b-chat", "llama2:7b-chat"),
        ("hub.example/me/own/latest", "me/own:latest"),
        ("hf.example/you/thing-GGUF/Q4_0", "you/thing-GGUF:Q4_0"),
    ],
)
def test_ollamas_names_are_its_own(tmp_path, place, name):
    layers = [
        {"mediaType": "licence", "digest": "sha256:" + "b" * 64},
        {"mediaType": MODEL, "digest": f"sha256:{DIGEST}"},
    ]
    write(tmp_path / "manifests" / place, json.dumps({"layers": layers}))
    blob = write(tmp_path / "blobs" / f"sha256-{DIGEST}")
    assert list(ollama(tmp_path)) == [Found(name, blob, "ollama", "", DIGEST)]


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"layers": 5}', '{"layers": [5]}', json.dumps({"layers": [{"mediaType": MODEL}]}), "\udcff"],
)
def test_a_manifest_that_is_none_is_passed_over(tmp_path, text):
    path = write(tmp_path / "manifests/hub.example/library/m/latest")
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    write(tmp_path / "blobs" / f"sha256-{DIGEST}")
    assert not list(ollama(tmp_path))


def test_a_manifest_cannot_name_a_file_elsewhere(tmp_path):
    write(tmp_path / "secret.gguf")
    layers = [{"mediaType": MODEL, "digest": "sha256:../../secret.gguf"}]
    write(tmp_path / "manifests/hub.example/library/m/latest", json.dumps({"layers": layers}))
    assert not list(ollama(tmp_path))


def test_of_a_folder_each_model_is_found_once(tmp_path):
    for name in ("a.Q4_0.gguf", "sub/b-00001-of-00002.gguf", "sub/b-00002-of-00002.gguf", "mmproj-a.gguf", "a.txt"):
        write(tmp_path / name)
    assert [(found.name, found.quantisation) for found in in_folder(tmp_path)] == [("a", "Q4_0"), ("b", "")]
    assert [found.origin for found in in_folder(tmp_path / "a.Q4_0.gguf", "mine")] == ["mine"]


def test_programs_are_looked_for_where_their_variables_say(tmp_path):
    write(tmp_path / "cache/x.gguf")
    write(tmp_path / "home/.lmstudio/models/y.gguf")
    variables = {"LLAMA_CACHE": str(tmp_path / "cache"), "OLLAMA_MODELS": str(tmp_path / "none")}
    found = {found.name: found.origin for found in everywhere(variables, tmp_path / "home")}
    assert found == {"x": "llama.cpp", "y": "lm-studio"}
