"""Rows straight from the pages of a SQLite file, for one that SQLite refuses to read.

Each page that holds rows of a table is looked at by itself, whatever happened to those that lead to it, and
with the write-ahead log's newer versions over those of the file. Formats: sqlite.org/fileformat2.html. Pages that
were freed hold nothing, since ours are overwritten then (`secure_delete`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

Value = int | str | bytes | None

_MAGIC = b"SQLite format 3\0"
_USUAL_PAGE_SIZE = 4096
_FILE_HEADER = 100  # bytes, at the beginning of the first page
_TABLE_LEAF = 0x0D
_LOG_HEADER, _FRAME_HEADER = 32, 24
_INTEGER_BYTES = (0, 1, 2, 3, 4, 6, 8)  # by serial type
_FIRST_BLOB = 12  # serial types from here on: even ones are blobs, odd ones texts


@dataclass(frozen=True, slots=True)
class Row:
    """A record of some table. A column that is the row's number itself is None."""

    number: int
    values: tuple[Value, ...]


def rows(path: Path) -> Iterator[Row]:
    """Every row that can be read, in the order of pages; what was damaged may be wrong. Raises OSError only."""
    log = path.with_name(f"{path.name}-wal")
    with path.open("rb") as file:
        if log.exists():
            with log.open("rb") as log_file:
                yield from _Pages(file, log_file).rows()
        else:
            yield from _Pages(file, None).rows()


class _Pages:
    """Pages by number, from 1."""

    def __init__(self, file: BinaryIO, log: BinaryIO | None) -> None:
        self._file, self._log = file, log
        header = file.read(_FILE_HEADER)
        is_intact = header.startswith(_MAGIC)
        self._size = _page_size(int.from_bytes(header[16:18], "big")) if is_intact else _USUAL_PAGE_SIZE
        self._usable = self._size - (header[20] if len(header) > 20 and is_intact else 0)
        n_in_file = -(-file.seek(0, 2) // self._size)
        self._newer = _newest_frames(log, self._size, n_in_file) if log else {}
        self._n_pages = max(n_in_file, *self._newer, 0) if self._newer else n_in_file

    def rows(self) -> Iterator[Row]:
        for number in range(1, self._n_pages + 1):
            page = self._page(number)
            start = _FILE_HEADER if number == 1 else 0
            if page[start] == _TABLE_LEAF:
                yield from self._rows_on(page, start)

    def _page(self, number: int) -> bytes:
        """Filled up with zeros where the file ends."""
        if self._log is not None and number in self._newer:
            self._log.seek(self._newer[number])
            data = self._log.read(self._size)
        else:
            self._file.seek((number - 1) * self._size)
            data = self._file.read(self._size)
        return data.ljust(self._size, b"\0")

    def _rows_on(self, page: bytes, start: int) -> Iterator[Row]:
        n_cells = int.from_bytes(page[start + 3 : start + 5], "big")
        for place in range(start + 8, min(start + 8 + 2 * n_cells, self._size - 1), 2):
            try:
                yield self._row(page, int.from_bytes(page[place : place + 2], "big"))
            except (ValueError, IndexError):  # this cell is not what it should be; the next may be
                continue

    def _row(self, page: bytes, at: int) -> Row:
        n_payload, at = _varint(page, at)
        number, at = _varint(page, at)
        if n_payload > self._n_pages * self._size:
            raise ValueError
        n_local = self._n_local(n_payload)
        payload = page[at : at + n_local]
        if n_local < n_payload:
            next_page = int.from_bytes(page[at + n_local : at + n_local + 4], "big")
            payload += self._overflow(next_page, n_payload - n_local)
        return Row(number if number < 1 << 63 else number - (1 << 64), _record(payload))

    def _n_local(self, n_payload: int) -> int:
        """How much of a payload lies on its leaf (1.6, "b-tree pages")."""
        most, least = self._usable - 35, (self._usable - 12) * 32 // 255 - 23
        if n_payload <= most:
            return n_payload
        fitting = least + (n_payload - least) % (self._usable - 4)
        return fitting if fitting <= most else least

    def _overflow(self, number: int, n_bytes: int) -> bytes:
        """The rest of a payload, page by page; less of it where the chain is broken."""
        parts = []
        while n_bytes > 0 and 0 < number <= self._n_pages:
            page = self._page(number)
            parts.append(page[4 : min(self._usable, 4 + n_bytes)])
            n_bytes -= len(parts[-1])
            number = int.from_bytes(page[:4], "big")
        return b"".join(parts)


def _page_size(field: int) -> int:
    size = 1 << 16 if field == 1 else field
    return size if size >= 512 and size & size - 1 == 0 else _USUAL_PAGE_SIZE


def _newest_frames(log: BinaryIO, page_size: int, n_in_file: int) -> dict[int, int]:
    """Where in the log the newest committed version of each page is. A page beyond what can be is damage."""
    n_most = n_in_file + log.seek(0, 2) // page_size + 1
    log.seek(0)
    newest: dict[int, int] = {}
    uncommitted: dict[int, int] = {}
    salt = log.read(_LOG_HEADER)[16:24]
    at = _LOG_HEADER
    while len(head := log.read(_FRAME_HEADER)) == _FRAME_HEADER and head[8:16] == salt:
        if (number := int.from_bytes(head[:4], "big")) <= n_most:
            uncommitted[number] = at + _FRAME_HEADER
        if any(head[4:8]):  # the last frame of a transaction
            newest.update(uncommitted)
            uncommitted.clear()
        at = log.seek(at + _FRAME_HEADER + page_size)
    return newest


def _record(payload: bytes) -> tuple[Value, ...]:
    """Raises ValueError or IndexError for what is no record of ours; the last text may be cut short."""
    n_header, at = _varint(payload, 0)
    place, values = n_header, []
    while at < n_header:
        kind, at = _varint(payload, at)
        value, n_bytes = _value(kind, payload, place)
        values.append(value)
        place += n_bytes
    return tuple(values)


def _value(kind: int, payload: bytes, at: int) -> tuple[Value, int]:
    """A value by its serial type (2.1), and how many bytes it takes."""
    if kind in (8, 9):
        return kind - 8, 0
    if kind < len(_INTEGER_BYTES):
        n_bytes = _INTEGER_BYTES[kind]
        data = payload[at : at + n_bytes]
        return (int.from_bytes(data, "big", signed=True) if n_bytes else None), n_bytes
    if kind < _FIRST_BLOB:
        raise ValueError  # a fraction, which we have none of, or a reserved type
    n_bytes = (kind - _FIRST_BLOB) // 2
    data = payload[at : at + n_bytes]
    return (data.decode("utf-8", "replace") if kind % 2 else data), n_bytes


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Up to nine bytes, seven bits each, eight in the last (1.6). Raises IndexError."""
    value = 0
    for place in range(8):
        byte = data[at + place]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at + place + 1
    return value << 8 | data[at + 8], at + 9
