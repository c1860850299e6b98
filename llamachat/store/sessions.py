"""The store: sessions, each a tree of turns. What a method was given has been written when it returns.

Nothing is overwritten but an answer that is streaming: asking again and editing make siblings, `/undo` moves the
leaf. Several processes may write into one session: turns name their parents, so theirs become siblings.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Concatenate, ParamSpec, Self, TypeVar

from llamachat.chat.conversation import Made, State, Turn
from llamachat.chat.transcript import Entry, Session, Transcript, to_text
from llamachat.errors import StorageError, UsageError
from llamachat.store import left_behind, queries, removal, rows, search, statements
from llamachat.store.alive import Alive
from llamachat.store.db import PATIENCE, Database, Identity, identity
from llamachat.store.faults import Busy, Damaged
from llamachat.store.index import Index
from llamachat.store.words import phrases
from llamachat.types import Message, Role

_PATIENCE_OF_GROWTH = 0.05  # seconds; the next piece of the answer carries this one

P = ParamSpec("P")
T = TypeVar("T")


def _now() -> datetime:
    return datetime.now(UTC)


def _to_nobody(_line: str) -> None:
    """Nobody wants to know."""


def _mending(method: Callable[Concatenate[Store, P], T]) -> Callable[Concatenate[Store, P], T]:
    """If the file turns out to be damaged: save what is readable into a new one, and do it there."""

    @functools.wraps(method)
    def call(store: Store, /, *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return method(store, *args, **kwargs)
        except Damaged as error:
            store._mend(error)
            return method(store, *args, **kwargs)

    return call


class Store:
    """One open database. Methods raise StorageError, and leave everything as it was when they do."""

    def __init__(
        self,
        path: Path | None,
        *,
        say: Callable[[str], None] = _to_nobody,
        clock: Callable[[], datetime] = _now,
        patience: float = PATIENCE,
        index: Index | None = None,
    ) -> None:
        """Open the file, and make it if there is none; None is in memory. `say` is told of a damaged one, in a line.

        `patience` is how many seconds to wait for another process.
        """
        self._path = path
        self._say = say
        self._clock = clock
        self._patience = patience
        self._index = index or Index.here()
        self._alive = Alive(path and path.with_name(f"{path.name}-answering"))
        self._streaming: set[int] = set()
        self._db = self._opened()

    def close(self) -> None:
        """An answer that is still streaming is one that was interrupted."""
        self._db.close()
        self._alive.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @_mending
    def create(
        self,
        title: str,
        *,
        model: str | None = None,
        preset: str | None = None,
        system: str | None = None,
        one_shot: bool = False,
        path: str | None = None,
    ) -> Session:
        """A session without turns; it is not listed before it has one."""
        now = self._clock()
        session = Session("", title, now, now, model, preset, system, one_shot, path=path)
        with self._db.writing() as connection:
            return replace(session, id=statements.insert_session(connection, session))

    @_mending
    def add(self, session: str, parent: int | None, message: Message, state: State = State.COMPLETE) -> int:
        """Add a turn and let the session stand at it; its number. A user's message is on the disk when this returns.

        A streaming answer is this process's until `finish` or `take_back`.
        """
        writer = self._writer() if state is State.STREAMING else None
        now = self._clock()
        entry = Entry(Turn(0, parent, message, state), now, now)
        with self._db.writing(synced=message.role is Role.USER) as connection:
            if parent is not None:
                statements.check_turn(connection, session, parent)
            statements.change_session(connection, session, updated=to_text(now))  # it is there
            turn = statements.insert_turn(connection, session, entry, writer)
            statements.change_session(connection, session, leaf=turn)
            if writer is None:
                self._index.put_in(connection, turn)
        if writer is not None:
            self._streaming.add(turn)
        return turn

    @_mending
    def reopen(self, turn: int) -> None:
        """Go on with an answer that had ended: it streams again."""
        writer = self._writer()
        with self._db.writing() as connection:
            self._index.take_out(connection, turn)
            statements.change_turn(connection, turn, state=str(State.STREAMING), writer=writer)
        self._streaming.add(turn)

    @_mending
    def grow(self, turn: int, content: str) -> None:
        """The text so far of an answer that is streaming. Left out if the file is busy: the next one carries it."""
        try:
            with self._db.writing(patience=_PATIENCE_OF_GROWTH) as connection:
                statements.change_turn(connection, turn, content=rows.writable(content))
        except Busy:
            return

    @_mending
    def finish(
        self, turn: int, message: Message, state: State, made: Made | None = None, n_tokens: int | None = None
    ) -> None:
        """The whole answer, how it ended and what made it: on the disk when this returns."""
        now = self._clock()
        ended = {"state": str(state), "writer": None, "updated": to_text(now)}
        made_by = {"made": rows.text_of(made), "n_tokens": n_tokens}
        with self._db.writing(synced=True) as connection:
            self._index.take_out(connection, turn)
            statements.change_turn(connection, turn, **rows.values_of(message), **ended, **made_by)
            session = statements.session_of_turn(connection, turn)
            statements.change_session(connection, session, updated=to_text(now))
            self._index.put_in(connection, turn)
        self._db.checkpoint()
        self._is_done_with(turn)

    @_mending
    def take_back(self, turn: int) -> None:
        """Remove a turn that came to nothing, unless something follows it; the session stands where it did before."""
        with self._db.writing() as connection:
            statements.remove_leaf(connection, turn, self._index)
        self._is_done_with(turn)

    @_mending
    def move(self, session: str, leaf: int | None) -> None:
        """Let the session stand at this turn; None is before the first."""
        with self._db.writing() as connection:
            if leaf is not None:
                statements.check_turn(connection, session, leaf)
            statements.change_session(connection, session, leaf=leaf, updated=to_text(self._clock()))

    @_mending
    def rename(self, session: str, title: str) -> None:
        with self._db.writing() as connection:
            statements.change_session(connection, session, title=rows.writable(title))

    @_mending
    def reframe(
        self, session: str, *, model: str | None, preset: str | None, system: str | None, path: str | None = None
    ) -> None:
        """From here on the session is with these; and it is a chat, whatever it began as."""
        values = {"model": model, "preset": preset, "system": system, "path": path}
        values = {key: rows.writable_or_none(value) for key, value in values.items()}
        with self._db.writing() as connection:
            statements.change_session(connection, session, one_shot=0, **values)

    @_mending
    def describe(self, turn: int, made: Made | None) -> None:
        """What made an answer, as far as it is known now."""
        with self._db.writing() as connection:
            statements.change_turn(connection, turn, made=rows.text_of(made))

    @_mending
    def set_pinned(self, turn: int, *, pinned: bool) -> None:
        with self._db.writing() as connection:
            statements.change_turn(connection, turn, pinned=int(pinned))

    @_mending
    def summarise(self, first: int, last: int, content: str, made: Made | None = None) -> int:
        """Keep a text that stands for these turns; its number. An edited one is another, and the newest holds."""
        with self._db.writing() as connection:
            return statements.insert_summary(connection, first, last, content, made, self._clock())

    @_mending
    def take_in(self, transcripts: Sequence[Transcript]) -> list[Session]:
        """Keep conversations from elsewhere as sessions of their own, all or none; their turns get numbers of ours."""
        names = []
        with self._db.writing(synced=True) as connection:
            for transcript in transcripts:
                name, numbers = statements.insert_transcript(connection, transcript)
                names.append(name)
                for number in numbers:
                    self._index.put_in(connection, number)
        return [queries.beginning_with(self._db, name) for name in names]

    @_mending
    def remove(self, sessions: Collection[str]) -> None:
        """Remove sessions with all that is only theirs, from the disk as well."""
        removal.remove(self._db, sessions, self._index, self._say)

    @_mending
    def said_only_in(self, sessions: Collection[str]) -> set[str]:
        """The user's messages of these sessions that stand in no other."""
        return removal.said_only_in(self._db, sessions)

    def damaged_copies(self) -> list[Path]:
        """The files that were damaged once, and are kept."""
        return sorted(self._path.parent.glob(f"{self._path.name}.damaged-*")) if self._path else []

    @_mending
    def withdraw(self, session: str) -> None:
        """Remove a session that came to nothing: as quickly as it was made, but for its words in the index."""
        with self._db.writing() as connection:
            statements.remove_session(connection, session, self._index)

    @_mending
    def has(self, session: str) -> bool:
        """Whether it was not removed meanwhile."""
        return queries.is_there(self._db, session)

    @_mending
    def sessions(self, most: int = -1) -> list[Session]:
        """Those that have turns, the newest first."""
        return queries.newest(self._db, most)

    @_mending
    def latest(self) -> Session | None:
        """The chat that somebody wrote in last; one-shots don't count."""
        return queries.latest_chat(self._db)

    @_mending
    def older_than(self, age: timedelta) -> list[Session]:
        """Those in which nothing happened for that long, the oldest first. Raises UsageError for more than there is."""
        try:
            moment = self._clock() - age
        except OverflowError as error:
            raise UsageError("nothing is that old: the calendar begins with the year 1.") from error
        return queries.untouched_since(self._db, to_text(moment))

    @_mending
    def find(self, typed: str) -> Session:
        """The session whose id begins so. Raises UsageError for none and for several."""
        return queries.beginning_with(self._db, typed)

    @_mending
    def load(self, session: str) -> Transcript:
        """All of a session; an answer whose process was killed is an interrupted one. Raises UsageError for none."""
        return queries.transcript(self._db, session, self._alive)

    @_mending
    def search(self, text: str, most: int = 20) -> list[search.Hit]:
        """Messages with all these words, "phrases" and beginnings*, the best first. Raises UsageError for no word."""
        wanted = phrases(text)
        if not wanted:
            raise UsageError(f"there is no word in {text!r} to search for.", "Example: llamachat sessions search llama")
        if not self._index.is_usable:
            raise UsageError("this Python's SQLite was built without FTS5: it cannot search.", "Use another Python.")
        with self._db.reading() as connection:
            is_there = self._index.is_there(connection)
        return search.find(self._db, wanted, most) if is_there else []

    def _opened(self) -> Database:
        """The database, mended if need be, with what killed processes left behind put in order."""
        known = identity(self._path) if self._path else None
        try:
            return self._settled()
        except Damaged as error:
            self._save(error, known)
            return self._settled()

    def _settled(self) -> Database:
        db = Database(self._path, self._patience)
        try:
            left_behind.settle(db, self._alive, self._index)
            self._alive.sweep()
        except Damaged:
            db.close()
            raise
        except StorageError:
            pass  # it cannot be written now, but read
        return db

    def _mend(self, error: Damaged) -> None:
        self._db.close()
        self._save(error, self._db.identity)
        self._db = self._settled()

    def _save(self, error: Damaged, known: Identity | None) -> None:
        if self._path is None or known is None:
            raise error
        from llamachat.store.salvage import salvage  # noqa: PLC0415  3 ms that a sound file does not need

        if line := salvage(self._path, known, self._index):
            self._say(line)

    def _writer(self) -> str:
        """The name under which this process is known to live."""
        try:
            return self._alive.hold()
        except OSError as error:
            raise StorageError(f"{self._path} cannot be written: {error.strerror}.", "Make room.") from error

    def _is_done_with(self, turn: int) -> None:
        self._streaming.discard(turn)
        if not self._streaming:
            self._alive.release()
