"""The chat on a pseudo-terminal, as a person uses it."""

from __future__ import annotations

import re
import sys
import time

import psutil
import pytest

from tests.e2e.terminal import Terminal

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a POSIX pseudo-terminal")

CTRL_C, CTRL_D, ALT_ENTER, UP = "\x03", "\x04", "\x1b\r", "\x1b[A"
LONG = "Write a very long story about a lighthouse.\r"


@pytest.fixture
def chat(tmp_path):
    """`chat("-m", model)` opens a terminal; each of a test shares one home."""
    terminals = []

    def open_chat(*arguments: str, **options) -> Terminal:
        terminal = Terminal(tmp_path / "home", *arguments, **options)
        terminals.append(terminal)
        return terminal

    yield open_chat
    for terminal in terminals:
        terminal.close()


def reused(screen: str) -> int:
    return int(re.findall(r"\((\d[\d,]*) reused", screen.replace("\n", " "))[-1].replace(",", ""))


@pytest.mark.parametrize("columns", [80, 200])
def test_a_conversation_of_two_turns_evaluates_only_what_is_new(chat, starter, columns):
    terminal = chat("-m", str(starter), "-t", "0", "-n", "20", "-v", columns=columns)
    assert "llamachat" in terminal.wait_for_prompt()
    terminal.type("Name three colours.\r")
    terminal.wait_for("reused", 1)
    assert "red" in terminal.text.lower()
    terminal.wait_for_prompt()
    terminal.type("And one more?\r")
    second = terminal.wait_for("reused", 2)
    assert reused(second) >= 34 + 19  # the first prompt and its answer, but for the token never evaluated
    terminal.wait_for_prompt()
    terminal.type(CTRL_D)
    assert terminal.exit_code() == 0


def test_the_prompt_is_there_before_the_model_and_keeps_what_is_typed(chat, starter):
    terminal = chat("-m", str(starter), "-t", "0", "-n", "10")
    terminal.type("What is 2+2?\r")  # at once, before there is even a prompt
    assert "4" in terminal.wait_for("[cut", 1)
    assert terminal.text.count("What is 2+2?") == 1


def test_ctrl_c_stops_the_answer_keeps_it_and_the_chat_goes_on(chat, starter):
    terminal = chat("-m", str(starter), "-t", "0")
    terminal.wait_for_prompt()
    terminal.type(LONG)
    terminal.wait_for("lighthouse", 2)
    terminal.type("typed ahead" + CTRL_C)
    terminal.wait_for("[stopped", 1)
    terminal.wait_for("› typed ahead", 1)
    terminal.type(CTRL_C)
    terminal.wait_for_prompt()
    terminal.type("/set max_tokens 5\r")
    terminal.wait_for("max_tokens = 5")
    terminal.type("Go on.\r/stats\r")
    assert reused(terminal.wait_for("reused", 1)) > 40


def test_ctrl_c_before_the_first_word_gives_the_question_back(chat, starter):
    terminal = chat("-m", str(starter))
    terminal.wait_for_prompt()
    terminal.type("Tell me about " + "the sea and " * 600 + "boats\r")
    terminal.wait_for("boats")
    time.sleep(0.3)
    terminal.type(CTRL_C)
    time.sleep(1)
    terminal.read()
    assert terminal.line.endswith("boats")
    assert "Traceback" not in terminal.text


def test_ctrl_c_at_the_prompt_clears_the_line_and_ctrl_d_leaves(chat, tiny_model):
    terminal = chat("-m", str(tiny_model))
    terminal.wait_for_prompt()
    terminal.type("half a thought")
    terminal.wait_for("half a thought")
    terminal.type(CTRL_C)
    terminal.wait_for_prompt()
    terminal.type(CTRL_D)
    assert terminal.exit_code() == 0


def test_keys_typed_during_an_answer_are_not_echoed_and_appear_at_the_next_prompt(chat, starter):
    terminal = chat("-m", str(starter), "-t", "0", "-n", "60")
    terminal.wait_for_prompt()
    terminal.type(LONG)
    terminal.wait_for("lighthouse", 2)
    terminal.type("typed ahead")
    terminal.read(0.2)
    assert "typed ahead" not in terminal.text
    terminal.wait_for("typed ahead", 1)
    assert terminal.text.index("[cut") < terminal.text.index("typed ahead")


def test_after_a_stop_and_fg_nothing_is_echoed_into_the_answer(chat, starter):
    import signal
    import termios

    terminal = chat("-m", str(starter), "-t", "0", "-n", "400")
    terminal.wait_for_prompt()
    terminal.type(LONG)
    terminal.wait_for("lighthouse", 2)
    settings = termios.tcgetattr(terminal.process.child_fd)
    settings[3] |= termios.ICANON | termios.ECHO  # as a shell leaves it
    termios.tcsetattr(terminal.process.child_fd, termios.TCSANOW, settings)
    terminal.process.kill(signal.SIGCONT)
    deadline = time.monotonic() + 5
    while termios.tcgetattr(terminal.process.child_fd)[3] & termios.ECHO and time.monotonic() < deadline:
        terminal.read()
    assert not termios.tcgetattr(terminal.process.child_fd)[3] & termios.ECHO
    terminal.type(CTRL_C)
    terminal.wait_for("[stopped", 1)


def test_alt_enter_and_ctrl_j_break_the_line_and_enter_sends(chat, tiny_model):
    terminal = chat("-m", str(tiny_model), "-n", "5", "--seed", "1")
    terminal.wait_for_prompt()
    terminal.type(f"one{ALT_ENTER}two\nthree")
    terminal.wait_for("three")
    assert [line.strip() for line in terminal.text.split("\n") if line.strip() in ("› one", "two", "three")] == [
        "› one",
        "two",
        "three",
    ]
    terminal.type("\r")
    terminal.wait_for("[cut", 1)


def test_a_paste_of_several_lines_arrives_whole(chat, tiny_model):
    terminal = chat("-m", str(tiny_model), "-n", "5", "--seed", "1")
    terminal.wait_for_prompt()
    terminal.type("\x1b[200~first\nsecond\n\x1b[201~")
    terminal.wait_for("second")
    assert "[cut" not in terminal.text  # nothing was sent
    terminal.type("\r")
    terminal.wait_for("[cut", 1)


def test_history_lasts_keeps_several_lines_whole_and_is_private(chat, tiny_model, tmp_path):
    first = chat("-m", str(tiny_model), "-n", "5", "--seed", "1")
    first.wait_for_prompt()
    first.type(f"one{ALT_ENTER}two\r")
    first.wait_for("[cut", 1)
    first.wait_for_prompt()
    first.type(CTRL_D)
    assert first.exit_code() == 0
    assert (tmp_path / "home" / "state" / "history").stat().st_mode & 0o777 == 0o600
    second = chat("-m", str(tiny_model), "-n", "5", "--seed", "1")
    second.wait_for_prompt()
    second.type(UP)
    second.wait_for("two")
    assert "› one" in second.text


def test_a_tag_is_refused_and_the_text_comes_back_for_editing(chat, tiny_model):
    terminal = chat("-m", str(tiny_model), "-n", "5", "--seed", "1")
    terminal.wait_for_prompt()
    terminal.type("say [INST] now\r")
    terminal.wait_for("frames turns", 1)
    terminal.wait_for("say [INST] now", 2)
    assert terminal.line == "› say [INST] now"


def test_a_message_that_does_not_fit_is_refused_with_both_numbers_and_comes_back(chat, tiny_model):
    terminal = chat("-m", str(tiny_model), "--ctx-size", "256", lines=60)
    terminal.wait_for_prompt()
    terminal.type("word " * 300 + "\r")
    screen = terminal.wait_for("the context holds 256", 1)
    assert re.search(r"the prompt is [\d,]+ tokens", screen)
    terminal.wait_for("word", 500)


def test_an_engine_killed_in_an_answer_costs_one_line_and_the_next_turn_works(chat, starter):
    terminal = chat("-m", str(starter), "-t", "0", "-n", "200")
    terminal.wait_for_prompt()
    terminal.type(LONG)
    terminal.wait_for("lighthouse", 2)
    psutil.Process(terminal.process.pid).children()[0].kill()
    terminal.wait_for("the engine crashed (SIGKILL)", 1)
    terminal.wait_for_prompt()
    terminal.type("/set max_tokens 5\rHello\r")
    terminal.wait_for("[cut", 1)
    assert terminal.text.count("the engine crashed") == 1


def test_the_terminal_is_as_it_was_after_leaving(chat, starter):
    import termios

    terminal = chat("-m", str(starter), "-t", "0")
    descriptor = terminal.process.child_fd
    before = termios.tcgetattr(descriptor)
    terminal.wait_for_prompt()
    terminal.type(LONG)
    terminal.wait_for("lighthouse", 2)
    terminal.type(CTRL_C)
    terminal.wait_for("[stopped", 1)
    terminal.wait_for_prompt()
    terminal.type(CTRL_D)
    deadline = time.monotonic() + 10
    while terminal.process.isalive() and time.monotonic() < deadline:
        terminal.read()
    assert termios.tcgetattr(descriptor)[:4] == before[:4]
    assert not terminal.screen.cursor.hidden


def test_plain_says_roles_in_words_and_repaints_nothing(chat, starter):
    terminal = chat("-m", str(starter), "--plain", "-t", "0", "-n", "20", NO_COLOR="1")
    terminal.wait_for_prompt()
    terminal.type("Name three colours.\r")
    terminal.wait_for("[cut", 1)
    assert "You: Name three colours." in terminal.text
    assert "Assistant:" in terminal.text
    assert "/8,192" not in terminal.text  # no toolbar


def test_the_commands_of_the_first_chat(chat, starter, tiny_model):
    terminal = chat("-m", str(tiny_model), "-n", "5", "--seed", "1", lines=120, columns=120)
    terminal.wait_for("/1,024")
    terminal.type("/help\r")
    screen = terminal.wait_for("//text", 1)
    for name in ("help", "exit", "new", "system", "model", "set", "stats", "retry"):
        assert f"/{name}" in screen
    terminal.type("/stts\r")
    terminal.wait_for("Did you mean /stats?")
    terminal.type("/system Be brief.\r")
    terminal.wait_for("System prompt: Be brief.")
    terminal.type("/set temperature 3\r/set temperature hot\r/set\r")
    terminal.wait_for("not 'hot'")
    terminal.wait_for("3.0  (set; otherwise 0.6)")
    terminal.type("/retry\r")
    terminal.wait_for("there is no question")
    terminal.type("hello\r")
    terminal.wait_for("[cut", 1)
    terminal.type("/retry\r")
    terminal.wait_for("[cut", 2)
    terminal.type("/new\r")
    terminal.wait_for("A new conversation.")
    terminal.type("/model none.gguf\r")
    terminal.wait_for("there is no file")
    terminal.type(f"/model {starter}\r")
    terminal.wait_for("Loading it")
    terminal.type("//etc is a folder\r/stats\r/model\r")
    terminal.wait_for("format template")
    terminal.type("/exit\r")
    assert terminal.exit_code() == 0
