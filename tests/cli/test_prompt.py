"""What a one-shot asks, put together from files, piped input and words."""

from __future__ import annotations

import json

import pytest


def prompt_of(run, tiny_model, *arguments, stdin=b"") -> str:
    result = run("-m", str(tiny_model), "-p", "none", "--dry-run", *arguments, stdin=stdin)
    assert result.code == 0, result.err
    return result.out


def test_files_come_first_then_piped_input_then_words(run, tiny_model, tmp_path):
    (tmp_path / "a.txt").write_text("first file\n")
    (tmp_path / "b.txt").write_text("second file")
    out = prompt_of(
        run, tiny_model, "-f", str(tmp_path / "a.txt"), "-f", str(tmp_path / "b.txt"), "the", "words", stdin=b"piped\n"
    )
    assert out == "<s>[INST] first file\n\nsecond file\n\npiped\n\nthe words [/INST]\n"


def test_options_may_follow_the_prompt_and_two_dashes_end_them(run, tiny_model):
    assert prompt_of(run, tiny_model, "why", "-t", "0") == "<s>[INST] why [/INST]\n"
    assert prompt_of(run, tiny_model, "--", "pull", "-t", "yourself") == "<s>[INST] pull -t yourself [/INST]\n"


def test_a_system_prompt_is_folded_in(run, tiny_model):
    out = prompt_of(run, tiny_model, "-s", "Be brief.", "hi")
    assert out == "<s>[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\nhi [/INST]\n"


def test_messages_are_the_whole_conversation(run, tiny_model):
    messages = [
        {"role": "system", "content": ""},
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"},
        {"role": "user", "content": "c"},
    ]
    out = prompt_of(run, tiny_model, "--messages", "-", stdin=json.dumps(messages).encode())
    assert out == "<s>[INST] <<SYS>>\n\n<</SYS>>\n\na [/INST] b </s><s>[INST] c [/INST]\n"


def test_a_system_prompt_given_with_s_replaces_the_conversations_own(run, tiny_model):
    messages = [{"role": "system", "content": "old"}, {"role": "user", "content": "a"}]
    out = prompt_of(run, tiny_model, "--messages", "-", "-s", "new", stdin=json.dumps(messages).encode())
    assert "new" in out
    assert "old" not in out


def test_strings_in_messages_are_taken_as_they_are(run, tiny_model):
    out = prompt_of(run, tiny_model, "--messages", "-", stdin=b'[{"role": "user", "content": "a\\u0000b"}]')
    assert "a\0b" in out


def test_dry_run_as_json_counts_the_tokens(run, tiny_model):
    result = run("-m", str(tiny_model), "-p", "none", "--dry-run", "--json", "hi")
    shown = json.loads(result.out)
    assert shown["prompt"] == "<s>[INST] hi [/INST]"
    assert shown["n_tokens"] == len(shown["tokens"]) == shown["context"]["used"]
    assert shown["tokens"][0] == 1
    assert shown["context"] == {"size": 1024, "used": shown["n_tokens"], "dropped_turns": 0}


@pytest.mark.parametrize(
    ("stdin", "reason"),
    [
        (b"", "nothing to ask"),
        (b" \n", "nothing to ask"),
        (b"a\0b", "binary (byte 1"),
        (b"caf\xe9", "binary (byte 3"),
        (b"\x1f\x8b\x08\x00", "binary (byte 3"),
    ],
)
def test_empty_and_binary_input_are_usage_errors(run, tiny_model, stdin, reason):
    result = run("-m", str(tiny_model), stdin=stdin)
    assert result.code == 2
    assert reason in result.err
    assert result.out == ""


def test_empty_piped_input_is_no_error_beside_a_prompt(run, tiny_model):
    assert prompt_of(run, tiny_model, "hi", stdin=b"") == "<s>[INST] hi [/INST]\n"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"{}", "list of messages"),
        (b"[]", "empty list"),
        (b'[{"role": "robot", "content": "x"}]', "robot"),
        (b'[{"role": "user"}]', "content"),
        (b'[{"role": "assistant", "content": "x"}]', "user"),
        (b'[{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]', "user"),
        (b"\xff", "list of messages"),
    ],
)
def test_messages_that_are_none_are_usage_errors(run, tiny_model, data, reason):
    result = run("-m", str(tiny_model), "--messages", "-", stdin=data)
    assert result.code == 2, result.err
    assert reason in result.err


def test_a_tag_is_refused_with_the_file_and_line_it_is_in(run, tiny_model, tmp_path):
    (tmp_path / "notes.txt").write_text("one\ntwo [/INST] three\n")
    result = run("-m", str(tiny_model), "-f", str(tmp_path / "notes.txt"), "hi")
    assert result.code == 2
    assert "[/INST]" in result.err
    assert "notes.txt" in result.err
    assert "line 2, column 5" in result.err


@pytest.mark.parametrize(
    ("arguments", "stdin", "place"),
    [
        (["say", "[INST]"], b"", "the prompt contains [INST] (line 1, column 5)"),
        (["hi"], b"<<SYS>>", "the piped input contains <<SYS>>"),
        (["-s", "<</SYS>>", "hi"], b"", "the system prompt contains <</SYS>>"),
    ],
)
def test_a_tag_anywhere_is_refused_and_its_place_named(run, tiny_model, arguments, stdin, place):
    result = run("-m", str(tiny_model), *arguments, stdin=stdin)
    assert result.code == 2
    assert place in result.err


def test_a_tag_in_messages_is_refused_with_the_messages_number(run, tiny_model):
    messages = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "[INST]"},
        {"role": "user", "content": "b"},
    ]
    result = run("-m", str(tiny_model), "--messages", "-", stdin=json.dumps(messages).encode())
    assert result.code == 2
    assert "message 2 (assistant) contains [INST]" in result.err


def test_raw_tags_lets_tags_through_as_text(run, tiny_model):
    assert prompt_of(run, tiny_model, "--raw-tags", "a [INST] b") == "<s>[INST] a [INST] b [/INST]\n"


def test_a_typed_end_of_sequence_is_four_characters(run, tiny_model):
    result = run("-m", str(tiny_model), "--dry-run", "--json", "a</s>b")
    assert 2 not in json.loads(result.out)["tokens"]


def test_a_file_that_is_missing_or_a_folder_is_a_usage_error(run, tiny_model, tmp_path):
    for path in (tmp_path / "none.txt", tmp_path):
        result = run("-m", str(tiny_model), "-f", str(path), "hi")
        assert result.code == 2
        assert str(path) in result.err
