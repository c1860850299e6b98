"""What a process that was killed left behind: answers that still say they are streaming, turns not in the index.

One index of the database holds just these turns, so to look costs nothing when there are none.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from llamachat.chat.conversation import State
from llamachat.chat.transcript import Entry, settled
from llamachat.store import rows, statements
from llamachat.store.alive import Alive
from llamachat.store.db import Database
from llamachat.store.faults import damaged
from llamachat.store.index import Index

_STREAMING = "SELECT id, writer FROM turns WHERE indexed = 0 AND state = 'streaming'"
_UNINDEXED = "SELECT id FROM turns WHERE indexed = 0 AND state <> 'streaming'"


def settle(db: Database, alive: Alive, index: Index) -> None:
    """Mark the answers of killed processes as interrupted, remove those that said nothing, make up for the index."""
    with db.reading() as connection:
        dead = [row for row in connection.execute(_STREAMING).fetchall() if not alive.is_held(row["writer"])]
        is_complete = not index.is_usable or (
            index.is_there(connection) and not connection.execute(_UNINDEXED).fetchone()
        )
    if dead or not is_complete:
        with db.writing() as connection:
            index.make(connection)
            for row in dead:
                _end(connection, row, index)
            for (turn,) in connection.execute(_UNINDEXED).fetchall() if index.is_usable else ():
                index.put_in(connection, turn)


def dead_writers(found: Sequence[sqlite3.Row], alive: Alive) -> frozenset[str]:
    """Those of the turns that are streaming. An answer may have ended since it was read: look at it again."""
    writers = {row["writer"] for row in found if row["state"] == State.STREAMING}
    return frozenset(writer for writer in writers if not alive.is_held(writer))


def as_left_behind(found: Sequence[sqlite3.Row], path: Path | None, dead: frozenset[str]) -> tuple[Entry, ...]:
    """The turns of a session as they would be if all were settled. Raises Damaged where they are no tree."""
    followed = {row["parent"] for row in found}
    entries: dict[int, Entry] = {}
    for row in found:
        if row["parent"] is not None and row["parent"] not in entries:
            raise damaged(path)
        is_dead = row["state"] == State.STREAMING and row["writer"] in dead
        if is_dead and not row["content"] and row["id"] not in followed:
            continue
        entry = rows.entry_of(row, path)
        if is_dead:
            entry = replace(entry, turn=replace(entry.turn, state=settled(entry.turn.state)))
        entries[entry.turn.number] = entry
    return tuple(entries.values())


def nearest(leaf: int | None, found: Sequence[sqlite3.Row], there: set[int]) -> int | None:
    """The leaf, or the turn above it that is there."""
    parents = {row["id"]: row["parent"] for row in found}
    while leaf is not None and leaf not in there:
        leaf = parents.get(leaf)
    return leaf


def _end(connection: sqlite3.Connection, row: sqlite3.Row, index: Index) -> None:
    """Unless it was ended since we looked."""
    now = "SELECT content FROM turns WHERE id = ? AND state = 'streaming' AND writer IS ?"
    found = connection.execute(now, (row["id"], row["writer"])).fetchone()
    if found and (found["content"] or not statements.remove_leaf(connection, row["id"], index)):
        statements.change_turn(connection, row["id"], state=str(State.INTERRUPTED), writer=None)
