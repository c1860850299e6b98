"""Several processes, and processes that are killed."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from llamachat.chat.conversation import State
from llamachat.store.sessions import Store
from tests.store.conftest import answer, said, states, talk, user

HERE = Path(__file__).parent


def start(path: Path, *arguments: str, program: str = "writer.py") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(HERE / program), str(path), *arguments],
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )


def killed(process: subprocess.Popen[str], seconds: float) -> list[tuple[str, str]]:
    """What it had said when it was killed, this long after its first word."""
    first = process.stdout.readline()
    time.sleep(seconds)
    process.kill()
    rest, _ = process.communicate()
    lines = [first, *rest.splitlines(keepends=True)]
    return [tuple(line[:-1].split(" ", 1)) for line in lines if line.endswith("\n")]


def integrity(path: Path) -> str:
    connection = sqlite3.connect(path)
    try:
        return connection.execute("PRAGMA integrity_check").fetchone()[0]
    finally:
        connection.close()


@pytest.mark.parametrize("seed", range(20))
def test_nothing_that_was_said_is_lost_by_kill(path, seed):
    told = killed(start(path), random.Random(seed).uniform(0, 0.12))
    session = told[0][1]
    assert integrity(path) == "ok"
    with Store(path) as store:
        entries = store.load(session).entries
        questions = [entry.turn.message.content for entry in entries if entry.turn.message.role == "user"]
        told_questions = [text for what, text in told if what == "said"]
        assert questions[: len(told_questions)] == told_questions
        assert len(questions) <= len(told_questions) + 1
        answers = [entry for entry in entries if entry.turn.message.role == "assistant"]
        ended = [text for what, text in told if what == "ended"]
        assert [each.turn.message.content for each in answers][: len(ended)] == ended
        assert all(each.turn.state is State.COMPLETE for each in answers[: len(ended)])
        for each in answers[len(ended) :]:  # the one that was under way
            grown = [text for what, text in told if what == "grew"][-1]
            assert each.turn.message.content
            assert grown.startswith(each.turn.message.content) or each.turn.message.content.startswith(grown)
            assert each.turn.state in (State.INTERRUPTED, State.COMPLETE)
        assert len(store.search("question", 10_000)) == len(questions)
        store.add(session, store.load(session).session.leaf, user("and on?"))
        assert said(store, session)[-1] == "and on?"
    assert sorted(file.name for file in path.parent.iterdir()) == [".sessions.db.lock", "sessions.db"]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("what", "after"), [("remove", 1), ("take_in", 2 * 100 + 1)])
def test_an_import_or_a_removal_that_is_killed_is_whole_or_has_not_happened(path, what, after, seed):
    with Store(path) as store:
        stays = talk(store, "the zebra stays", "it does")
        for number in range(100):
            talk(store, f"question {number} " * 40, f"answer {number} " * 80)
    process = start(path, what, program="changer.py")
    assert process.stdout.readline() == "begin\n"
    time.sleep(random.Random(seed).uniform(0, 0.15))
    process.kill()
    is_done = "done" in process.communicate()[0]
    assert integrity(path) == "ok"
    with Store(path) as store:
        n_sessions = len(store.sessions())
        assert n_sessions == after if is_done else n_sessions in (101, after)
        assert len(store.search("question", 1000)) == n_sessions - 1
        assert said(store, stays) == ["the zebra stays", "it does"]
        assert len(store.search("zebra")) == 1


def test_an_answer_under_way_is_left_alone_while_its_process_lives(path):
    process = start(path)
    try:
        session = process.stdout.readline().split()[1]
        seen = set()
        deadline = time.monotonic() + 30
        while State.STREAMING not in seen and time.monotonic() < deadline:
            with Store(path) as store:
                seen |= set(states(store, session))
        assert State.STREAMING in seen
        assert State.INTERRUPTED not in seen
    finally:
        killed(process, 0)
    with Store(path) as store:
        assert State.STREAMING not in states(store, session)


def test_two_processes_in_one_session_lose_nothing(path):
    with Store(path) as store:
        session = talk(store, "one?", "1")
        leaf = str(store.load(session).session.leaf)
    processes = [start(path, session, leaf) for _ in range(2)]
    told = [killed(process, 0.5) for process in processes]
    assert integrity(path) == "ok"
    with Store(path) as store:
        entries = store.load(session).entries
        texts = [entry.turn.message.content for entry in entries]
        for each in told:
            assert sum(what == "said" for what, _ in each) > 1
        for text in {text for each in told for what, text in each if what in ("said", "ended")}:
            n_told = sum((what, text) in each for what in ("said", "ended") for each in told)
            assert texts.count(text) >= n_told
        followed = {entry.turn.parent for entry in entries}
        assert sum(entry.turn.number not in followed for entry in entries) == 2  # each went on from its own
        assert store.load(session).branch


def test_turns_that_two_add_are_siblings_and_the_last_writer_decides_where_it_stands(store, opened):
    session = talk(store, "one?", "1")
    leaf = store.load(session).session.leaf
    other = opened()
    mine = store.add(session, leaf, user("mine?"))
    theirs = other.add(session, leaf, user("theirs?"))
    assert said(store, session)[-1] == "theirs?"
    store.add(session, mine, answer("mine"))
    assert said(other, session) == ["one?", "1", "mine?", "mine"]
    assert mine != theirs


def test_an_answer_that_said_nothing_is_gone_with_its_process(path, store):
    session = talk(store, "one?")
    store.add(session, store.load(session).session.leaf, answer(""), State.STREAMING)
    other = Store(path)
    assert states(other, session) == [State.COMPLETE, State.STREAMING]
    store.close()
    assert said(other, session) == ["one?"]  # before anybody has put it in order
    other.close()
    with Store(path) as again:
        assert said(again, session) == ["one?"]
        assert len(again.load(session).entries) == 1


def test_an_interrupted_answer_is_taken_up_and_found_by_all_it_says(path):
    with Store(path) as store:
        session = talk(store, "one?")
        reply = store.add(session, store.load(session).session.leaf, answer(""), State.STREAMING)
        store.grow(reply, "a beginning")
    with Store(path) as store:
        assert states(store, session) == [State.COMPLETE, State.INTERRUPTED]
        assert len(store.search("beginning")) == 1
        store.reopen(reply)
        assert store.search("beginning") == []
        store.grow(reply, "a beginning and an end")
        store.finish(reply, answer("a beginning and an end"), State.COMPLETE)
        assert len(store.search('"beginning and an end"')) == 1
        assert states(store, session) == [State.COMPLETE, State.COMPLETE]


def test_an_empty_answer_that_others_go_on_from_stays(path, store, opened):
    session = talk(store, "one?")
    reply = store.add(session, store.load(session).session.leaf, answer(""), State.STREAMING)
    other = opened()
    other.add(session, reply, user("two?"))
    store.close()
    assert states(other, session) == [State.COMPLETE, State.INTERRUPTED, State.COMPLETE]
    assert states(opened(), session) == [State.COMPLETE, State.INTERRUPTED, State.COMPLETE]
    assert not list(path.parent.glob("*answering*"))
