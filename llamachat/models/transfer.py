"""One file from the Hub to the disk: every byte once, and the right ones.

The partial file is always a prefix of the file, so that any later run goes on where it ends, whatever ended the last
one. Each attempt asks anew at the commit's address, since the signed addresses behind it expire, and counts as
progress when a single byte came. The sha256 runs along; a file that turns out wrong is fetched once more from
nothing, and is not there if it is wrong again.

Knows no name of a model and no terminal.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

from llamachat.errors import DownloadError, StorageError
from llamachat.models.ahead import PLAN, Ahead, Plan
from llamachat.models.hub import Hub, RemoteFile
from llamachat.models.refusals import TokenRefused
from llamachat.models.wire import ServerTrouble, TooManyRequests, network_errors

if TYPE_CHECKING:
    import httpx2

_BUFFER = 64 << 10  # bytes: what a kill can lose
_REREAD = 4 << 20
_MARGIN = 64 << 20  # bytes of the disk that stay free
_TRIES = 6  # in a row without a byte
_WAITS = 3  # in a row that the Hub may ask for
_ENOUGH = 1 << 20  # bytes after which a broken connection is tried again at once
_LONGEST_PAUSE = 30.0
_BETWEEN_NEWS = 0.1  # seconds
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")
_BROWSE = "Is there a sign-in page? Open a browser and look."
_KEPT = "What came so far is kept: the same command goes on."


class Progress(Protocol):
    """Who is told how it goes."""

    def moved(self, done: int, total: int) -> None:
        """Bytes of the file that came and are kept."""
        ...

    def checking(self, done: int, total: int) -> None:
        """Bytes read again of what is there already."""
        ...

    def note(self, text: str) -> None:
        """A line: what went wrong and is tried again."""
        ...

    def pause(self, seconds: float, why: str) -> None:
        """Let so much time pass, and say so. Ctrl-C ends it."""
        ...


@dataclass(frozen=True, slots=True)
class Share:
    """The progress of one part, told as that of the whole: `before` bytes of `total` came earlier."""

    whole: Progress
    before: int
    total: int

    def moved(self, done: int, total: int) -> None:  # noqa: ARG002
        self.whole.moved(self.before + done, self.total)

    def checking(self, done: int, total: int) -> None:
        self.whole.checking(done, total)

    def note(self, text: str) -> None:
        self.whole.note(text)

    def pause(self, seconds: float, why: str) -> None:
        self.whole.pause(seconds, why)


class Corrupt(DownloadError):
    """All bytes came, and they are not the file's."""


class Digest(Protocol):
    """The running hash."""

    def update(self, data: bytes) -> None: ...

    def hexdigest(self) -> str: ...


@dataclass(slots=True)
class Transfer:
    """One file's way to the end of `partial`, from `offset` on. Whoever calls `run` holds the file's lock.

    Before `offset` stands what was fetched, and found right, earlier: the halves of a file too large for one.
    `pause` is the time before a second try, in seconds, doubled for each that follows; `patience` the time without
    a byte after which a connection is given up.
    """

    hub: Hub
    file: RemoteFile
    partial: Path
    progress: Progress
    offset: int = 0
    pause: float = 1.0
    patience: float = 15.0
    ahead: Plan = PLAN
    done: int = 0
    told: float = 0.0  # when there was news last
    shown: int = 0  # bytes that were told of

    def run(self) -> None:
        """Fetch what is missing. Raises DownloadError and StorageError; what came stays for the next run."""
        with storage_errors(self.partial):
            if self.partial.is_symlink():  # nothing of ours
                self.partial.unlink()
            try:
                self._fetch()
            except Corrupt as error:
                self.progress.note(f"{error.message} It is fetched once more.")
                self.ahead = replace(self.ahead, threshold=self.file.n_bytes + 1)  # over one connection
                self.shown = 0
                self._fetch()

    def _fetch(self) -> None:
        """Everything that is missing, and the check. Raises Corrupt, with nothing left of this file."""
        with self.partial.open("ab", buffering=_BUFFER) as out, self.hub.client(self.patience) as client:
            digest = self._begin(out)
            ahead = Ahead(self.hub, client, self.file, self.partial, self.patience, self.ahead)
            try:
                self._fetch_rest(client, out, digest, ahead)
            finally:
                ahead.stop()
            out.flush()
            os.fsync(out.fileno())
            ahead.clear()
        if digest.hexdigest() != self.file.etag:
            os.truncate(self.partial, self.offset)
            raise Corrupt(f"{self.file.file} came with the wrong content.", "Try again later, or another repository.")

    def _fetch_rest(self, client: httpx2.Client, out: BinaryIO, digest: Digest, ahead: Ahead) -> None:
        """All that is missing: what was fetched ahead, and the rest over this connection."""
        failures = 0
        while self.done < self.file.n_bytes:
            before, began = self.done, time.monotonic()
            try:
                if found := ahead.take(self.done, lambda: self._tell(ahead)):
                    self._append(*found, out, digest, ahead)
                else:
                    self._attempt(client, out, digest, ahead)
                    ahead.saw(self.done - before, time.monotonic() - began, self.done)
            except TokenRefused as error:
                self.hub = go_on_without_token(self.hub, error, self.progress)
            except ServerTrouble as error:
                failures = 1 if self.done > before else failures + 1
                if self.done - before < _ENOUGH:
                    self._wait(failures, error)

    def _append(self, side: Path, skip: int, out: BinaryIO, digest: Digest, ahead: Ahead) -> None:
        """A segment that was fetched ahead, or the beginning of one; `skip` bytes of it are here."""
        left = min(self.ahead.segment - skip, self.file.n_bytes - self.done)
        with side.open("rb") as there:
            there.seek(skip)
            while left and (block := there.read(min(left, _REREAD))):
                left -= len(block)
                self._keep(block, out, digest, ahead)
        out.flush()
        side.unlink()

    def _begin(self, out: BinaryIO) -> Digest:
        """The hash of what an earlier run left, which is dropped if it cannot be of this file."""
        size = size_of(self.partial) - self.offset
        if not 0 <= size <= self.file.n_bytes:
            out.truncate(self.offset)
            size = 0
        digest = new_digest(self.file)
        self.done = 0
        with self.partial.open("rb") as kept:
            kept.seek(self.offset)
            while block := kept.read(_REREAD):
                digest.update(block)
                self.done += len(block)
                self.progress.checking(self.done, size)
        return digest

    def _attempt(self, client: httpx2.Client, out: BinaryIO, digest: Digest, ahead: Ahead) -> None:
        """Ask for all that is missing here and keep what comes. Raises ServerTrouble when it ends too early."""
        url, stop = self.hub.url(self.file), ahead.until(self.done)
        if self.done >= stop:
            return
        last = str(stop - 1) if stop < self.file.n_bytes else ""
        headers = self.hub.headers() | ({"range": f"bytes={self.done}-{last}"} if self.done or last else {})
        with network_errors(self.hub.proxies, url, self.patience), client.stream("GET", url, headers=headers) as answer:
            position = self._check_answer(answer)
            for block in answer.iter_raw():
                if position == 0 and block.lstrip()[:1] == b"<" and self.file.file.endswith(".gguf"):
                    raise ServerTrouble("a page came instead of the file.", _BROWSE)
                self._keep(block[self.done - position :][: stop - self.done], out, digest, ahead)
                position += len(block)
                if self.done == stop:
                    return
        raise ServerTrouble("the connection ended too early.")

    def _keep(self, block: bytes, out: BinaryIO, digest: Digest, ahead: Ahead) -> None:
        out.write(block)
        digest.update(block)
        self.done += len(block)
        self._tell(ahead)

    def _tell(self, ahead: Ahead) -> None:
        """News of how far it is, now and then: with what is here of later segments, and never less than before."""
        if self.done == self.file.n_bytes or time.monotonic() - self.told > _BETWEEN_NEWS:
            self.told = time.monotonic()
            self.shown = max(self.shown, min(self.done + ahead.n_bytes(self.done), self.file.n_bytes))
            self.progress.moved(self.shown, self.file.n_bytes)

    def _check_answer(self, answer: httpx2.Response) -> int:
        """Where in the file the answer begins. Raises for one that is not the file's."""
        is_the_hubs = str(answer.url).startswith(f"{self.hub.endpoint}/")
        if answer.status_code in (400, 401, 403, 404, 410) and not is_the_hubs:
            raise ServerTrouble(f"the signed address was refused with {answer.status_code}.")
        self.hub.check(answer, self.file.repo, self.file.file)
        if answer.headers.get("content-type", "").startswith("text/html"):
            raise ServerTrouble("a page came instead of the file.", _BROWSE)
        if answer.status_code == 200:  # no Range was asked for, or it was ignored
            return 0
        match = _CONTENT_RANGE.match(answer.headers.get("content-range", ""))
        if match is None or int(match[1]) != self.done or match[3] not in ("*", str(self.file.n_bytes)):
            raise ServerTrouble("the server sent another part of the file than was asked for.")
        return self.done

    def _wait(self, failures: int, error: ServerTrouble) -> None:
        """Let a moment pass, or give up."""
        is_asked = isinstance(error, TooManyRequests)
        if failures >= (_WAITS if is_asked else _TRIES):
            raise DownloadError(error.message, f"{error.hint} {_KEPT if self.done else ''}".strip()) from error
        if isinstance(error, TooManyRequests):
            self.progress.pause(error.wait, "the Hub asks to wait")
        else:
            self.progress.pause(min(self.pause * 2 ** (failures - 1), _LONGEST_PAUSE), error.message.rstrip("."))


def go_on_without_token(hub: Hub, error: TokenRefused, progress: Progress) -> Hub:
    """The same Hub for whoever is not logged in, which is enough for what is public."""
    progress.note(f"{error.message.rstrip('.')}; going on without it. {error.hint}")
    return hub.without_token()


def check_room(folder: Path, needed: int) -> None:
    """Raises StorageError, with both numbers, unless the disk has room for so many bytes and some to spare."""
    free = shutil.disk_usage(folder).free
    if needed + _MARGIN > free:
        raise StorageError(
            f"{needed / 1e6:,.0f} MB are still to come, and {folder} has {free / 1e6:,.0f} MB free.",
            f"Make room ({_MARGIN >> 20} MB more than that stay free), or move the cache: HF_HOME.",
        )


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """The system's errors as StorageError."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageError(f"the disk of {path.parent} is full.", "Make room; what came so far is kept.") from error
        raise StorageError(f"{path} cannot be written: {error.strerror or error}.", "Check its folder.") from error


def new_digest(file: RemoteFile) -> Digest:
    """What its etag is: a large file's sha256, or the name that git gives a small one."""
    if file.sha256:
        return hashlib.sha256()
    return hashlib.sha1(f"blob {file.n_bytes}\0".encode(), usedforsecurity=False)


def size_of(path: Path) -> int:
    """Bytes of a file; 0 without one."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
