"""What llamachat remembers of model files: where each came from, when it was checked and used, which is the usual one,
and the hashes of those that nobody vouches for.

The files themselves are what counts: an entry whose file has gone is an entry for a file that has gone. The record is a
JSON file; one that cannot be read is as none, since all of it but dates can be found again.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from llamachat.errors import ModelError
from llamachat.paths import locked, replace_file

_LOCK_SECONDS = 10.0  # another process holds it for a few milliseconds


class Record(msgspec.Struct, frozen=True):
    """One model by the path of its (first) file. `commit` and `sha256` are empty where they are not known."""

    name: str
    origin: str  # hub, joined, or where it was found: ollama, lm-studio, …
    n_bytes: int = 0
    repo: str = ""
    file: str = ""
    commit: str = ""
    sha256: str = ""
    quantisation: str = ""
    pulled: datetime | None = None
    used: datetime | None = None
    verified: datetime | None = None


class Stamp(msgspec.Struct, frozen=True):
    """What a file has that is another when its bytes are: as far as that can be told without reading them."""

    n_bytes: int
    changed_ns: int
    inode: int

    @classmethod
    def of(cls, path: Path) -> Stamp:
        """Raises OSError."""
        status = path.stat()
        return cls(status.st_size, status.st_mtime_ns, status.st_ino)


class Hash(msgspec.Struct, frozen=True):
    """The sha256 of a file that had this stamp."""

    stamp: Stamp
    sha256: str


class _Table(msgspec.Struct):
    """The whole file. `usual` is the path of the model chosen with `models use`."""

    usual: str = ""
    models: dict[str, Record] = {}
    hashes: dict[str, Hash] = {}


class Index:
    """The record in a file, which need not exist."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def records(self) -> dict[Path, Record]:
        return {Path(path): _in_utc(record) for path, record in self._read().models.items()}

    @property
    def usual(self) -> Path | None:
        """The model to use where none is named, if one was chosen."""
        usual = self._read().usual
        return Path(usual) if usual else None

    def choose(self, path: Path | None) -> None:
        """Make this model the usual one. Raises StorageError."""

        def change(table: _Table) -> None:
            table.usual = str(path or "")

        self._change(change)

    def put(self, path: Path, record: Record) -> None:
        """Record a model, or what is new of it. Raises StorageError."""

        def change(table: _Table) -> None:
            table.models[str(path)] = record

        self._change(change)

    def forget(self, path: Path) -> None:
        """Take a model out. Raises StorageError."""

        def change(table: _Table) -> None:
            table.models.pop(str(path), None)
            table.usual = "" if table.usual == str(path) else table.usual

        self._change(change)

    def hash_of(self, path: Path) -> str:
        """The sha256 of a file, if it was computed and the file has not changed since; else nothing."""
        known = self._read().hashes.get(str(path))
        try:
            return known.sha256 if known and known.stamp == Stamp.of(path) else ""
        except OSError:
            return ""

    def keep_hash(self, path: Path, known: Hash) -> None:
        """Remember the hash of a file, and forget those of files that have gone. Raises StorageError."""

        def change(table: _Table) -> None:
            table.hashes = {name: other for name, other in table.hashes.items() if Path(name).exists()}
            table.hashes[str(path)] = known

        self._change(change)

    def _read(self) -> _Table:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=_Table)
        except (OSError, msgspec.MsgspecError):
            return _Table()

    def _change(self, change: Callable[[_Table], None]) -> None:
        with locked(self._path):
            table = self._read()
            change(table)
            try:
                text = msgspec.json.format(msgspec.json.encode(table)).decode() + "\n"
            except UnicodeEncodeError as error:
                raise ModelError("a file whose name is not UTF-8 cannot be kept.", "Rename it.") from error
            replace_file(self._path, text)


def _in_utc(record: Record) -> Record:
    """The record with a zone in every date: one that a hand wrote without is taken for UTC."""
    dates = {name: getattr(record, name) for name in ("pulled", "used", "verified")}
    naive = {name: date.replace(tzinfo=UTC) for name, date in dates.items() if date and date.tzinfo is None}
    return msgspec.structs.replace(record, **naive) if naive else record
