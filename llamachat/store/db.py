"""The database file: how it is opened and written. It knows nothing of what is in it.

Any number of processes may have it open. A file that was replaced meanwhile (by one of them, because it was
damaged) is opened anew before it is written.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from llamachat.errors import StorageError
from llamachat.paths import locked, make_private_folder, private_file
from llamachat.store import migrations
from llamachat.store.faults import Busy, Full, ReadOnly, sqlite_errors
from llamachat.store.header import check_header, check_is_file, too_new

PATIENCE = 5.0  # seconds to wait for another process's transaction, which takes milliseconds
_PATIENCE_WORN_OUT = 0.05  # the same after a wait that was in vain, until one is not
_PRIVATE = 0o600
# Alone with the file there is no need of the one that processes share; nothing is written before all is certain.
_ALONE = (
    *("busy_timeout = 200", "locking_mode = EXCLUSIVE", "journal_mode = MEMORY"),
    *("cache_spill = OFF", "temp_store = MEMORY"),
)

Identity = tuple[int, int]


class Database:
    """A connection, and where it leads. One transaction at a time, from any thread."""

    def __init__(self, path: Path | None, patience: float = PATIENCE) -> None:
        """Open the file, and make it if there is none; None is a database in memory.

        Raises Damaged, ReadOnly or another StorageError; a file with a newer schema is not touched.
        """
        self.path = path
        self.identity: Identity = (0, 0)
        self._patience = patience
        self._has_waited_in_vain = False
        self._is_open = False
        self._obstacle: StorageError | None = None  # why it can only be read
        self._lock = threading.RLock()
        self._open()

    def close(self) -> None:
        """Twice does no harm."""
        with self._lock, suppress(sqlite3.Error):
            if self._is_open:
                self._connection.close()
            self._is_open = False

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        with self._lock, sqlite_errors(self.path):
            self._follow()
            yield self._connection

    @contextmanager
    def writing(self, *, synced: bool = False, patience: float | None = None) -> Iterator[sqlite3.Connection]:
        """A transaction: all of it or, on an error, nothing. `synced`: it is on the disk when this returns.

        Who has waited for another process in vain does not wait again before that has let go.
        """
        with self._lock, sqlite_errors(self.path):
            self._follow()
            if self._obstacle:
                raise self._obstacle
            self._connection.execute(f"PRAGMA synchronous = {'FULL' if synced else 'NORMAL'}")
            self._begin(patience)
            with _transaction(self._connection) as connection:
                yield connection

    @contextmanager
    def writing_in_place(self) -> Iterator[sqlite3.Connection]:
        """A transaction that takes no room, on a disk that has none: what undoes it is in memory alone.

        A kill in the milliseconds in which it is written damages the file. Raises Busy while another process has it.
        """
        with self._lock, sqlite_errors(self.path):
            self.close()
            assert self.path
            connection = sqlite3.connect(self.path, isolation_level=None)
            try:
                for pragma in _ALONE:
                    connection.execute(f"PRAGMA {pragma}").fetchall()
                _configured(connection).execute("PRAGMA synchronous = FULL")
                connection.execute("BEGIN IMMEDIATE")
                with _transaction(connection):
                    yield connection
                _shrink(connection)
            finally:
                with suppress(sqlite3.Error):  # the next to open it does it then
                    connection.execute("PRAGMA journal_mode = WAL").fetchall()
                connection.close()

    def checkpoint(self) -> None:
        """Write the log into the file, as far as that goes now: a log that is damaged loses what is only in it."""
        with suppress(StorageError), self.reading() as connection:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    def shed(self) -> None:
        """Write the log into the file and empty it, so that what was removed is in neither; its room is free again.

        While another process reads or writes, some of it stays until the next time.
        """
        with suppress(Busy), self.reading() as connection:
            _shrink(connection)
        with self.reading() as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def _open(self) -> None:
        if self.path is None:
            self._connection = _configured(sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False))
            migrations.migrate(self._connection)
            self._is_open = True
            return
        try:
            self._open_for_writing(self.path)
            self._obstacle = None
        except ReadOnly:
            self._open_for_reading(self.path, _read_only(self.path))
        except Full as error:
            self._open_for_reading(self.path, error)

    def _open_for_writing(self, path: Path) -> None:
        check_is_file(path)
        if not path.exists():
            make_private_folder(path.parent)
            with suppress(StorageError):  # SQLite's words for it are better
                private_file(path)
        _make_private(path)  # before there is a log, which gets the same mode
        self.identity = identity(path)
        check_header(path)
        with sqlite_errors(path):
            connection = sqlite3.connect(path, self._patience, isolation_level=None, check_same_thread=False)
            try:
                self._connection = _configured(connection)
                self._bring_up_to_date(path)
                self._is_open = True
            except BaseException:
                connection.close()
                raise

    def _open_for_reading(self, path: Path, obstacle: StorageError) -> None:
        """A disk that cannot be written can still be read, unless a log is waiting to be written into the file.

        Raises the obstacle.
        """
        log = path.with_name(f"{path.name}-wal")
        if not path.exists() or (log.exists() and log.stat().st_size):
            raise obstacle
        place = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
        with sqlite_errors(path):
            connection = sqlite3.connect(place, uri=True, isolation_level=None, check_same_thread=False)
            try:
                self._connection = _configured(connection)
                if migrations.version_of(connection) != migrations.LATEST:
                    raise obstacle
                self._is_open, self._obstacle = True, obstacle
            except BaseException:
                connection.close()
                raise

    def _bring_up_to_date(self, path: Path) -> None:
        version = migrations.version_of(self._connection)
        if version > migrations.LATEST:
            raise too_new(path, version)
        if version < migrations.LATEST:
            with locked(path):
                if version == 0:
                    migrations.prepare(self._connection)
                    self._connection.execute("PRAGMA journal_mode = WAL").fetchall()
                migrations.migrate(self._connection)
        self._connection.execute("PRAGMA journal_mode = WAL").fetchall()

    def _begin(self, patience: float | None) -> None:
        """Raises Busy after so many seconds, or those of this database."""
        seconds = patience if patience is not None else self._patience
        if self._has_waited_in_vain:
            seconds = min(seconds, _PATIENCE_WORN_OUT)
        self._connection.execute(f"PRAGMA busy_timeout = {int(1000 * seconds)}")
        try:
            with sqlite_errors(self.path):
                self._connection.execute("BEGIN IMMEDIATE")
        except Busy:
            self._has_waited_in_vain = self._has_waited_in_vain or patience is None
            raise
        self._has_waited_in_vain = False

    def _follow(self) -> None:
        """Be where the path leads now, and able to write if that is possible by now.

        A file that could only be read is opened anew each time: nobody may have changed it in between.
        """
        if self.path is None:
            return
        if identity(self.path) != self.identity:
            with locked(self.path):  # whoever replaces it is done
                pass
        elif self._is_open and self._obstacle is None:
            return
        self.close()
        self._open()


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """What was begun is committed or, on an error, undone."""
    try:
        yield connection
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # some errors end it themselves
            connection.execute("ROLLBACK")
        raise


def _shrink(connection: sqlite3.Connection) -> None:
    """What is empty has been overwritten. (Python's `execute` would free one page only.)"""
    connection.executescript("PRAGMA incremental_vacuum")


def identity(path: Path) -> Identity:
    """Which file this is; a moved or replaced one is another."""
    try:
        status = path.stat()
    except OSError:
        return (0, 0)
    return status.st_dev, status.st_ino


def _configured(connection: sqlite3.Connection) -> sqlite3.Connection:
    connection.row_factory = sqlite3.Row
    connection.text_factory = lambda data: data.decode("utf-8", "replace")  # a flipped bit is no reason to stop
    for pragma in ("foreign_keys = ON", "secure_delete = ON", "synchronous = NORMAL"):
        connection.execute(f"PRAGMA {pragma}")
    return connection


def _read_only(path: Path) -> ReadOnly:
    return ReadOnly(
        f"{path} cannot be written: it, its folder or its disk is read-only.",
        "Check its permissions, or name another folder with LLAMACHAT_HOME.",
    )


def _make_private(path: Path) -> None:
    with suppress(OSError):  # it is not there, or somebody else's: theirs to decide
        if os.name == "posix" and path.stat().st_mode & 0o777 != _PRIVATE:
            path.chmod(_PRIVATE)
