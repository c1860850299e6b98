"""A conversation without end, for tests that kill it: says each thing that it has done, and after it was done.

`python writer.py DATABASE [SESSION [LEAF]]`: prints `session ID`, `said TEXT`, `grew TEXT`, `ended TEXT`.
"""

from __future__ import annotations

import sys
from itertools import count
from pathlib import Path

from llamachat.chat.conversation import State
from llamachat.store.sessions import Store
from llamachat.types import Message, Role


def report(what: str, text: str) -> None:
    sys.stdout.write(f"{what} {text}\n")
    sys.stdout.flush()


def main(path: str, session: str = "", leaf: str = "") -> None:
    name = Path(path).name
    store = Store(Path(path))
    session = session or store.create(name).id
    parent = int(leaf) if leaf else store.load(session).session.leaf
    report("session", session)
    for number in count():
        question = f"question {number} of {session}"
        parent = store.add(session, parent, Message(Role.USER, question))
        report("said", question)
        text = ""
        parent = store.add(session, parent, Message(Role.ASSISTANT, text, generated=True), State.STREAMING)
        for word in range(20):
            text += f"word{word} of answer {number} "
            report("grew", text)  # before: what is on the disk is at most this
            store.grow(parent, text)
        store.finish(parent, Message(Role.ASSISTANT, text, generated=True), State.COMPLETE)
        report("ended", text)


if __name__ == "__main__":
    main(*sys.argv[1:])
