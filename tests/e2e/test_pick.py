"""A session is picked from a list on a real terminal, at the start and in the chat."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.e2e.terminal import LLAMACHAT, Terminal
from tests.ui.typing import DOWN, ENTER, ESCAPE

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="the test opens a POSIX pseudo-terminal, which Windows lacks"
)


@pytest.fixture
def home(tmp_path, parrot, monkeypatch):
    """A place with two sessions."""
    home = tmp_path / "home"
    monkeypatch.setenv("LLAMACHAT_HOME", str(home))
    for question in ("My name is Ada.", "What is 2+2?"):
        subprocess.run([*LLAMACHAT, "-m", parrot, "-t", "0", question], check=True, capture_output=True)
    return home


def test_a_session_is_picked_at_the_start_and_another_in_the_chat(home):
    terminal = Terminal(home, "--resume", lines=24)
    terminal.wait_for("Answer: 2+2 is 4.")
    terminal.type(DOWN)
    terminal.wait_for("Answer: Hello, Ada.")
    terminal.type(ENTER)
    terminal.wait_for("My name is Ada. (2 messages)")
    terminal.wait_for_prompt()
    assert "Go on with:" not in terminal.text  # the list is gone without a trace
    terminal.type(f"/resume{ENTER}")
    terminal.wait_for("Answer: 2+2 is 4.")
    terminal.type(ENTER)
    terminal.wait_for("What is 2+2? (2 messages)")
    terminal.wait_for_prompt()
    terminal.type("\x04")
    assert terminal.exit_code() == 0


@pytest.mark.parametrize("arguments", [(), ("--plain",)], ids=["drawn", "plain"])
def test_leaving_the_list_is_exit_code_130(home, arguments):
    terminal = Terminal(home, "--resume", *arguments, lines=24)
    terminal.wait_for("Go on with")
    terminal.type(ENTER if arguments else ESCAPE)
    assert terminal.exit_code() == 130


def test_in_plain_words_a_number_picks(home):
    terminal = Terminal(home, "--resume", "--plain", lines=24)
    terminal.wait_for("Go on with which? [1-2, an ID, Enter: none]")
    terminal.type(f"2{ENTER}")
    terminal.wait_for("My name is Ada. (2 messages)")
    terminal.close()
