"""The chat on a pseudo-terminal, as a person uses it."""

from __future__ import annotations

import re
import sys
import time

import psutil
import pytest

from tests.e2e.terminal import Terminal

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="the test opens a POSIX pseudo-terminal, which Windows lacks"
)

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


def counts(screen: str) -> tuple[int, int, int]:
    """Tokens read, of these reused, and written, of the last answer."""
    pattern = r"([\d,]+) read \(([\d,]+) reused.*?([\d,]+) written"
    read, reused, written = re.findall(pattern, " ".join(screen.split()))[-1]
    return int(read.replace(",", "")), int(reused.replace(",", "")), int(written.replace(",", ""))


@pytest.mark.parametrize("columns", [80, 200])
def test_a_conversation_evaluates_only_what_is_new_and_remembers(chat, parrot, columns):
    terminal = chat("-m", str(parrot), "-t", "0", "-v", columns=columns)
    assert "llamachat" in terminal.wait_for_prompt()
    terminal.type("My name is Ada.\r")
    terminal.wait_for("seed", 1)
    assert "Hello, Ada." in terminal.text
    read, _, written = counts(terminal.text)
    terminal.wait_for_prompt()
    terminal.type("What is my name?\r")
    second = terminal.wait_for("seed", 2)
    assert "Your name is Ada." in second
    assert counts(second)[1] >= read + written - 1  # all but the token that was never evaluated
    terminal.wait_for_prompt()
    terminal.type(CTRL_D)
    assert terminal.exit_code() == 0


def test_the_prompt_is_there_before_the_model_and_keeps_what_is_typed(chat, parrot):
    terminal = chat("-m", str(parrot), "-t", "0")
    terminal.type("What is 2+2?\r")  # at once, before there is even a prompt
    terminal.wait_for("2+2 is 4.")
    assert terminal.text.count("› What is 2+2?") == 1


def test_ctrl_c_stops_the_answer_keeps_it_and_the_chat_goes_on(chat, parrot):
    terminal = chat("-m", str(parrot), "-t", "0")
    terminal.wait_for_prompt()
    terminal.type(LONG)
    terminal.wait_for("lighthouse", 2)
    terminal.type("typed ahead" + CTRL_C)
    terminal.wait_for("[stopped", 1)
    terminal.wait_for("› typed ahead", 1)
    terminal.type(CTRL_C)
    terminal.wait_for_prompt()
    terminal.type("/set max_tokens 5\r")
    terminal.wait_for("max_tokens: 5")
    terminal.type("Go on.\r/stats\r")
    assert counts(terminal.wait_for("seed", 1))[1] > 40


def test_ctrl_c_before_the_first_word_gives_the_question_back(chat, starter):  # which reads slowly enough
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


def test_keys_typed_during_an_answer_are_not_echoed_and_appear_at_the_next_prompt(chat, parrot):
    terminal = chat("-m", str(parrot), "-t", "0", "-n", "1500")
    terminal.wait_for_prompt()
    terminal.type(LONG)
    terminal.wait_for("lighthouse", 2)
    terminal.type("typed ahead")
    terminal.read(0.2)
    assert "typed ahead" not in terminal.text
    terminal.wait_for("typed ahead", 1)
    assert terminal.text.index("[cut") < terminal.text.index("typed ahead")


def test_after_a_stop_and_fg_nothing_is_echoed_into_the_answer(chat, parrot):
    import signal
    import termios

    terminal = chat("-m", str(parrot), "-t", "0")
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
    terminal.wait_until(lambda: terminal.line == "› say [INST] now")


def test_a_message_that_does_not_fit_is_refused_with_both_numbers_and_comes_back(chat, tiny_model):
    terminal = chat("-m", str(tiny_model), "--ctx-size", "256", lines=60)
    terminal.wait_for_prompt()
    terminal.type("word " * 300 + "\r")
    screen = terminal.wait_for("the context holds 256", 1)
    assert re.search(r"the prompt is [\d,]+ tokens", screen)
    terminal.wait_for("word", 500)


def test_an_engine_killed_in_an_answer_costs_one_line_and_the_next_turn_works(chat, parrot):
    terminal = chat("-m", str(parrot), "-t", "0")
    terminal.wait_for_prompt()
    terminal.type(LONG)
    terminal.wait_for("lighthouse", 2)
    psutil.Process(terminal.process.pid).children()[0].kill()
    terminal.wait_for("the engine crashed (SIGKILL)", 1)
    terminal.wait_for_prompt()
    terminal.type("Hello\r")
    terminal.wait_for("Hello!", 1)
    assert terminal.text.count("the engine crashed") == 1


def test_the_terminal_is_as_it_was_after_leaving(chat, parrot):
    import termios

    terminal = chat("-m", str(parrot), "-t", "0")
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


def test_plain_says_roles_in_words_and_repaints_nothing(chat, parrot):
    terminal = chat("-m", str(parrot), "--plain", "-t", "0", NO_COLOR="1")
    terminal.wait_for_prompt()
    terminal.type("Name three colours.\r")
    terminal.wait_for("Red, green and blue.")
    assert "You: Name three colours." in terminal.text
    assert "Assistant:" in terminal.text
    assert "/4,096" not in terminal.text  # no toolbar


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
    terminal.wait_for("3  (chat; otherwise: 0.6)")
    terminal.type("/retry\r")
    terminal.wait_for("nothing was asked yet")
    terminal.type("hello\r")
    terminal.wait_for("[cut", 1)
    terminal.type("/retry\r")
    terminal.wait_for("[cut", 2)
    terminal.type("/new\r")
    terminal.wait_for("A new conversation.")
    terminal.type("/model none.gguf\r")
    terminal.wait_for("there is no file")
    terminal.type(f"/model {starter}\r")
    terminal.wait_for("Loading the model")
    terminal.type("//etc is a folder\r/stats\r/model\r")
    terminal.wait_for("format template")
    terminal.type("/exit\r")
    assert terminal.exit_code() == 0


def test_a_preset_is_changed_in_the_chat_and_the_conversation_stays(chat, parrot, tmp_path):
    folder = tmp_path / "home" / "config" / "presets"
    folder.mkdir(parents=True)
    (folder / "guide.md").write_text("---\nvariables:\n  who:\n---\nYour name is {{who}}.\n")
    (folder / "broken.md").write_text("---\nnope: 1\n---\nBe.\n")
    terminal = chat("-m", str(parrot), "-t", "0", lines=120, columns=120)
    terminal.wait_for("· assistant ·")
    terminal.type("My name is Ada.\rWho are you?\r")
    terminal.wait_for("I am a small model.")
    terminal.type("/preset\r")
    terminal.wait_for("there is no 'nope' in a preset.")
    assert "* assistant" in terminal.text
    terminal.type("/preset guide\r")
    terminal.wait_for("needs a value for who")
    terminal.type("/preset guide who=Otto\rWho are you?\rWhat is my name?\r")
    terminal.wait_for("My name is Otto.")
    terminal.wait_for("Your name is Ada.")
    terminal.wait_for("· guide ·")
    terminal.type("/system Your name is Karl.\rWho are you?\r")
    terminal.wait_for("My name is Karl.")
    terminal.type("/preset giude\r")
    terminal.wait_for("Did you mean guide?")
    terminal.type("/preset none\r/system\r")
    terminal.wait_for("System prompt: none")
    terminal.type("/preset tran\t")
    terminal.wait_for("› /preset translator")


def test_a_preset_can_bring_another_model_and_an_option_keeps_the_one_it_named(chat, parrot, tiny_model, tmp_path):
    folder = tmp_path / "home" / "config" / "presets"
    folder.mkdir(parents=True)
    (folder / "noise.md").write_text(f"---\nmodel: {tiny_model}\n---\nBe.\n")
    (folder / "lost.md").write_text("---\nmodel: none.gguf\n---\nBe.\n")
    terminal = chat(columns=120, LLAMACHAT_MODEL="", LLAMACHAT_TEMPERATURE="0")
    terminal.wait_for("/8,192")
    terminal.type("/preset lost\r")
    terminal.wait_for("there is no file none.gguf")
    terminal.type("/preset noise\r")
    terminal.wait_for("/1,024")
    terminal.type("\x04")
    assert terminal.exit_code() == 0
    terminal = chat("-m", str(parrot), columns=120)
    terminal.wait_for("/4,096")
    terminal.type("/preset noise\rNo model of yours.\r")
    terminal.wait_for("Preset: noise.")
    terminal.wait_for("/4,096 ")
    assert "Loading" not in terminal.text


def test_a_preset_says_when_an_option_keeps_the_system_prompt(chat, parrot):
    terminal = chat("-m", str(parrot), "-s", "Your name is Otto.", "-t", "0", columns=120)
    terminal.wait_for_prompt()
    terminal.type("/preset concise\rWho are you?\r")
    terminal.wait_for("stays the one given with -s")
    terminal.wait_for("My name is Otto.")
