"""Files are hashed in the background, once for as long as they stay what they are."""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path

import pytest

from llamachat.models.hashing import Hasher
from llamachat.models.index import Hash, Index, Stamp

TEXT = b"weights" * 500_000  # more than one block
SHA256 = hashlib.sha256(TEXT).hexdigest()


class Desk:
    """A hasher and what it told."""

    def __init__(self, folder: Path) -> None:
        self.model = folder / "model.gguf"
        self.model.write_bytes(TEXT)
        self.index = Index(folder / "models.json")
        self.told: list[tuple[Path, str]] = []
        self.looks = 0
        self.busy_looks = 0  # how often the engine is found busy
        self.was_asked = threading.Event()
        self.hasher = Hasher(self.index, self._is_busy, lambda path, sha256: self.told.append((path, sha256)))

    def hash(self) -> None:
        self.hasher.note(self.model)
        self.hasher.begin(self.model)
        self.wait()

    def wait(self) -> None:
        assert self.hasher._thread is not None
        self.hasher._thread.join(10)
        assert not self.hasher._thread.is_alive()

    def _is_busy(self) -> bool:
        self.looks += 1
        self.was_asked.set()
        return self.looks <= self.busy_looks


@pytest.fixture
def desk(tmp_path):
    return Desk(tmp_path)


def test_a_hash_is_told_and_remembered(desk):
    desk.hash()
    assert desk.told == [(desk.model, SHA256)]
    assert desk.index.hash_of(desk.model) == SHA256
    assert Index(desk.model.with_name("models.json")).hash_of(desk.model) == SHA256


def test_it_waits_while_the_engine_computes(desk):
    desk.busy_looks = 2
    desk.hash()
    assert desk.told
    assert desk.looks > 2 + len(TEXT) // (1 << 20)


def test_it_is_stopped_in_the_middle(desk):
    desk.busy_looks = 10**9
    desk.hasher.note(desk.model)
    desk.hasher.begin(desk.model)
    assert desk.was_asked.wait(10)
    desk.hasher.close()
    assert not desk.told
    assert desk.index.hash_of(desk.model) == ""


def test_a_file_is_hashed_once_and_only_if_it_was_noted(desk):
    desk.hasher.begin(desk.model)
    assert desk.hasher._thread is None
    desk.hash()
    desk.hasher.begin(desk.model)
    desk.wait()
    assert len(desk.told) == 1


def test_another_file_in_its_place_has_no_hash(desk):
    desk.hasher.note(desk.model)
    other = desk.model.with_name("other")
    other.write_bytes(TEXT)
    other.replace(desk.model)
    desk.hasher.begin(desk.model)
    desk.wait()
    assert desk.told == []


@pytest.mark.parametrize("change", ["time", "size", "gone"])
def test_a_hash_is_forgotten_when_the_file_changes(desk, change):
    desk.hash()
    match change:
        case "time":
            os.utime(desk.model, (1, 1))
        case "size":
            with desk.model.open("ab") as file:
                file.write(b"x")
        case "gone":
            desk.model.unlink()
    assert desk.index.hash_of(desk.model) == ""


def test_hashes_of_files_that_have_gone_are_dropped(desk):
    desk.hash()
    other = desk.model.with_name("other.gguf")
    other.write_bytes(b"x")
    desk.model.unlink()
    desk.index.keep_hash(other, Hash(Stamp.of(other), "aa"))
    assert desk.index._read().hashes.keys() == {str(other)}


def test_a_model_in_parts_and_one_that_cannot_be_read_have_no_hash(desk):
    part = desk.model.with_name("model-00001-of-00002.gguf")
    part.write_bytes(b"x")
    desk.hasher.note(part)
    desk.hasher.begin(part)
    assert desk.hasher._thread is None
    desk.hasher.note(desk.model)
    desk.model.unlink()
    desk.hasher.begin(desk.model)
    desk.wait()
    assert desk.told == []
