"""A session is picked from a list on a real terminal, at the start and in the chat."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from tests.e2e.terminal import LLAMACHAT, Terminal
from tests.ui.typing import DOWN, ENTER, ESCAPE

termios = pytest.importorskip("termios", reason="the test looks at a terminal's settings, which are POSIX's")
pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="the test opens a POSIX pseudo-terminal, which Windows lacks"
)

OTHER_SCREEN, FIRST_SCREEN = b"\x1b[?1049h", b"\x1b[?1049l"


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


@pytest.fixture
def listing(home):
    """`listing(is_at_start)` has the list on the screen: asked for at the start or in the chat."""

    def open_list(*, is_at_start: bool) -> tuple[Terminal, list]:
        terminal = Terminal(home, *(["--resume"] if is_at_start else []), lines=24)
        found = termios.tcgetattr(terminal.process.child_fd)
        if not is_at_start:
            terminal.wait_for_prompt()
            terminal.type(f"/resume{ENTER}")
        terminal.wait_for("Answer: 2+2 is 4.")
        return terminal, found

    return open_list


def has_first_screen(terminal: Terminal) -> bool:
    return terminal.raw.rfind(FIRST_SCREEN) > terminal.raw.rfind(OTHER_SCREEN)


@pytest.mark.parametrize("is_at_start", [True, False])
def test_a_list_that_is_ended_from_elsewhere_leaves_the_terminal_as_it_was(listing, is_at_start):
    terminal, found = listing(is_at_start=is_at_start)
    assert not has_first_screen(terminal)
    terminal.process.kill(signal.SIGTERM)
    terminal.wait_until(lambda: not terminal.process.isalive())
    terminal.read()
    assert has_first_screen(terminal)
    assert termios.tcgetattr(terminal.process.child_fd)[:4] == found[:4]
    assert terminal.raw.rindex(b"\x1b[?2004l") > terminal.raw.rindex(b"\x1b[?2004h")
    assert terminal.raw.rindex(b"\x1b[?25h") > terminal.raw.rindex(b"\x1b[?25l")


def test_a_list_that_is_stopped_from_elsewhere_gives_the_screen_back_and_is_drawn_again(listing):
    terminal, _ = listing(is_at_start=True)
    terminal.process.kill(signal.SIGTSTP)
    terminal.wait_until(lambda: FIRST_SCREEN in terminal.raw)
    terminal.process.kill(signal.SIGCONT)
    terminal.wait_until(lambda: b"Answer:" in terminal.raw.rpartition(FIRST_SCREEN)[2].partition(OTHER_SCREEN)[2])
    terminal.type(ESCAPE)
    assert terminal.exit_code() == 130
    assert has_first_screen(terminal)


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
