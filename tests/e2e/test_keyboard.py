"""The prompt and what is typed under and between prompts, on a pseudo-terminal."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pexpect
import pyte
import pytest

from tests.e2e.terminal import Terminal

if sys.platform == "win32":
    pytest.skip("the test opens a POSIX pseudo-terminal, which Windows lacks", allow_module_level=True)

import termios

SCRIPT = Path(__file__).with_name("typist.py")
CTRL_C, CTRL_D, CTRL_Z, UP, EDIT = "\x03", "\x04", "\x1a", "\x1b[A", "\x18\x05"


def paste(text: str) -> str:
    return f"\x1b[200~{text}\x1b[201~"


class Typist(Terminal):
    """The prompt alone, with a file that ends its answers."""

    def __init__(self, home: Path, command: list[str] | None = None, columns: int = 80, **variables: str) -> None:
        self.screen = pyte.Screen(columns, 40)
        self._stream = pyte.ByteStream(self.screen)
        self.raw = b""
        self.end = home / "end"
        self.process = pexpect.spawn(
            (command or [sys.executable])[0],
            [*(command or [sys.executable])[1:], *([] if command else [str(SCRIPT), str(home / "history")])],
            env={**os.environ, "TERM": "xterm-256color", "PYTHONPATH": str(SCRIPT.parents[2]), **variables},
            dimensions=(40, columns),
            timeout=60,
        )
        self.process.delaybeforesend = None

    def answer(self) -> None:
        """An answer that goes on until `end_answer`."""
        self.end.unlink(missing_ok=True)
        begun = self.text.count("an answer begins")
        self.type(f"answer {self.end}\r")
        self.wait_for("an answer begins", begun + 1)

    def end_answer(self) -> None:
        self.end.touch()

    @property
    def settings(self) -> list:
        return termios.tcgetattr(self.process.child_fd)

    @property
    def is_quiet(self) -> bool:
        """The keyboard's settings, for which a shell's editor has none of its own."""
        return bool(self.settings[3] & termios.NOFLSH) and not self.settings[3] & termios.ECHO

    def wait_until(self, condition) -> None:
        deadline = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < deadline, self.text
            self.read()


@pytest.fixture
def typist(tmp_path):
    terminals = []

    def start(**options) -> Typist:
        terminal = Typist(tmp_path, **options)
        terminals.append(terminal)
        return terminal

    yield start
    for terminal in terminals:
        terminal.close()


def test_what_is_typed_before_there_is_a_prompt_is_typed_at_it(typist):
    terminal = typist(LATE="1")
    terminal.type("early one\rearly two\rand hal")
    terminal.wait_for("characters: 'early one'")
    terminal.wait_for("characters: 'early two'")
    terminal.wait_for("› and hal")
    terminal.type("f\r")
    terminal.wait_for("characters: 'and half'")


def test_keys_during_an_answer_are_not_echoed_and_those_of_several_messages_all_come(typist):
    terminal = typist()
    terminal.wait_for_prompt()
    terminal.answer()
    terminal.type("first\rsecond\r" + UP)
    terminal.read(0.3)
    assert "first" not in terminal.text
    terminal.end_answer()
    terminal.wait_for("characters: 'first'")
    terminal.wait_for("› second", 2)  # sent, and brought back by Up
    assert terminal.text.count("characters: 'second'") == 1


def test_a_paste_during_an_answer_is_one_paste(typist):
    terminal = typist()
    terminal.wait_for_prompt()
    terminal.answer()
    terminal.type(paste("".join(f"line {number}\r" for number in range(142))))
    terminal.end_answer()
    terminal.wait_for("[142 lines pasted]")
    terminal.type("\r")
    terminal.wait_for("got 143 lines")


def test_a_megabyte_during_an_answer_is_not_lost_and_ctrl_c_after_it_interrupts(typist):
    terminal = typist()
    terminal.wait_for_prompt()
    terminal.answer()
    text = "".join(f"{number:07}\r" for number in range(131_072))
    terminal.type(paste(text) + CTRL_C)
    terminal.wait_for("interrupted")
    terminal.wait_for("[131,072 lines pasted]")
    terminal.type("\r")
    terminal.wait_for(f"{len(text)} characters")


def test_a_paste_that_the_end_of_an_answer_cuts_stays_whole(typist):
    terminal = typist()
    terminal.wait_for_prompt()
    terminal.answer()
    terminal.process.send(b"\x1b[200~pas")
    terminal.read(0.05)
    terminal.end_answer()
    terminal.wait_for_prompt()
    terminal.process.send(b"ted\r!\x1b[201~\r")
    terminal.wait_for(r"'pasted\n!'")


def test_a_question_is_not_answered_by_what_was_typed_before_it(typist):
    terminal = typist()
    terminal.wait_for_prompt()
    terminal.answer()
    terminal.type("ask\ry\r")
    terminal.end_answer()
    terminal.wait_for("Sure? [y/N]")
    terminal.read(0.2)
    assert "chose" not in terminal.text
    terminal.type("n")
    terminal.wait_for("chose n")
    terminal.wait_for("characters: 'y'")


@pytest.mark.parametrize("is_late", [False, True])
def test_the_terminals_colour_is_asked_once_taken_whenever_it_comes_and_never_typed(typist, is_late):
    terminal = typist()
    terminal.wait_for_prompt()
    assert terminal.raw.count(b"\x1b]11;?") == 1
    report = "\x1b]11;rgb:fafa/fafa/fafa\x1b\\"
    if is_late:
        terminal.answer()
        terminal.type(f"ab{report}c")
        terminal.end_answer()
    else:
        terminal.type(f"ab{report[:9]}")
        terminal.read(0.1)
        terminal.type(f"{report[9:]}c")
    terminal.wait_for("› abc")
    terminal.type(f"{CTRL_C}background\r")
    terminal.wait_for("it is light")


@pytest.mark.parametrize("variables", [{"NO_COLOR": "1"}, {"TERM": "linux"}, {"ACCESSIBLE": "1"}])
def test_a_terminal_whose_colour_does_not_matter_is_not_asked(typist, variables):
    terminal = typist(**variables)
    terminal.wait_for_prompt()
    assert b"\x1b]11" not in terminal.raw


@pytest.mark.parametrize("ending", [CTRL_D, "fault\r", signal.SIGTERM])
def test_the_terminal_is_as_it_was_however_it_ends(typist, ending):
    terminal = typist()
    before = terminal.settings
    terminal.wait_for_prompt()
    if isinstance(ending, str):
        terminal.type(ending)
    else:
        terminal.answer()
        terminal.process.kill(ending)
    terminal.wait_until(lambda: not terminal.process.isalive())
    terminal.read()
    assert terminal.settings[:4] == before[:4]
    assert terminal.raw.rindex(b"\x1b[?2004l") > terminal.raw.rindex(b"\x1b[?2004h")
    assert not terminal.screen.cursor.hidden


def test_pastes_are_marked_from_the_start_to_the_end(typist):
    terminal = typist()
    terminal.wait_for_prompt()
    terminal.answer()
    terminal.end_answer()
    terminal.wait_for_prompt()
    assert b"\x1b[?2004l" not in terminal.raw


def test_resizes_at_any_time_leave_a_prompt_that_works(typist):
    terminal = typist()
    terminal.wait_for_prompt()
    for columns in (20, 100, 13, 80):
        terminal.process.setwinsize(40, columns)
        terminal.screen.resize(40, columns)
        terminal.type("x")
        terminal.read(0.1)
    terminal.type("\r")
    terminal.wait_for("characters: 'xxxx'")


def test_ctrl_l_clears_the_screen_and_the_prompt_stays(typist):
    terminal = typist()
    terminal.wait_for_prompt()
    terminal.type("before\r")
    terminal.wait_for("'before'")
    terminal.type("draft\x0c")
    terminal.wait_until(lambda: terminal.text.startswith("› draft"))
    assert "before" not in terminal.text


def test_the_editor_has_the_terminal_as_it_was_found_and_leaves_a_draft(typist, tmp_path):
    editor = tmp_path / "editor.py"
    editor.write_text(
        "import pathlib, sys, termios\n"
        "cooked = termios.tcgetattr(0)[3] & termios.ICANON\n"
        "pathlib.Path(sys.argv[1]).write_text(input('editing: ') + (' cooked' if cooked else ' raw'))\n"
    )
    terminal = typist(EDITOR=f"{sys.executable} {editor}", VISUAL="")
    terminal.wait_for_prompt()
    terminal.type(f"draft{EDIT}")
    terminal.wait_for("editing:")
    terminal.type("edited\r")
    terminal.wait_for("› edited cooked")
    terminal.type("!\r")
    terminal.wait_for("'edited cooked!'")


def shell(typist, tmp_path) -> Typist:
    """An interactive shell with job control, which runs the prompt."""
    terminal = typist(command=["bash", "--norc", "--noprofile", "-i"], PS1="shell> ")
    terminal.wait_for("shell>")
    terminal.type(f"{sys.executable} {SCRIPT} {tmp_path / 'history'}\r")
    terminal.wait_for_prompt()
    return terminal


def test_ctrl_z_at_the_prompt_suspends_and_fg_draws_it_again(typist, tmp_path):
    terminal = shell(typist, tmp_path)
    terminal.type("draft")
    terminal.wait_for("› draft")
    terminal.type(CTRL_Z)
    terminal.wait_for("Stopped")
    terminal.type("echo $((6*7))\r")
    terminal.wait_for("42")
    terminal.type("fg\r")
    terminal.wait_until(lambda: terminal.line == "› draft")
    terminal.type("!\r")
    terminal.wait_for("characters: 'draft!'")


def test_ctrl_z_in_an_answer_suspends_leaves_the_shell_in_order_and_fg_goes_on(typist, tmp_path):
    terminal = shell(typist, tmp_path)
    terminal.answer()
    terminal.type("before")
    terminal.read(0.5)  # what nobody has read yet when it stops is the shell's
    terminal.type(CTRL_Z)
    terminal.wait_for("Stopped")
    assert terminal.raw.rindex(b"\x1b[?2004l") > terminal.raw.index(b"an answer begins")
    terminal.type("echo $((6*7))\r")
    terminal.wait_for("42")
    terminal.type("fg\r")
    terminal.wait_until(lambda: terminal.is_quiet)
    terminal.type(" after")
    terminal.read(0.2)
    assert "after" not in terminal.text
    terminal.end_answer()
    terminal.wait_for("› before after")


def test_in_the_background_the_shell_gets_what_is_typed_and_fg_takes_the_terminal_back(typist, tmp_path):
    terminal = shell(typist, tmp_path)
    terminal.answer()
    terminal.type(CTRL_Z)
    terminal.wait_for("Stopped")
    terminal.type("bg\r")
    terminal.wait_for("&")
    for number in range(5):
        terminal.type(f"echo $(({number}+70))\r")
        terminal.wait_for(f"\n{number + 70}")
    terminal.type("fg\r")
    terminal.wait_until(lambda: terminal.is_quiet)
    terminal.type("after")
    terminal.end_answer()
    terminal.wait_for("› after")


def test_a_dumb_terminal_gets_no_escapes(typist):
    terminal = typist(TERM="dumb")
    terminal.wait_for("You:")
    terminal.type("hello\r")
    terminal.wait_for("characters: 'hello'")
    terminal.type(CTRL_D)
    assert terminal.exit_code() == 0
    assert b"\x1b" not in terminal.raw
