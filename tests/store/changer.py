"""One large change, for tests that kill it: `python changer.py DATABASE remove|take_in` prints `begin` and `done`.

The sessions whose title begins with "question" are removed, or taken in once more.
"""

from __future__ import annotations

import sys
from pathlib import Path

from llamachat.store.sessions import Store


def report(what: str) -> None:
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


def main(path: str, what: str) -> None:
    with Store(Path(path)) as store:
        sessions = [session.id for session in store.sessions() if session.title.startswith("question")]
        transcripts = [store.load(session) for session in sessions]
        report("begin")
        if what == "remove":
            store.remove(sessions)
        else:
            store.take_in(transcripts)
        report("done")


if __name__ == "__main__":
    main(*sys.argv[1:])
