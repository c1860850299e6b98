"""Which rung comes next, and what is remembered."""

from __future__ import annotations

import pytest

from llamachat.engine.ladder import Ladder, Rung, apply, describe_exit, is_native_crash, next_rung
from llamachat.engine.protocol import Hello
from llamachat.types import LoadOptions


def climb(hello: Hello) -> list[Rung]:
    rungs, rung = [], Rung.AS_CONFIGURED
    while (rung := next_rung(rung, hello)) is not None:
        rungs.append(rung)
    return rungs


def test_every_rung_is_tried_in_order_where_each_makes_a_difference():
    hello = Hello("", ("AMX", "CPU_REPACK"), has_gpu=True, flash_attention=True)
    assert climb(hello) == [Rung.NO_AMX, Rung.NO_EXTRA_BUFFERS, Rung.NO_FLASH_ATTENTION, Rung.NO_GPU]


def test_rungs_that_would_change_nothing_are_left_out():
    assert climb(Hello("", ("CPU_REPACK",), has_gpu=False, flash_attention=False)) == [Rung.NO_EXTRA_BUFFERS]
    assert climb(Hello("", (), has_gpu=False, flash_attention=False)) == []


def test_a_rung_includes_those_before_it():
    options = apply(LoadOptions(path="m"), Rung.NO_FLASH_ATTENTION)
    assert (options.use_amx, options.use_extra_buffers, options.use_flash_attention, options.use_gpu) == (
        False,
        False,
        False,
        True,
    )


@pytest.mark.parametrize(
    ("returncode", "words", "native"),
    [
        (-11, "SIGSEGV", True),
        (-6, "SIGABRT", True),
        (-4, "SIGILL", True),
        (-9, "SIGKILL", False),
        (1, "exit code 1", False),
        (0xC0000005, "exit code 0xc0000005", True),
        (0, "without a word", False),
    ],
)
def test_how_a_process_ended_is_told_in_words_and_judged(returncode, words, native):
    assert describe_exit(returncode) == words
    assert is_native_crash(words) is native


def test_a_rung_is_remembered_for_its_build_only(tmp_path, monkeypatch):
    ladder = Ladder(tmp_path / "ladder.json")
    ladder.remember("llama 15", Rung.NO_AMX)
    assert ladder.rung("llama 15") is Rung.NO_AMX
    libraries = tmp_path / "lib"
    libraries.mkdir()
    (libraries / "libllama.so").write_bytes(b"another build")
    monkeypatch.setenv("LLAMA_CPP_LIB_PATH", str(libraries))
    assert ladder.rung("llama 15") is Rung.AS_CONFIGURED


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"a": "b"}', b"\xff"])
def test_a_damaged_file_counts_as_empty_and_is_replaced(tmp_path, content):
    ladder = Ladder(tmp_path / "ladder.json")
    ladder.path.write_bytes(content)
    assert ladder.rung("f") is Rung.AS_CONFIGURED
    ladder.remember("f", Rung.NO_GPU)
    assert ladder.rung("f") is Rung.NO_GPU


def test_an_unknown_rung_in_the_file_counts_as_none(tmp_path):
    ladder = Ladder(tmp_path / "ladder.json")
    ladder.remember("f", Rung.NO_GPU)
    ladder.path.write_bytes(ladder.path.read_bytes().replace(b":4", b":99"))
    assert ladder.rung("f") is Rung.AS_CONFIGURED
