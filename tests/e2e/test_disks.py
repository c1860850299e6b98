"""The whole program on a disk that is full or read-only, and beside a program that holds its file."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
from pathlib import Path

import pytest

from llamachat.store.sessions import Store
from tests.disks import fill, filled, read_only
from tests.e2e.terminal import LLAMACHAT, Terminal


@pytest.fixture
def home(small_disk) -> Path:
    return small_disk / "home"


@pytest.fixture
def chat(home, parrot):
    """`chat()` opens a terminal with the home on the small disk."""
    terminals = []

    def open_chat(*arguments: str, columns: int = 160) -> Terminal:
        terminals.append(Terminal(home, "-m", str(parrot), "-t", "0", *arguments, columns=columns))
        terminals[-1].wait_for_prompt()
        return terminals[-1]

    yield open_chat
    for terminal in terminals:
        terminal.close()


@pytest.fixture
def once(home, parrot):
    """One question, in a process of its own."""

    def ask(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [*LLAMACHAT, "-m", str(parrot), "-t", "0", "My name is Ada.", *arguments]
        variables = {**os.environ, "LLAMACHAT_HOME": str(home)}
        return subprocess.run(
            command, env=variables, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60
        )

    return ask


def said(home: Path) -> list[list[str]]:
    """What was said in each session, the oldest first."""
    with Store(home / "data" / "sessions.db") as store:
        loaded = [store.load(session.id) for session in reversed(store.sessions())]
    return [[entry.turn.message.content for entry in transcript.branch] for transcript in loaded]


def is_refused(result: subprocess.CompletedProcess[str], words: str) -> bool:
    lines = result.stderr.splitlines()
    return (
        (result.returncode, result.stdout, len(lines)) == (9, "", 1) and words in lines[0] and "--no-save" in lines[0]
    )


@pytest.mark.parametrize("has_home", [False, True])
def test_a_one_shot_on_a_read_only_disk_is_one_line_and_answers_when_nothing_is_to_be_saved(
    small_disk, home, once, has_home
):
    if has_home:
        assert once().returncode == 0
    with read_only(small_disk):
        assert is_refused(once(), "ead-only")
        refused = once("--json")
        assert (refused.returncode, refused.stderr) == (9, "")
        assert json.loads(refused.stdout)["error"]["code"] == 9
        answered = once("--no-save")
        assert (answered.returncode, answered.stdout.strip(), answered.stderr) == (0, "Hello, Ada.", "")
    assert once().returncode == 0
    assert said(home) == [["My name is Ada.", "Hello, Ada. "]] * (1 + has_home)


@pytest.mark.parametrize("has_home", [False, True])
def test_a_one_shot_on_a_full_disk_is_one_line_and_answers_when_nothing_is_to_be_saved(
    small_disk, home, once, has_home
):
    if has_home:
        assert once().returncode == 0
    with filled(small_disk):
        assert is_refused(once(), "the disk is full")
        answered = once("--no-save")
        assert (answered.returncode, answered.stdout.strip(), answered.stderr) == (0, "Hello, Ada.", "")
    assert once().returncode == 0
    assert said(home) == [["My name is Ada.", "Hello, Ada. "]] * (1 + has_home)


def ask_until_nothing_is_saved(terminal: Terminal) -> list[str]:
    """Questions, each with an answer, until the log has no room left; those that were not said to be unsaved."""
    saved: list[str] = []
    for number in range(40):
        question = f"What is my name? ({number})"
        terminal.ask(question)
        if "not saved: " in terminal.text:
            return saved
        saved.append(question)
    raise AssertionError(f"there is always room:\n{terminal.text}")


def test_a_chat_goes_on_while_the_disk_is_full_and_is_saved_by_itself_when_there_is_room(small_disk, home, chat):
    terminal = chat()
    terminal.ask("My name is Ada.")
    filler = fill(small_disk)
    n_saved = len(ask_until_nothing_is_saved(terminal))
    terminal.ask("Name three colours.")
    assert terminal.text.count("This chat is not being saved") == 1
    terminal.wait_for("not saved: ")
    filler.unlink()
    terminal.wait_until(lambda: "not saved: " not in terminal.text)  # nobody types meanwhile
    kept = said(home)[0]
    assert kept[0] == "My name is Ada."
    assert kept[-2] == "Name three colours."
    assert len(kept) == 2 * (1 + n_saved + 1 + 1)
    assert all(kept)
    terminal.ask("Name three colours.")
    terminal.wait_for("This chat is saved again")
    assert len(said(home)[0]) == len(kept) + 2


def test_a_chat_begun_on_a_read_only_disk_is_saved_when_it_can_be_written(small_disk, home, chat):
    home.mkdir()
    with read_only(small_disk):
        terminal = chat()
        assert "Hello, Ada." in terminal.ask("My name is Ada.")
        terminal.wait_for("not saved: ")
        assert "Your name is Ada." in terminal.ask("What is my name?")
    terminal.wait_until(lambda: "not saved: " not in terminal.text)
    assert said(home) == [["My name is Ada.", "Hello, Ada. ", "What is my name?", "Your name is Ada. "]]
    terminal.type("\x04")
    terminal.wait_for("To go on with this chat: llamachat -c")
    assert terminal.exit_code() == 0


@pytest.mark.parametrize("quiet", [[], ["-q"]])
def test_a_chat_that_could_not_be_saved_says_so_when_it_ends(small_disk, home, chat, quiet):
    home.mkdir()
    with read_only(small_disk):
        terminal = chat(*quiet)
        terminal.ask("My name is Ada.")
        terminal.type("\x04")
        assert terminal.exit_code() == 0
        assert "this chat was not saved: " in terminal.text
        assert "To go on with this chat" not in terminal.text


def test_what_a_chat_showed_as_saved_is_there_when_it_is_killed_on_a_full_disk(small_disk, home, chat):
    terminal = chat()
    terminal.ask("My name is Ada.")
    with filled(small_disk):
        saved = ask_until_nothing_is_saved(terminal)
        terminal.process.kill(9)
        terminal.wait_until(lambda: not terminal.process.isalive())
        assert said(home)[0][: 2 * (1 + len(saved)) : 2] == ["My name is Ada.", *saved]
    kept = said(home)[0]
    assert kept[: 2 * (1 + len(saved)) : 2] == ["My name is Ada.", *saved]
    assert all(kept)


def test_a_new_chat_leaves_none_behind_that_waits_to_be_saved(small_disk, home, chat):
    terminal = chat()
    filler = fill(small_disk)
    terminal.ask("My name is Ada.")
    terminal.wait_for("not saved: ")
    terminal.type("/new\r")
    terminal.wait_until(lambda: "not saved: " not in terminal.text)
    filler.unlink()
    terminal.wait_until(lambda: (home / "data" / "sessions.db").exists() and bool(said(home)))
    assert said(home) == [["My name is Ada.", "Hello, Ada. "]]


def test_a_chat_does_not_wait_for_a_program_that_holds_the_file(small_disk, home, chat):
    terminal = chat()
    terminal.ask("My name is Ada.")
    holder = sqlite3.connect(home / "data" / "sessions.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    assert "Your name is Ada." in terminal.ask("What is my name?")
    terminal.wait_for("not saved: ")
    holder.execute("ROLLBACK")
    holder.close()
    terminal.wait_until(lambda: "not saved: " not in terminal.text)
    assert len(said(home)[0]) == 4


def test_what_is_said_after_the_session_was_removed_elsewhere_is_kept(small_disk, home, chat):
    terminal = chat()
    terminal.ask("My name is Ada.")
    with Store(home / "data" / "sessions.db") as store:
        store.remove([store.latest().id])
    assert "Your name is Ada." in terminal.ask("What is my name?")
    terminal.wait_for("This chat was removed meanwhile. What is said from here on is kept as ")
    assert said(home) == [["What is my name?", "Your name is Ada. "]]
