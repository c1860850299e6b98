"""A text through the user's own editor."""

from __future__ import annotations

import io
import sys

import pytest

from llamachat.environment import Environment
from llamachat.errors import UsageError
from llamachat.ui.external_editor import edit_text


def through(text: str, editor: str, **variables: str) -> str:
    environment = Environment(
        stdin=io.BytesIO(), stdout=io.BytesIO(), stderr=io.StringIO(), stdout_encoding="utf-8",
        stdin_is_terminal=False, stdout_is_terminal=False, stderr_is_terminal=False,
        variables={"EDITOR": editor, **variables},
    )  # fmt: skip
    return edit_text(text, environment)


def script(change: str) -> str:
    code = f"import sys, pathlib; p = pathlib.Path(sys.argv[1]); b = p.read_bytes(); {change}"
    return f'"{sys.executable}" -c "{code}"'


@pytest.mark.parametrize(
    ("before", "change", "after"),
    [
        ("über\nzwei", "p.write_bytes(b + b' more')", "über\nzwei more"),
        ("one", "p.write_bytes(b + bytes([10]))", "one"),
        ("one\n", "p.write_bytes(b)", "one\n"),
        ("one", "p.write_bytes(b + bytes([13, 10]) + b'two')", "one\ntwo"),
        ("one", "p.write_bytes(b'')", ""),
    ],
)
def test_what_the_editor_leaves_comes_back_without_the_line_end_it_adds(before, change, after):
    assert through(before, script(change)) == after


def test_visual_goes_before_editor():
    assert through("a", "false", VISUAL=script("p.write_bytes(b'b')")) == "b"


@pytest.mark.parametrize(
    ("editor", "words"),
    [
        ("", "there is no editor"),
        ("no-such-editor-here", "cannot be run"),
        (script("sys.exit(3)"), "ended with 3"),
        (script("p.write_bytes(bytes([255]))"), "not UTF-8"),
        (script("p.unlink()"), "cannot be edited"),
        ("'", "quote"),
    ],
)
def test_an_editor_that_fails_is_a_usage_error(editor, words):
    with pytest.raises(UsageError, match=words):
        through("text", editor)


def test_nobody_else_can_read_the_draft_and_it_is_gone_afterwards():
    import pathlib
    import stat

    shown = through("secret", script("p.write_text(f'{p} {p.parent.stat().st_mode}')"))
    path, mode = shown.rsplit(" ", 1)
    assert stat.S_IMODE(int(mode)) == 0o700
    assert not pathlib.Path(path).exists()
