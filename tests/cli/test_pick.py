"""`--resume` without an ID means: pick one."""

from __future__ import annotations

import pytest

from llamachat.cli.parse import parse


@pytest.mark.parametrize(
    ("line", "resume", "prompt"),
    [
        ("--resume", "", ()),
        ("--resume --plain", "", ()),
        ("--resume -t 0", "", ()),
        ("hello --resume", "", ("hello",)),
        ("--resume -- hello", "", ("hello",)),
        ("--resume 1abc", "1abc", ()),
        ("--resume 1abc hello", "1abc", ("hello",)),
        ("--resume=1abc", "1abc", ()),
        ("-- --resume", None, ("--resume",)),
        ("hello", None, ("hello",)),
    ],
)
def test_an_id_may_be_left_out_at_the_end_and_before_another_option(line, resume, prompt):
    options = parse(line.split())
    assert (options.resume, options.prompt) == (resume, prompt)


@pytest.mark.parametrize("line", ["--resume", "hello --resume", "hello --resume --json"])
def test_without_a_terminal_nobody_can_pick(run, line):
    result = run(*line.split(), stdin=b"")
    assert result.code == 2
    assert "llamachat sessions list" in (result.err + result.out)
    assert len((result.err + result.out).splitlines()) == 1
