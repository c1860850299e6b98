"""What makes a terminal one to live in: typed ahead, pasted, resized, suspended, narrow, dumb, stopped and gone on."""

from __future__ import annotations

import os
import re
import signal
import sys
import time

import psutil
import pytest

from tests.e2e.terminal import Terminal

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="the test opens a POSIX pseudo-terminal, which Windows lacks"
)

CTRL_C, CTRL_D, CTRL_Z = "\x03", "\x04", "\x1a"
LONG = "Write a very long story about a lighthouse.\r"
COLOURS = "Name three colours.\r"


@pytest.fixture
def chat(tmp_path, parrot):
    """`chat(...)` opens a terminal with the tests' model; each of a test shares one home."""
    terminals = []

    def open_chat(*arguments: str, **options) -> Terminal:
        terminal = Terminal(tmp_path / "home", "-m", str(parrot), "-t", "0", *arguments, **options)
        terminals.append(terminal)
        return terminal

    yield open_chat
    for terminal in terminals:
        terminal.close()


def paste(text: str) -> str:
    return f"\x1b[200~{text}\x1b[201~"


def test_a_newcomer_gets_one_screen_and_the_next_time_two_lines(chat):
    first = chat()
    screen = first.wait_for_prompt()
    assert "The model runs on this machine" in screen
    assert "@FILE" in screen
    assert len(screen.split("›")[0].strip().splitlines()) < 12
    first.ask("/stats")
    first.type(CTRL_D)
    first.exit_code()
    second = chat().wait_for_prompt()
    assert "The model runs on this machine" not in second
    assert "/help lists the commands" in second


def test_markdown_is_formatted_and_raw_is_what_the_model_wrote(chat):
    terminal = chat()
    terminal.wait_for_prompt()
    formatted = terminal.ask("Show me some Markdown.")
    terminal.ask("/set raw on")
    raw = terminal.ask("/retry")
    assert "**" in raw
    assert "**" not in formatted


def test_ctrl_c_then_continue_goes_on_and_the_next_turn_reuses_it_all(chat):
    terminal = chat("-v")
    terminal.wait_for_prompt()
    terminal.type(LONG)
    terminal.wait_for("lighthouse", 3)
    terminal.type(CTRL_C)
    terminal.wait_for("/continue goes on", 1)
    terminal.wait_for_prompt()
    terminal.type("/set max_tokens 5\r/continue\r")
    terminal.wait_for("[cut: the limit of tokens", 1)
    terminal.type("/set max_tokens off\rName three colours.\r")
    terminal.wait_for("Red, green and blue.")


def test_ctrl_c_twice_at_an_empty_prompt_leaves(chat):
    terminal = chat()
    terminal.wait_for_prompt()
    terminal.type(CTRL_C)
    terminal.wait_for("Ctrl-C again")
    terminal.wait_for_prompt()
    terminal.type("x")
    terminal.wait_for("› x")
    terminal.type(CTRL_C)
    terminal.wait_for_prompt()
    terminal.type(CTRL_C)
    terminal.wait_for("Ctrl-C again", 2)
    terminal.wait_for_prompt()
    terminal.type(CTRL_C)
    assert terminal.exit_code() == 0


def test_what_is_typed_while_an_answer_streams_comes_into_the_next_prompt(chat):
    terminal = chat("-n", "150")
    terminal.wait_for_prompt()
    terminal.type(LONG)
    terminal.wait_for("lighthouse", 2)
    terminal.type("What is 2+2?\rand then")
    terminal.wait_for("2+2 is 4.")
    terminal.wait_for("› and then")
    assert terminal.text.count("What is 2+2?") == 1


def test_a_paste_of_ten_thousand_lines_during_an_answer_is_one_piece(chat):
    terminal = chat()
    terminal.wait_for_prompt()
    terminal.type(LONG)
    terminal.wait_for("lighthouse", 2)
    terminal.type(paste("\r".join(f"line {count}" for count in range(10_000))))
    terminal.type(CTRL_C)
    terminal.wait_for("[stopped", 1)
    terminal.wait_for("[10,000 lines pasted]")
    terminal.type("\r")
    terminal.wait_for("the prompt is")  # far more than the context, and the draft is back
    terminal.wait_for("› [10,000 lines")


@pytest.mark.parametrize("columns", [20, 37, 200])
def test_a_narrow_or_wide_terminal_shows_whole_words(chat, columns):
    terminal = chat(columns=columns)
    terminal.wait_for_prompt()
    assert "안" in terminal.ask("Greet me in Korean.")
    answer = terminal.ask("Name three colours.").splitlines()
    assert " ".join(" ".join(answer).split()).endswith("Red, green and blue.")
    assert all(len(line) <= columns for line in answer)


def test_a_resize_while_an_answer_streams_doubles_no_word_and_loses_none(chat, tmp_path):
    terminal = chat("-n", "400", columns=100)
    terminal.wait_for_prompt()
    terminal.type(LONG)
    terminal.wait_for("lighthouse", 2)
    for columns in (60, 30, 120, 80):
        terminal.resize(columns, 40)
        terminal.read(0.1)
    terminal.wait_for_prompt()
    printed = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", terminal.raw.decode()).partition("[cut")[0].split()
    saved = tmp_path / "answer.txt"
    terminal.type(f"/export {saved}\r")
    terminal.wait_until(saved.exists)
    said = saved.read_text().partition("Assistant:")[2].partition("(cut")[0].split()
    assert len(said) > 100
    assert printed[-len(said) :] == said


def test_a_draft_is_drawn_once_after_the_window_became_narrower(chat):
    terminal = chat(TMUX="a terminal that wraps anew", columns=100)
    answer = terminal.wait_for_prompt() and terminal.ask(COLOURS.strip())
    draft = " ".join(f"word{number}" for number in range(25))
    terminal.type(draft)
    terminal.wait_for("word24")
    for columns in (70, 41, 33):
        terminal.narrow(columns)
        first_row = f"› {draft}"[:columns]
        terminal.wait_until(lambda row=first_row: row.rstrip() in terminal.text.split("\n"))
        shown = terminal.wait_for("/4,096")
        assert shown.count("word0 ") == shown.count("/4,096") == 1
        assert answer.strip() in shown
    terminal.type(" and the end\r")
    terminal.wait_for("and the end")


def test_ctrl_z_stops_the_engine_too_and_fg_goes_on(tmp_path, parrot):
    terminal = Terminal(tmp_path / "home", command=("bash", "--norc", "-i"), PS1="$ ")
    try:
        terminal.wait_for("$")
        terminal.type(f"{sys.executable} -m llamachat -m {parrot} -t 0\r")
        terminal.wait_for_prompt()
        terminal.type(LONG)
        terminal.wait_for("lighthouse", 2)
        terminal.type(CTRL_Z)
        terminal.wait_for("Stopped")
        ours = psutil.Process(terminal.process.pid).children(recursive=True)
        assert len(ours) == 2
        assert {process.status() for process in ours} == {psutil.STATUS_STOPPED}
        terminal.type("echo shell works\r")
        terminal.wait_for("shell works", 2)
        terminal.type("fg\r")
        n_shown = terminal.text.count("lighthouse")
        terminal.wait_until(lambda: terminal.text.count("lighthouse") != n_shown)
        terminal.type(CTRL_C)
        terminal.wait_for("[stopped")
        terminal.wait_for_prompt()
        terminal.type(CTRL_Z)
        terminal.wait_for("Stopped", 2)
        terminal.type("fg\r")
        terminal.wait_for_prompt()
        terminal.type(CTRL_D)
        terminal.wait_until(lambda: terminal.line == "$")
        terminal.type("stty -a\r")
        terminal.wait_for(" icanon ")
        assert " -echo " not in terminal.text
    finally:
        terminal.close()


def test_an_engine_killed_in_the_middle_of_a_word_leaves_a_sane_terminal(chat):
    terminal = chat()
    terminal.wait_for_prompt()
    terminal.type(LONG)
    terminal.wait_for("lighthouse", 2)
    [engine] = psutil.Process(terminal.process.pid).children()
    os.kill(engine.pid, signal.SIGKILL)
    terminal.wait_for("the engine crashed")
    terminal.wait_for_prompt()
    terminal.type("/set max_tokens 5\r/continue\r")
    terminal.wait_for("[cut: the limit of tokens", 1)
    terminal.type("/set max_tokens off\r/new\r" + COLOURS)
    terminal.wait_for("Red, green and blue.")


def test_a_dumb_terminal_gets_no_escape_sequence(chat):
    terminal = chat(TERM="dumb")
    terminal.wait_for_prompt()
    terminal.type("My name is Ada.\r")
    terminal.wait_for("Hello, Ada.")
    terminal.wait_for("(End of the answer.)")
    terminal.type(CTRL_D)
    terminal.exit_code()
    assert b"\x1b" not in terminal.raw


@pytest.mark.parametrize("way", ["ACCESSIBLE", "--plain"])
def test_an_accessible_chat_says_roles_and_ends_in_words_without_colour(chat, way):
    terminal = chat("--plain") if way == "--plain" else chat(ACCESSIBLE="1")
    terminal.wait_for_prompt()
    terminal.type("My name is Ada.\r")
    terminal.wait_for("Assistant:\nHello, Ada.")
    terminal.wait_for("(End of the answer.)")
    terminal.type("/xyzzy\r")
    terminal.wait_for("there is no command")
    painted = {code for code in re.findall(rb"\x1b\[([0-9;]*)m", terminal.raw) if code.strip(b"0;")}
    assert painted == set()


def test_no_colour_leaves_none(chat):
    terminal = chat(NO_COLOR="1")
    terminal.wait_for_prompt()
    terminal.ask("Show me some Markdown.")
    terminal.type("/xyzzy\r")
    terminal.wait_for("there is no command")
    colours = {f"{base + colour}".encode() for base in (30, 40, 90, 100) for colour in range(8)}
    codes = {part for sequence in terminal.raw.split(b"\x1b[")[1:] for part in sequence.split(b"m")[0].split(b";")}
    assert codes & colours == set()


def test_a_terminal_without_unicode_gets_ascii(chat):
    terminal = chat(PYTHONIOENCODING="latin-1", PYTHONUTF8="0")
    terminal.wait_until(lambda: terminal.line == ">")
    terminal.type(COLOURS)
    terminal.wait_for("Red, green and blue.")
    assert "Traceback" not in terminal.text


@pytest.mark.parametrize(("report", "code"), [("ffff/ffff/ffff", b"4;34mTea"), ("0000/0000/0000", b"4;36mTea")])
def test_colours_follow_the_background_that_the_terminal_reports(chat, report, code):
    terminal = chat()
    terminal.wait_until(lambda: b"\x1b]11;?" in terminal.raw)
    terminal.type(f"\x1b]11;rgb:{report}\x1b\\")
    terminal.wait_for_prompt()
    assert "rgb" not in terminal.text
    terminal.raw = b""
    terminal.ask("Show me some Markdown.")
    assert code in terminal.raw


def test_a_file_is_attached_by_name_and_completed_by_tab(chat, tmp_path, parrot):
    (tmp_path / "colours-of-mine.txt").write_text("Name three colours.")
    terminal = Terminal(
        tmp_path / "home", "-c", f"cd {tmp_path} && exec {sys.executable} -m llamachat -m {parrot} -t 0",
        command=("sh",),
    )  # fmt: skip
    try:
        terminal.wait_for_prompt()
        terminal.type("@colo\t")
        terminal.wait_for("› @colours-of-mine.txt")
        terminal.type("\r")
        terminal.wait_for("colours-of-mine.txt: 19 bytes, 6 tokens")
        terminal.wait_for_prompt()
        terminal.type("/context\r")
        terminal.wait_for("what frames the turns")
    finally:
        terminal.close()


def test_of_two_answers_one_key_picks(chat):
    terminal = chat()
    terminal.wait_for_prompt()
    terminal.ask("Name three colours.")
    terminal.type("/retry --n 2\r")
    terminal.wait_for("Keep which? [1/2]")
    terminal.type("2")
    terminal.wait_for_prompt()
    terminal.type("/edit\r")
    terminal.wait_for("› Name three colours.", 2)


def test_a_question_that_was_stopped_is_not_sent_with_what_was_typed_ahead(tmp_path, starter):
    terminal = Terminal(tmp_path / "home", "-m", str(starter), "-n", "5")
    try:
        terminal.wait_for_prompt()
        terminal.type("Tell me about " + "the sea and " * 600 + "boats\r")
        terminal.wait_for("reading")
        terminal.type("Hello there.\r")
        terminal.type(CTRL_C)
        terminal.wait_for("Up brings the message back")
        terminal.wait_for("› Hello there.")
        terminal.wait_for_prompt()
        assert "boatsHello" not in terminal.text
        terminal.type("\x1b[A\x1b[A")
        terminal.wait_until(lambda: "characters recalled" in terminal.line)
    finally:
        terminal.close()


def test_ctrl_c_while_a_command_waits_for_the_model_costs_the_command_and_not_the_chat(tmp_path, starter):
    terminal = Terminal(tmp_path / "home", "-m", str(starter))
    try:
        terminal.wait_for_prompt()
        [engine] = psutil.Process(terminal.process.pid).children()
        engine.suspend()  # it loads for ever
        terminal.type("/tokens hello\r")
        time.sleep(0.5)
        terminal.type(CTRL_C)
        terminal.wait_for("while the model was loading" if "0/8" not in terminal.text else "[stopped]")
        terminal.wait_for_prompt()
        engine.resume()
        assert "hello" in terminal.ask("/tokens hello")
    finally:
        terminal.close()


def test_an_edit_that_is_given_up_replaces_nothing(chat):
    terminal = chat()
    terminal.wait_for_prompt()
    terminal.ask("My name is Ada.")
    terminal.type("/edit\r")
    terminal.wait_for("takes the place of an earlier message")
    terminal.type(CTRL_C)
    terminal.wait_for_prompt()
    assert "Your name is Ada." in terminal.ask("What is my name?")
