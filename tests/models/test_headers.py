"""A header is walked through once for each file, and again when the file is another."""

from __future__ import annotations

import os

import pytest

from llamachat.errors import ModelError
from llamachat.models import gguf
from llamachat.models.headers import Headers


@pytest.fixture
def walks(monkeypatch) -> list:
    walked = []
    check = gguf.check
    monkeypatch.setattr(gguf, "check", lambda path: walked.append(path) or check(path))
    return walked


def test_a_file_is_checked_once_and_again_when_it_changed(tiny_model, tmp_path, walks):
    path = tmp_path / "model.gguf"
    path.write_bytes(tiny_model.read_bytes())
    record = tmp_path / "state" / "headers.json"
    assert [Headers(record).family(path) for _ in range(3)] == ["llama 1"] * 3
    assert len(walks) == 1
    os.utime(path, (1, 1))
    Headers(record).family(path)
    assert len(walks) == 2
    path.write_bytes(tiny_model.read_bytes()[:-100])
    with pytest.raises(ModelError, match="incomplete"):
        Headers(record).family(path)
    path.unlink()
    with pytest.raises(ModelError, match="no file"):
        Headers(record).family(path)


def test_a_record_that_cannot_be_read_or_written_costs_a_check(tiny_model, tmp_path, walks):
    record = tmp_path / "headers.json"
    record.write_text('{"x": 1}')
    assert Headers(record).family(tiny_model) == "llama 1"
    (tmp_path / "folder").mkdir()
    assert Headers(tmp_path / "folder").family(tiny_model) == "llama 1"
    assert Headers(None).family(tiny_model) == "llama 1"
    assert len(walks) == 3
