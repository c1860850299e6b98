"""The record of models: what it keeps, and what it makes of a file that is none."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from llamachat.errors import StorageError
from llamachat.models.index import Index, Record

RECORD = Record("m", "hub", 5, "o/r", "m.gguf", "c" * 40, "ab", "Q4_0", pulled=datetime(2026, 1, 1, tzinfo=UTC))


@pytest.fixture
def index(tmp_path) -> Index:
    return Index(tmp_path / "state" / "models.json")


def test_what_is_put_is_there_until_it_is_forgotten(index, tmp_path):
    index.put(Path("/a.gguf"), RECORD)
    index.choose(Path("/a.gguf"))
    again = Index(tmp_path / "state" / "models.json")
    assert again.records() == {Path("/a.gguf"): RECORD}
    assert again.usual == Path("/a.gguf")
    again.forget(Path("/a.gguf"))
    assert (index.records(), index.usual) == ({}, None)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"models": {"/a": {"name": 1}}}', "\x00"])
def test_a_file_that_cannot_be_read_is_as_none_and_is_replaced(index, tmp_path, content):
    path = tmp_path / "state" / "models.json"
    path.parent.mkdir()
    path.write_text(content)
    assert (index.records(), index.usual) == ({}, None)
    index.put(Path("/a.gguf"), RECORD)
    assert index.records() == {Path("/a.gguf"): RECORD}


def test_what_several_put_at_once_is_all_there(index, tmp_path):
    def put(number: int) -> None:
        Index(tmp_path / "state" / "models.json").put(Path(f"/{number}.gguf"), RECORD)

    threads = [threading.Thread(target=put, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(index.records()) == 8


def test_a_folder_that_cannot_be_made_is_a_storage_error(tmp_path):
    (tmp_path / "state").write_text("no folder")
    with pytest.raises(StorageError):
        Index(tmp_path / "state" / "models.json").choose(Path("/a.gguf"))
