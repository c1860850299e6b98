"""The schema, as the steps that lead to it. Steps are only ever added: `user_version` counts those taken.

`salvage.py` tells the tables apart by their numbers of columns; a step that adds one goes there, too.
The index of words is no step: it can be made from the turns at any time (search.py).
"""

from __future__ import annotations

import sqlite3

APPLICATION_ID = 0x6C6C6D61  # "llma": in the header of every file of ours

STEPS = (
    """
    CREATE TABLE sessions (
        id TEXT PRIMARY KEY,
        title TEXT NOT NULL,
        created TEXT NOT NULL,
        updated TEXT NOT NULL,
        model TEXT,
        preset TEXT,
        system TEXT,
        one_shot INTEGER NOT NULL,
        leaf INTEGER,
        path TEXT
    );
    CREATE INDEX sessions_by_time ON sessions (one_shot, updated);

    CREATE TABLE turns (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        session TEXT NOT NULL REFERENCES sessions (id),
        parent INTEGER REFERENCES turns (id),
        role TEXT NOT NULL,
        state TEXT NOT NULL,
        generated INTEGER NOT NULL,
        created TEXT NOT NULL,
        updated TEXT NOT NULL,
        n_tokens INTEGER,
        pinned INTEGER NOT NULL DEFAULT 0,
        writer TEXT,
        indexed INTEGER NOT NULL DEFAULT 0,
        vocabulary TEXT,
        token_ids BLOB,
        made TEXT,
        content TEXT NOT NULL
    );
    CREATE INDEX turns_by_session ON turns (session);
    CREATE INDEX turns_by_parent ON turns (parent);
    CREATE INDEX turns_unsettled ON turns (state) WHERE indexed = 0;

    CREATE TABLE summaries (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        session TEXT NOT NULL REFERENCES sessions (id),
        first INTEGER NOT NULL REFERENCES turns (id),
        last INTEGER NOT NULL REFERENCES turns (id),
        created TEXT NOT NULL,
        made TEXT,
        content TEXT NOT NULL
    );
    CREATE INDEX summaries_by_session ON summaries (session);
    CREATE INDEX summaries_by_first ON summaries (first);
    CREATE INDEX summaries_by_last ON summaries (last);
    """,
)
LATEST = len(STEPS)


def version_of(connection: sqlite3.Connection) -> int:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version


def prepare(connection: sqlite3.Connection) -> None:
    """Before the first step: removal can give room back (`shrink` in db.py). Whoever makes a file calls this."""
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")


def migrate(connection: sqlite3.Connection) -> None:
    """Take the steps that are missing, all or none of them. The caller is alone with the file."""
    steps = STEPS[version_of(connection) :]
    try:
        connection.executescript(
            f"BEGIN IMMEDIATE; {''.join(steps)} PRAGMA application_id = {APPLICATION_ID};"
            f" PRAGMA user_version = {LATEST}; COMMIT;"
        )
    except BaseException:
        if connection.in_transaction:
            connection.rollback()
        raise
