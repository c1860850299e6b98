"""Nothing said is lost: kill -9 at any moment, a disk that cannot be written, and what the next start shows."""

from __future__ import annotations

import os
import random
import re
import signal
import sqlite3
import sys
import time
from contextlib import suppress

import psutil
import pytest

from llamachat.store.sessions import Store
from llamachat.types import Role
from tests.e2e.terminal import Terminal

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="the test opens a POSIX pseudo-terminal, which Windows lacks"
)

_HELD = 40  # characters of an answer that may not be on the screen yet: a word, a span of emphasis
N_KILLS = int(os.environ.get("N_KILLS", "20"))
LONG = "Write a very long story about a lighthouse."
QUESTIONS = ("My name is Ada.", "Name three colours.", LONG, "What is 2+2?")


def words(text: str) -> str:
    """What was shown, whatever the line ends and Markdown."""
    return re.sub(r"[^\w]+", "", text)


def kill(terminal: Terminal, which: str) -> None:
    parent = psutil.Process(terminal.process.pid)
    victims = parent.children() if which in ("child", "both") else []
    victims = [*victims, parent] if which in ("parent", "both") else victims
    for process in victims:
        with suppress(ProcessLookupError):  # it ended with the other
            os.kill(process.pid, signal.SIGKILL)


@pytest.mark.timeout(60 + 10 * N_KILLS)
def test_killed_at_any_moment_every_message_is_there_and_every_answer_is_what_was_shown(tmp_path, parrot):
    home, seed = tmp_path / "home", random.randrange(10**6)
    print("seed", seed)  # noqa: T201  pytest shows it with a failure
    dice = random.Random(seed)
    sent: list[str] = []
    arguments: tuple[str, ...] = ()
    for count in range(N_KILLS):
        terminal = Terminal(home, "-m", str(parrot), "-t", "0", *arguments, lines=60)
        terminal.wait_until(lambda terminal=terminal: terminal.line.startswith("›"))
        terminal.type("\x15")  # a question without an answer is in the prompt
        terminal.wait_for_prompt()
        question = f"{dice.choice(QUESTIONS)} ({count})" if dice.random() < 0.5 else dice.choice(QUESTIONS)
        terminal.raw = b""
        terminal.type(f"{question}\r")
        terminal.wait_until(lambda terminal=terminal: b"\r\n" in terminal.raw or terminal.line == "›")
        time.sleep(dice.uniform(0, 0.4))
        kill(terminal, which := dice.choice(["parent", "child", "both"]))
        if which == "child":
            terminal.wait_until(lambda terminal=terminal: terminal.line.startswith("›"), seconds=30)
            kill(terminal, "both")
        while terminal.process.isalive():
            terminal.read(0.01)
        terminal.read()
        shown = words(terminal.raw.decode("utf-8", "replace"))
        terminal.close()
        with Store(home / "data" / "sessions.db") as store:
            if not store.sessions():
                continue  # it was killed before Enter reached it
            arguments = ("-c",)
            transcript = store.load(store.sessions()[0].id)
            texts = [entry.turn.message.content for entry in transcript.entries]
            found = [text for text in texts if text == question]
            if found:  # Enter reached it before the kill
                sent.append(question)
            answers = [entry.turn.message for entry in transcript.entries if entry.turn.parent is not None]
            last = [message for message in answers if message.role is Role.ASSISTANT][-1:]
            if last and found and transcript.entries[-1].turn.message is last[0]:
                assert words(last[0].content)[:-_HELD] in shown
            assert all(question in texts for question in sent)
    with sqlite3.connect(home / "data" / "sessions.db") as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert len(sent) >= N_KILLS // 2


def test_a_chat_that_was_killed_shows_its_partial_answer_and_goes_on(tmp_path, parrot):
    home = tmp_path / "home"
    terminal = Terminal(home, "-m", str(parrot), "-t", "0")
    terminal.wait_for_prompt()
    terminal.type(f"{LONG}\r")
    terminal.wait_for("lighthouse", 4)
    time.sleep(0.5)  # what is on the disk may be a quarter of a second behind
    kill(terminal, "both")
    terminal.close()
    again = Terminal(home, "-c", "-t", "0", "-n", "5", lines=200)
    again.wait_for("/continue goes on")
    again.wait_for_prompt()
    assert LONG in again.text
    assert "lighthouse" in again.text.split(LONG)[2]
    again.type("/continue\r")
    again.wait_for("[cut: the limit of tokens")
    again.close()


def test_the_latest_chat_is_taken_up_with_its_model_and_preset(tmp_path, parrot):
    home = tmp_path / "home"
    first = Terminal(home, "-m", str(parrot), "-t", "0", "-p", "none")
    first.wait_for_prompt()
    first.ask("My name is Ada.")
    first.type("/exit\r")
    first.wait_for("To go on with this chat: llamachat -c")
    first.exit_code()
    second = Terminal(home, "-c", "-t", "0")
    second.wait_for("My name is Ada. (2 messages)")
    second.wait_for_prompt()
    assert "Your name is Ada." in second.ask("What is my name?")
    second.wait_for("parrot Q8_0 · none")
    second.close()


def test_a_private_chat_leaves_no_trace_on_the_disk(tmp_path, parrot):
    home = tmp_path / "home"
    terminal = Terminal(home, "-m", str(parrot), "-t", "0", "--no-save")
    terminal.wait_for_prompt()
    terminal.ask("My name is Zebedee.")
    terminal.type("/exit\r")
    terminal.exit_code()
    traces = [path for path in home.rglob("*") if path.is_file() and b"Zebedee" in path.read_bytes()]
    assert traces == []
