"""`/retry --n 3` in the real program: stopped, its engine killed, all of it killed. What was said is kept."""

from __future__ import annotations

import os
import signal
import sys
import time

import psutil
import pytest

from llamachat.store.sessions import Store
from tests.e2e.terminal import Terminal

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="the test opens a POSIX pseudo-terminal, which Windows lacks"
)

CTRL_C = "\x03"
LONG = "Write a very long story about a lighthouse."


@pytest.fixture
def chat(tmp_path, parrot):
    """`chat(...)` opens a terminal with the tests' model; each of a test shares one home."""
    terminals = []

    def open_chat(*arguments: str) -> Terminal:
        terminal = Terminal(tmp_path / "home", "-m", str(parrot), *arguments, lines=60)
        terminals.append(terminal)
        terminal.wait_for_prompt()
        return terminal

    yield open_chat
    for terminal in terminals:
        terminal.close()


def begin_three(chat) -> Terminal:
    """Three long answers under way, side by side, to a question that has an answer."""
    terminal = chat("-t", "0")
    terminal.type("/set max_tokens 3\r")
    terminal.wait_for("max_tokens")
    terminal.type(f"{LONG}\r")
    terminal.wait_for("[cut: the limit of tokens", 1)
    terminal.type("/set max_tokens off\r/retry --n 3\r")
    terminal.wait_for("1 of 3")
    terminal.wait_for("lighthouse", 5)
    return terminal


def answers(tmp_path) -> list[tuple[str, str]]:
    with Store(tmp_path / "home" / "data" / "sessions.db") as store:
        entries = store.load(store.sessions()[0].id).entries
    assert all(entry.turn.parent == entries[0].turn.number for entry in entries[1:])
    return [(entry.turn.message.content, entry.turn.state.value) for entry in entries[1:]]


def test_three_answers_are_shown_one_after_another_and_the_picked_one_is_gone_on_with(chat, tmp_path):
    terminal = chat("-t", "0", "-v")
    terminal.ask("Name three colours.")
    terminal.type("/retry --n 3\r")
    screen = terminal.wait_for("Keep which? [1/2/3]")
    assert screen.count("Red, green and blue.") == 4
    assert screen.index("1 of 3") < screen.index("2 of 3") < screen.index("3 of 3")
    terminal.type("3")
    terminal.wait_for_prompt()
    assert [text.strip() for text, _ in answers(tmp_path)] == ["Red, green and blue."] * 4
    terminal.type("/stats\rWhat is 2+2?\r")
    terminal.wait_for("2+2 is 4.")


def test_ctrl_c_stops_all_at_once_and_the_partial_answers_can_be_picked(chat, tmp_path):
    terminal = begin_three(chat)
    pressed = time.monotonic()
    terminal.type(CTRL_C)
    terminal.wait_for("Keep which?")
    waited = time.monotonic() - pressed
    terminal.type("2")
    terminal.wait_for_prompt()
    assert waited < 2  # the bar is 0.2 s, measured by benchmarks/candidates.py; here other work may run beside it
    found = answers(tmp_path)[1:]
    assert [state for _, state in found] == ["interrupted"] * 3
    assert all("lighthouse" in text for text, _ in found)
    terminal.type("/set max_tokens 5\r/continue\r")
    terminal.wait_for("[cut: the limit of tokens", 1)


def test_an_engine_killed_in_the_middle_leaves_all_three_and_a_sane_terminal(chat, tmp_path):
    terminal = begin_three(chat)
    [engine] = psutil.Process(terminal.process.pid).children()
    os.kill(engine.pid, signal.SIGKILL)
    terminal.wait_for("the engine crashed")
    terminal.wait_for_prompt()
    found = answers(tmp_path)[1:]
    assert [state for _, state in found] == ["error"] * 3
    assert all("lighthouse" in text for text, _ in found)
    terminal.type("/new\rName three colours.\r")
    terminal.wait_for("Red, green and blue.")


def test_killed_in_the_middle_the_next_start_has_three_interrupted_answers(chat, tmp_path):
    terminal = begin_three(chat)
    terminal.wait_until(lambda: all(text for text, _ in _growing(tmp_path)))
    parent = psutil.Process(terminal.process.pid)
    for process in [*parent.children(), parent]:
        os.kill(process.pid, signal.SIGKILL)
    terminal.close()
    found = answers(tmp_path)[1:]
    assert [state for _, state in found] == ["interrupted"] * 3
    assert all("lighthouse" in text for text, _ in found)
    again = Terminal(tmp_path / "home", "-c", "-t", "0", lines=60)
    again.wait_for("/continue goes on")
    again.close()


def _growing(tmp_path) -> list[tuple[str, str]]:
    found = answers(tmp_path)[1:]
    assert [state for _, state in found] == ["streaming"] * 3
    return found
