"""`--speculate` and `--draft` from the command line: what is told, and what is refused."""

from __future__ import annotations

import json

import pytest

AGAIN = "Say it again: a small model, a small model, a small model"


def test_the_json_tells_how_many_tokens_were_guessed_and_right(run, parrot):
    result = run("-m", str(parrot), "--draft", str(parrot), "--no-save", "-t", "0", "--json", "Who are you?")
    answer = json.loads(result.out)
    assert answer["text"].strip() == "I am a small model."
    assert set(answer["draft"]) == {"proposed", "accepted"}
    assert 0 <= answer["draft"]["accepted"] <= answer["draft"]["proposed"]


@pytest.mark.parametrize("flag", [("--no-speculate",), ("--seed", "7")], ids=" ".join)
def test_where_nothing_may_be_guessed_the_json_says_null(run, parrot, flag):
    result = run("-m", str(parrot), "--no-save", *flag, "--json", AGAIN)
    assert json.loads(result.out)["draft"] is None


def test_the_environment_switches_it_off(run, parrot):
    result = run("-m", str(parrot), "--no-save", "--json", AGAIN, LLAMACHAT_SPECULATE="off")
    assert json.loads(result.out)["draft"] is None


def test_none_is_no_draft_model(run, parrot):
    result = run("-m", str(parrot), "--draft", "none", "--no-save", "Who are you?", LLAMACHAT_DRAFT="nowhere.gguf")
    assert result.code == 0


def test_a_draft_model_with_another_vocabulary_is_refused_with_the_reason(run, parrot, starter):
    result = run("-m", str(parrot), "--draft", str(starter), "--no-save", "Who are you?")
    assert (result.code, result.out) == (3, "")
    assert f"{starter.name} cannot draft for {parrot.name}: its vocabulary is of the kind BPE, not SPM." in result.err
    assert "--draft" in result.err
    assert result.err.count("\n") == 1


def test_a_draft_model_that_is_not_there_is_refused_as_a_model_is(run, parrot):
    result = run("-m", str(parrot), "--draft", "nowhere.gguf", "--no-save", "Who are you?")
    assert (result.code, result.out) == (3, "")
    assert "nowhere.gguf" in result.err
