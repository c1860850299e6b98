"""The index of words: what is put in and taken out, so that it holds exactly the turns that are settled.

It keeps no text (FTS5 without content: half the size), so what is taken out must be said word for word as it was put
in. `turns.indexed` says which turns are in; whoever changes one that is takes it out first.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from llamachat.store.words import index_text

# One Hangul syllable begins hundreds of pairs: the shortest beginnings are indexed, too.
_MAKE = "CREATE VIRTUAL TABLE IF NOT EXISTS words USING fts5 (text, content = '', tokenize = 'ascii', prefix = '1')"


@dataclass(frozen=True, slots=True)
class Index:
    """`is_usable`: this SQLite was built with FTS5. If not, all is kept but the index, which is made up for later."""

    is_usable: bool

    @classmethod
    def here(cls) -> Index:
        with sqlite3.connect(":memory:") as connection:
            found = connection.execute("SELECT sqlite_compileoption_used('ENABLE_FTS5')").fetchone()
        connection.close()
        return cls(bool(found[0]))

    def is_there(self, connection: sqlite3.Connection) -> bool:
        """Whether it can be searched and written."""
        sql = "SELECT 1 FROM sqlite_schema WHERE name = 'words'"
        return self.is_usable and connection.execute(sql).fetchone() is not None

    def make(self, connection: sqlite3.Connection) -> None:
        if self.is_usable:
            connection.execute(_MAKE)

    def put_in(self, connection: sqlite3.Connection, turn: int) -> None:
        """The turn is settled, and not in yet."""
        if self.is_usable:
            self.make(connection)  # the file may be another than the one that was opened
            content = connection.execute("SELECT content FROM turns WHERE id = ?", (turn,)).fetchone()[0]
            connection.execute("INSERT INTO words (rowid, text) VALUES (?, ?)", (turn, index_text(content)))
            connection.execute("UPDATE turns SET indexed = 1 WHERE id = ?", (turn,))

    def take_out(self, connection: sqlite3.Connection, turn: int) -> None:
        """Before the turn is changed or removed; no harm if it is not in."""
        row = connection.execute("SELECT content FROM turns WHERE id = ? AND indexed = 1", (turn,)).fetchone()
        if self.is_usable and row is not None:
            gone = (turn, index_text(row[0]))
            connection.execute("INSERT INTO words (words, rowid, text) VALUES ('delete', ?, ?)", gone)
            connection.execute("UPDATE turns SET indexed = 0 WHERE id = ?", (turn,))

    def purge(self, connection: sqlite3.Connection) -> None:
        """Rewrite it, so that words that were taken out are not on the disk either."""
        if self.is_usable:
            connection.execute("INSERT INTO words (words) VALUES ('optimize')")
