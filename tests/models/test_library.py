"""Which file a name means."""

from __future__ import annotations

import pytest

from llamachat.errors import ModelError
from llamachat.models import library
from llamachat.models.gguf import read_header


def test_without_a_name_it_is_the_starter(starter, tmp_path):
    found = library.find(None, tmp_path)
    assert found.is_starter
    assert found.path == starter.resolve()
    assert found.sampling.temperature == 0.2
    assert library.find("Starter", tmp_path) == found


def test_a_name_is_the_files_without_its_quantisation(tiny_model, tmp_path):
    for file, name in {
        "llama-2-7b-chat.Q4_K_M.gguf": "llama-2-7b-chat",
        "model-IQ3_XXS.gguf": "model",
        "model.F16.gguf": "model",
        "plain.gguf": "plain",
    }.items():
        (tmp_path / file).write_bytes(tiny_model.read_bytes())
        assert library.find(file, tmp_path).name == name


def test_an_existing_path_wins_over_a_name(tiny_model, tmp_path):
    (tmp_path / "starter").write_bytes(tiny_model.read_bytes())
    assert not library.find("starter", tmp_path).is_starter


def test_the_family_is_architecture_and_quantisation(tiny_model, tmp_path):
    assert library.find(str(tiny_model), tmp_path).family == "llama 1"


@pytest.mark.parametrize("name", ["nothing", "nothing.gguf", "folder"])
def test_what_is_no_model_is_an_error_with_the_next_thing_to_do(tmp_path, name):
    (tmp_path / "folder").mkdir()
    with pytest.raises(ModelError) as caught:
        library.find(name, tmp_path)
    assert name in caught.value.message
    assert caught.value.hint


def test_a_header_is_read_up_to_its_first_array(tiny_model):
    header = read_header(tiny_model)
    assert (header.architecture, header.name, header.file_type) == ("llama", "tiny", 1)


def test_any_truncation_of_a_header_is_an_error_and_no_crash(tiny_model, tmp_path):
    data = tiny_model.read_bytes()
    path = tmp_path / "cut.gguf"
    for length in [*range(64), 100, 150]:
        path.write_bytes(data[:length])
        with pytest.raises(ModelError, match=r"cut\.gguf"):
            read_header(path)


def test_a_header_with_an_absurd_length_is_an_error(tmp_path):
    path = tmp_path / "absurd.gguf"
    path.write_bytes(b"GGUF" + (3).to_bytes(4, "little") + bytes(8) + (1).to_bytes(8, "little") + b"\xff" * 8)
    with pytest.raises(ModelError, match=r"absurd\.gguf"):
        read_header(path)
