"""`llamachat --tune`, and what the doctor says of it."""

from __future__ import annotations

import io
import json
import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import pytest

from llamachat.choices import Choices, Layer, Origin
from llamachat.cli.errand import errand_of
from llamachat.cli.options import ChatOptions
from llamachat.engine.tunings import Errand, Tunings
from llamachat.environment import Environment
from llamachat.llama.machine import thread_count
from llamachat.types import Layout, Tuned

TUNED = Tuned(
    thread_count(),
    None,
    None,
    256,
    False,
    True,
    Layout(7.7, 23.1, 4.6),
    Layout(0.07, 31.5, 2.9),
    decode_gain=1.4,
    prefill_gain=1.0,
)


@pytest.fixture
def tunings(tmp_path) -> Tunings:
    state = tmp_path / "home" / "state"
    state.mkdir(parents=True, exist_ok=True)
    return Tunings(state / "tunings.json")


def test_it_shows_what_was_tried_and_what_came_of_it(run, tiny_model):
    result = run("--tune", "-m", str(tiny_model))
    assert result.code == 0, result.err
    head, *rows, verdict = result.out.splitlines()
    assert head.split() == ["tried", "time,", "of", "the", "default's"]
    assert any(row.startswith("flash attention") for row in rows)
    assert verdict.startswith("tiny: ")


def test_as_json_it_is_one_object(run, tiny_model, tunings):
    result = run("--tune", "--json", "-m", str(tiny_model))
    assert result.code == 0, result.err
    found = json.loads(result.out)
    assert set(found) == {"path", "tuned", "tried"}
    assert {"what", "value", "ratio", "chosen"} == set(found["tried"][0])
    assert (found["tuned"] is None) == (tunings.known(str(tiny_model)) is None)


@pytest.mark.parametrize("question", [["hello"], ["-f", "x.txt"], ["--messages", "x.json"], ["-c"], ["--resume", "x"]])
def test_it_asks_nothing(run, question):
    result = run("--tune", *question)
    assert result.code == 2
    assert "--tune measures a model and asks nothing" in result.err


def test_a_model_that_is_not_there_is_the_usual_error(run):
    assert run("--tune", "-m", "nothing.gguf").code == 3


@pytest.fixture
def flash_of_an_answer(run, tiny_model):
    """Whether an answer was made with flash attention, as its record says."""

    def ask(*options: str) -> bool:
        made = json.loads(run("-m", str(tiny_model), "-n", "1", "--seed", "1", "--json", *options, "hello").out)
        [*_, answer] = json.loads(run("sessions", "show", made["session"], "--json").out)["messages"]
        return answer["made"]["flash_attention"]

    return ask


@pytest.mark.parametrize("flash", [True, False])
def test_what_was_measured_is_used_from_the_next_start_on(tiny_model, tunings, flash_of_an_answer, flash):
    tunings.remember(str(tiny_model), replace(TUNED, flash_attention=flash))
    assert flash_of_an_answer() is flash


def test_switched_off_nothing_that_was_measured_is_used(run, tiny_model, tunings, flash_of_an_answer):
    by_default = flash_of_an_answer()
    tunings.remember(str(tiny_model), replace(TUNED, flash_attention=not by_default))
    assert flash_of_an_answer() is not by_default
    run("config", "set", "engine.tune", "false")
    assert flash_of_an_answer() is by_default


# The doctor


def findings(run, *arguments: str, **variables: str) -> list[dict]:
    found = json.loads(run("doctor", "--json", *arguments, **variables).out)["findings"]
    return [each for each in found if each["section"] == "tuning"]


def test_the_doctor_says_that_nothing_was_measured_and_the_command(run, tiny_model):
    [found] = findings(run, LLAMACHAT_MODEL=str(tiny_model))
    assert found["status"] == "ok"
    assert "tiny was not measured yet" in found["text"]
    assert "llamachat --tune" in found["text"]


def test_the_doctor_says_what_was_measured_and_when(run, tiny_model, tunings):
    tunings.remember(str(tiny_model), TUNED)
    [found] = findings(run, LLAMACHAT_MODEL=str(tiny_model))
    assert found["text"] == (
        "tiny: batches of 256, no flash attention, weights repacked: "
        f"writes 1.40 and reads 1.00 times as fast as by default ({datetime.now(UTC):%Y-%m-%d})"
    )


def test_the_doctor_says_that_measuring_ended_the_engine(run, tiny_model, tunings):
    tunings.remember(str(tiny_model), None, "SIGILL")
    [found] = findings(run, LLAMACHAT_MODEL=str(tiny_model))
    assert (found["status"], found["hint"]) == ("warn", "llamachat --tune -m tiny")
    assert "SIGILL" in found["text"]


def test_the_doctor_says_that_it_is_off(run, tiny_model):
    [found] = findings(run, LLAMACHAT_ENGINE_TUNE="false")
    assert "engine.tune = false" in found["text"]


# What a one-shot asks for


def environment(stdin: BinaryIO | None = None) -> Environment:
    """One with this piped in, or a terminal instead."""
    return Environment(
        stdin=stdin or io.BytesIO(), stdout=io.BytesIO(), stderr=io.StringIO(), stdout_encoding="utf-8",
        stdin_is_terminal=stdin is None, stdout_is_terminal=False, stderr_is_terminal=False, variables={},
    )  # fmt: skip


def errand(options: ChatOptions, piped: Path | None = None, **values: object) -> Errand:
    choices = Choices({Origin.FLAG: Layer({"system": "", **values})})
    if piped is None:
        return errand_of(options, choices, environment())
    with piped.open("rb") as stdin:
        return errand_of(options, choices, environment(stdin))


def test_words_files_and_the_limit_count(tmp_path):
    document = tmp_path / "document.txt"
    document.write_text("x" * 4000)
    assert errand(ChatOptions(prompt=("y" * 40,)), max_tokens=13) == Errand(10, 13)
    assert errand(ChatOptions(files=(document,))) == Errand(1000, None)
    assert errand(ChatOptions(messages=str(document))) == Errand(1000, None)
    assert errand(ChatOptions(), piped=document) == Errand(1000, None)


def test_a_file_that_is_not_there_counts_nothing(tmp_path):
    assert errand(ChatOptions(files=(tmp_path / "missing",))) == Errand(0, None)


def test_a_pipe_counts_the_same_whatever_comes_out_of_it():
    sizes = set()
    for content in (b"", b"x" * 5000):
        reading, writing = os.pipe()
        os.write(writing, content)
        os.close(writing)
        with os.fdopen(reading, "rb") as stdin:
            sizes.add(errand_of(ChatOptions(), Choices(), environment(stdin)))
    assert len(sizes) == 1
    assert sizes.pop().n_prompt >= 500


def test_a_dry_run_evaluates_nothing():
    assert errand(ChatOptions(prompt=("hello",), dry_run=True)) == Errand(0, 0)
