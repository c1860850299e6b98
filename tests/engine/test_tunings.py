"""What was measured, remembered for one file, build and processor; and which way a question takes."""

from __future__ import annotations

import os
import sys
from dataclasses import replace

import msgspec
import pytest

from llamachat.engine.tunings import Errand, Tunings, apply, in_words, repacks
from llamachat.types import Layout, LoadOptions, Tuned

TUNED = Tuned(2, 2, 1, 256, True, decode_gain=1.25, prefill_gain=1.5)
# A 7B model on the machine of docs/benchmarks.md: repacking costs seconds, and answers come quicker.
LARGE = replace(TUNED, repacked=Layout(7.7, 23.1, 4.6), plain=Layout(0.07, 31.5, 2.9))


@pytest.fixture
def tunings(tmp_path) -> Tunings:
    return Tunings(tmp_path / "tunings.json")


@pytest.fixture
def model(tmp_path) -> str:
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF")
    return str(path)


def test_what_is_remembered_is_there_in_the_next_process(tunings, model):
    assert tunings.known(model) is None
    tunings.remember(model, LARGE)
    known = Tunings(tunings.path).known(model)
    assert (known.tuned, known.path, known.fault) == (LARGE, model, "")
    assert [each.path for each in tunings.here()] == [model]


def test_a_file_that_changed_was_not_measured(tunings, model):
    tunings.remember(model, TUNED)
    os.utime(model, (1, 1))
    assert tunings.known(model) is None
    assert tunings.here() == []


def test_nor_was_it_with_another_build(tunings, model, tmp_path, monkeypatch):
    tunings.remember(model, TUNED)
    libraries = tmp_path / "lib"
    libraries.mkdir()
    (libraries / "libllama.so").write_bytes(b"another")
    monkeypatch.setenv("LLAMA_CPP_LIB_PATH", str(libraries))
    assert tunings.known(model) is None
    tunings.remember(model, replace(TUNED, chunk=128))
    assert tunings.known(model).tuned.chunk == 128
    monkeypatch.delenv("LLAMA_CPP_LIB_PATH")
    assert tunings.known(model).tuned.chunk == 256


def test_that_measuring_ended_the_engine_is_remembered_too(tunings, model):
    tunings.remember(model, None, "SIGILL")
    assert (tunings.known(model).tuned, tunings.known(model).fault) == (None, "SIGILL")
    assert apply(LoadOptions(model), tunings.known(model)) == LoadOptions(model)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'"x"', b'{"key": 5}', b"\xff\xfe", b'{"key": {"path": "x"}}'])
def test_a_file_that_is_none_of_ours_counts_as_empty_and_is_written_anew(tunings, model, content):
    tunings.path.write_bytes(content)
    assert tunings.known(model) is None
    tunings.remember(model, TUNED)
    assert tunings.known(model).tuned == TUNED


@pytest.mark.parametrize(
    "foreign",
    [
        {"n_threads": 0},
        {"n_threads": 100_000},
        {"chunk": 0},
        {"chunk": 1 << 20},
        {"chunk": "512"},
        {"flash_attention": 3},
        {"plain": {"load": 1, "prefill": 0, "decode": 1}},
        {"n_cores": None},
    ],
)
def test_numbers_that_llama_cpp_could_stumble_over_count_as_unknown(tunings, model, foreign):
    tunings.remember(model, TUNED)
    [(key, known)] = msgspec.json.decode(tunings.path.read_bytes()).items()
    known["tuned"].update(foreign)
    good = {**known, "tuned": msgspec.to_builtins(TUNED)}
    tunings.path.write_bytes(msgspec.json.encode({key: known, "another": good}))
    assert tunings.known(model) is None
    assert set(tunings._read()) == {"another"}


def test_only_the_latest_are_kept(tunings, model, tmp_path):
    for number in range(70):
        path = tmp_path / f"{number}.gguf"
        path.write_bytes(b"GGUF")
        tunings.remember(str(path), TUNED)
    assert len(tunings._read()) == 64
    assert tunings.known(str(tmp_path / "69.gguf"))
    assert not tunings.known(str(tmp_path / "0.gguf"))


def test_a_place_that_cannot_be_written_costs_nobody_anything(tmp_path, model):
    tunings = Tunings(tmp_path / "missing" / "tunings.json")
    tunings.remember(model, TUNED)
    assert tunings.known(model) is None


# Which way


def test_before_anything_is_known_all_is_as_it_was(model):
    assert apply(LoadOptions(model), None, Errand(10, 5)) == LoadOptions(model)


@pytest.mark.parametrize(
    ("errand", "repack"), [(None, True), (Errand(30), True), (Errand(30, 300), True), (Errand(30, 13), False)]
)
def test_before_anything_is_known_a_large_models_brief_answer_waits_for_no_repacking(tmp_path, errand, repack):
    path = tmp_path / "large.gguf"
    with path.open("wb") as file:
        file.truncate(4 << 30)  # on the disk it is nothing
    assert apply(LoadOptions(str(path)), None, errand).use_extra_buffers is repack


@pytest.mark.parametrize(
    ("errand", "repack"),
    [
        (None, True),  # a chat goes on
        (Errand(30, 13), False),  # ten words
        (Errand(30, 300), True),
        (Errand(30), True),  # as long as it takes
        (Errand(4000, 13), False),  # a long document is read quicker as it lies
        (Errand(0, 0), False),  # --dry-run
    ],
)
def test_a_one_shot_takes_the_way_that_ends_sooner_and_a_chat_the_one_that_writes_quicker(errand, repack):
    assert repacks(LARGE, errand) is repack
    assert repacks(LARGE, errand) is repack  # the same facts, the same way


def test_a_difference_that_nobody_notices_changes_nothing():
    even = replace(TUNED, repacked=Layout(0.1, 100.0, 50.0), plain=Layout(0.09, 100.0, 50.0))
    assert repacks(even, Errand(100, 50)) is True
    assert repacks(replace(even, repack=False), Errand(100, 50)) is False


def test_with_one_way_known_a_one_shot_is_a_chat():
    assert repacks(replace(LARGE, plain=None, repack=True), Errand(30, 1)) is True


def test_the_options_have_what_was_measured_and_the_way(tunings, model):
    tunings.remember(model, LARGE)
    options = apply(LoadOptions(model), tunings.known(model), Errand(30, 10))
    assert (options.tuned, options.use_extra_buffers) == (LARGE, False)
    assert apply(LoadOptions(model), tunings.known(model)).use_extra_buffers is True


def test_what_the_users_choice_left_open_stays_as_it_was_measured(tunings, model):
    tunings.remember(model, TUNED)
    tunings.remember(model, replace(TUNED, n_threads=None, n_threads_prefill=None, chunk=128, decode_gain=1.0))
    assert tunings.known(model).tuned == replace(TUNED, chunk=128)
    tunings.remember(model, replace(TUNED, flash_attention=None, kv_type="q8_0"))
    assert tunings.known(model).tuned == TUNED
    tunings.remember(model, replace(TUNED, n_cores=9, n_threads=None, n_threads_prefill=None))
    assert tunings.known(model).tuned.n_threads is None, "with other cores nothing of it holds"


def test_what_was_measured_with_a_quantised_cache_leaves_something_to_measure(tunings, model):
    assert tunings.lacks(model, "q8_0")
    tunings.remember(model, replace(TUNED, flash_attention=None, kv_type="q8_0"))
    assert tunings.lacks(model, None)
    assert not tunings.lacks(model, "q8_0")
    tunings.remember(model, TUNED)
    assert not tunings.lacks(model, None)
    tunings.remember(model, None, "SIGILL")
    assert not tunings.lacks(model, None)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no file modes")
def test_it_is_its_users_alone(tunings, model):
    tunings.remember(model, TUNED)
    assert tunings.path.stat().st_mode & 0o777 == 0o600


def test_what_was_chosen_in_words():
    assert in_words(TUNED) == (
        "2 threads to write and 1 to read, batches of 256, flash attention: "
        "writes 1.25 and reads 1.50 times as fast as by default"
    )
    default = Tuned(1, 1, 1, 512, False, repack=False, plain=Layout(0.1, 50, 5))
    assert in_words(default) == (
        "1 thread, batches of 512, no flash attention, weights not repacked, as by default: nothing is quicker"
    )
    assert in_words(Tuned(1)) == "as by default: nothing is quicker"
