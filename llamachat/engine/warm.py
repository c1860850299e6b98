"""Engines that stayed when their llamachat ended, as the next one sees them: found, asked, ended.

Each listens on a Unix socket whose name is a hash of all that it depends on, in a folder that only its user can open.
Whatever is odd about one means that it is not there.
"""

from __future__ import annotations

import hashlib
import os
import socket
import stat
import struct
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from llamachat import __version__
from llamachat.engine.ladder import library_print
from llamachat.engine.pipe import VERSION, FrameError, FrameReader, pack
from llamachat.engine.protocol import Close, Stay, Staying
from llamachat.types import LoadOptions

_PATIENCE = 1.0  # seconds for an engine to answer
_TRIES, _PAUSE = 3, 0.05  # who was there before may be about to go; seconds between the tries
_CREDENTIALS = struct.Struct("3i")  # Linux's struct ucred: process, user, group


@dataclass(frozen=True, slots=True)
class Warm:
    """Where engines stay, and for how many seconds without a request this one is to."""

    folder: Path
    seconds: float

    def connect(self, options: LoadOptions) -> WarmEngine | None:
        """The engine with these options that stayed, if it is free to answer."""
        place = self._place(options)
        for _ in range(_TRIES):
            met = _meet(place)
            if met is None:
                return None
            connection, says = met
            if not says.is_busy:
                connection.settimeout(None)
                return WarmEngine(connection, says.pid)
            connection.close()
            time.sleep(_PAUSE)
        return None

    def stay(self, options: LoadOptions) -> Stay:
        """What tells an engine with these options to stay."""
        return Stay(self.seconds, str(self._place(options)))

    def _place(self, options: LoadOptions) -> Path:
        return self.folder / _name(options)


@dataclass(frozen=True, slots=True)
class Found:
    """An engine that stays."""

    place: Path
    says: Staying


class WarmEngine:
    """An engine that stays, as the `Child` (launch.py) of the llamachat that is connected to it."""

    def __init__(self, connection: socket.socket, pid: int) -> None:
        self.pid = pid
        self._connection = connection

    def send(self, data: bytes) -> None:
        self._connection.sendall(data)

    def read(self, size: int) -> bytes:
        try:
            return self._connection.recv(size)
        except OSError:
            return b""

    def end_input(self) -> None:
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self._connection.close()

    def kill(self) -> None:
        """Leave it alone: it ends what it was doing, and nobody hears of it."""
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)

    def wait(self, timeout: float | None = None) -> int:  # noqa: ARG002  it is not ours to wait for
        return 0

    def let_go(self) -> None:
        pass


def find(folder: Path) -> Iterator[Found]:
    """The engines that stay there."""
    for place in sorted(places(folder)):
        if met := _meet(place):
            connection, says = met
            connection.close()
            yield Found(place, says)


def stop(folder: Path) -> int:
    """End the engines that stay there: those that answer somebody, when they have. How many there were."""
    if not is_private(folder):  # somebody else's: nothing in it is an engine of ours
        return 0
    count = 0
    for place in places(folder):
        if met := _meet(place):
            connection, _ = met
            with connection, suppress(OSError):
                connection.sendall(pack(Close()))
            count += 1
        with suppress(OSError):
            place.unlink()  # an engine ends when its socket is gone
    return count


def places(folder: Path) -> list[Path]:
    """The sockets in a folder, of engines that live or are dead."""
    try:
        return [Path(entry.path) for entry in os.scandir(folder)]
    except OSError:
        return []


def is_private(folder: Path) -> bool:
    """Whether it is a folder of this user's that nobody else can open."""
    try:
        known = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(known.st_mode) and known.st_uid == os.getuid() and not known.st_mode & 0o077


def is_ours(connection: socket.socket) -> bool:
    """Whether the process at the other end is of this user, where the system tells."""
    if not sys.platform.startswith("linux"):
        return True
    data = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return bool(_CREDENTIALS.unpack(data)[1] == os.getuid())


def _meet(place: Path) -> tuple[socket.socket, Staying] | None:
    """A connection to the engine at a socket, and what it says of itself; None where there is none, or none of ours."""
    if sys.platform == "win32" or not is_private(place.parent):
        return None
    connection = socket.socket(socket.AF_UNIX)
    with suppress(OSError, FrameError):
        connection.settimeout(_PATIENCE)
        connection.connect(os.fspath(place))
        if is_ours(connection) and (says := FrameReader(connection.recv, Staying).next()):
            return connection, says
    connection.close()
    return None


def _name(options: LoadOptions) -> str:
    """A hash of the options, of the files that they name, and of the programs that read them."""
    digest = hashlib.blake2b(digest_size=8)
    for part in (VERSION, __version__, library_print(), *map(_print, filter(None, (options.path, options.draft)))):
        digest.update(f"{part}\n".encode())
    digest.update(msgspec.msgpack.encode(options))
    return digest.hexdigest()


def _print(path: str) -> str:
    """What a file is known by; its place is of use only with the folder that a relative one begins at."""
    file = Path(path).absolute()
    with suppress(OSError):
        known = file.stat()
        return f"{file} {known.st_size} {known.st_mtime_ns}"
    return str(file)
