"""Exit codes and error lines: one clear line, the right code, as JSON where that is wanted."""

from __future__ import annotations

import json

import pytest

from llamachat import __version__
from llamachat.cli.main import _COMMANDS

OPTIONS = """
    -m --model --format -p --preset --var -s --system -f --file --messages -t --temperature --top-p --top-k
    --min-p --repeat-penalty --seed -n --max-tokens --stop --ctx-size --threads --gpu-layers --kv-type --json
    --no-stream --plain --raw-tags --dry-run -q --quiet -v --verbose --debug --version
"""


def test_the_version(run):
    for arguments in (["--version"], ["-q", "--version"]):
        result = run(*arguments)
        assert (result.code, result.err) == (0, "")
    assert run("--version").out == f"llamachat {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--nope"], "no such option: --nope"),
        (["hi", "-t", "hot"], "hot"),
        (["hi", "-t", "nan"], "'nan'"),
        (["hi", "--top-p", "1.5"], "1.5"),
        (["hi", "--seed", "-1"], "-1"),
        (["hi", "--seed", "4294967295"], "4294967295"),
        (["hi", "-n", "0"], "0"),
        (["hi", "--kv-type", "q3"], "q3"),
        (["hi", "--gpu-layers", "some"], "some"),
        (["hi", "--messages", "x.json"], "--messages"),
        (["hi", "--repeat-penalty", "0"], "0"),
        (["hi", "-n", "99999999999999999999"], "99999999999999999999"),
        (["hi", "--top-k", "99999999999999999999"], "99999999999999999999"),
        (["hi", "--ctx-size", "99999999999999999999"], "99999999999999999999"),
        (["hi", "--gpu-layers", "99999999999999999999"], "99999999999999999999"),
        (["hi", "--gpu-layers", "²"], "²"),
    ],
)
def test_a_wrong_option_is_one_line_and_exit_code_2(run, arguments, reason):
    result = run(*arguments)
    assert result.code == 2
    assert reason in result.err
    assert result.err.count("\n") == 1
    assert result.out == ""


def test_an_unknown_model_is_exit_code_3_and_says_what_can_be_named(run):
    result = run("-m", "llama-9000", "hi")
    assert result.code == 3
    assert "llama-9000" in result.err
    assert "Did you mean llama" in result.err


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "GGUF"),
        (b"<!DOCTYPE html><html>", "GGUF"),
        (b"GGUF\x63\x00\x00\x00" + bytes(16), "version 99"),
        (b"GGUF\x03\x00\x00\x00" + bytes(5), "GGUF"),
        (b"GGUF\x03\x00\x00\x00" + bytes(16), "does not say which architecture"),
    ],
)
def test_a_file_that_is_no_model_is_exit_code_3(run, tmp_path, content, reason):
    path = tmp_path / "broken.gguf"
    path.write_bytes(content)
    result = run("-m", str(path), "hi")
    assert result.code == 3
    assert "broken.gguf" in result.err
    assert reason in result.err
    assert result.err.count("\n") == 1


def test_a_truncated_model_is_exit_code_3(run, tmp_path, tiny_model):
    path = tmp_path / "half.gguf"
    path.write_bytes(tiny_model.read_bytes()[:-1000])
    result = run("-m", str(path), "hi")
    assert result.code == 3
    assert "half.gguf" in result.err


def test_errors_are_json_where_json_is_wanted(run):
    result = run("--json", "-m", "llama-9000", "hi")
    error = json.loads(result.out)["error"]
    assert (result.code, error["code"]) == (3, 3)
    assert "llama-9000" in error["message"]
    assert error["hint"]
    assert result.err == ""


def test_json_at_a_terminal_wants_a_prompt(run):
    result = run("--json", terminal=True)
    assert result.code == 2
    assert "nothing to ask" in json.loads(result.out)["error"]["message"]


def test_wrong_usage_is_json_too(run):
    result = run("--json", "--nope")
    assert json.loads(result.out)["error"]["code"] == result.code == 2


def test_a_prompt_longer_than_the_context_is_exit_code_4_with_both_numbers(run, tiny_model):
    result = run("-m", str(tiny_model), "--ctx-size", "256", "word " * 400)
    assert result.code == 4
    assert "256" in result.err
    n_tokens = json.loads(run("-m", str(tiny_model), "--dry-run", "--json", "word " * 400).out)["n_tokens"]
    assert f"{n_tokens:,}" in result.err


def test_dry_run_makes_the_checks_of_a_real_run(run, tiny_model):
    assert run("-m", str(tiny_model), "--dry-run", "--ctx-size", "256", "word " * 400).code == 4
    assert run("-m", str(tiny_model), "--dry-run", "[INST]").code == 2


def test_a_template_that_a_model_has_not_is_a_usage_error(run, tiny_model):
    result = run("-m", str(tiny_model), "--format", "template", "hi")
    assert result.code == 2
    assert "template" in result.err


def test_an_unknown_format_is_a_usage_error_that_names_the_known(run, tiny_model):
    result = run("-m", str(tiny_model), "--format", "llama9", "hi")
    assert result.code == 2
    assert "llama2" in result.err


def help_of(*command: str, columns: int) -> str:
    """A page of help, on a terminal that is so wide."""
    import os
    import subprocess
    import sys

    return subprocess.run(
        [sys.executable, "-m", "llamachat", *command, "--help"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "COLUMNS": str(columns), "NO_COLOR": "1"},
    ).stdout


def test_the_help_names_every_option_of_the_contract_that_exists():
    shown = help_of(columns=200)
    for name in (*OPTIONS.split(), *_COMMANDS):
        assert name in shown


@pytest.mark.parametrize("command", [(), *((name,) for name in _COMMANDS)], ids=" ".join)
def test_no_name_on_a_page_of_help_is_cut_off_where_a_terminal_has_80_columns(command):
    shown = help_of(*command, columns=80)
    assert "Usage" in shown
    assert "…" not in shown


@pytest.mark.parametrize("size", ["1", "4", "30"])
def test_a_context_smaller_than_llama_cpp_makes_is_kept_to(run, tiny_model, size):
    for arguments in (["-n", "3"], ["--dry-run"]):
        result = run("-m", str(tiny_model), "--ctx-size", size, *arguments, "a prompt of more tokens than that " * 3)
        assert result.code == 4
        assert f"holds {size} " in result.err


def test_a_system_message_alone_is_a_usage_error_in_every_format(run, starter, tiny_model):
    for model in (starter, tiny_model):
        result = run("-m", str(model), "--messages", "-", stdin=b'[{"role": "system", "content": "x"}]')
        assert result.code == 2, result.err
        assert "user" in result.err


def test_messages_nested_without_end_are_a_usage_error(run, tiny_model):
    deep = b'[{"role": "user", "content": "x", "extra": ' + b"[" * 100_000 + b"]" * 100_000 + b"}]"
    assert run("-m", str(tiny_model), "--messages", "-", stdin=deep).code == 2


def test_messages_may_begin_with_a_byte_order_mark(run, tiny_model):
    data = b'\xef\xbb\xbf[{"role": "user", "content": "x"}]'
    assert run("-m", str(tiny_model), "--dry-run", "--messages", "-", stdin=data).code == 0
