"""From a file of a repository to its verified copy on this disk, whoever else fetches it at the same time.

Files go into the cache that the Hub's other tools share. Only a file that the Hub has in raw halves is put together
elsewhere, since nobody could read the halves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from llamachat.errors import DownloadError
from llamachat.models.ahead import PLAN, Plan
from llamachat.models.gguf import Facts
from llamachat.models.hub import Hub, Listing, RemoteFile
from llamachat.models.peek import facts_of
from llamachat.models.refusals import TokenRefused
from llamachat.models.transfer import (
    Progress,
    Share,
    Transfer,
    check_room,
    go_on_without_token,
    new_digest,
    size_of,
    storage_errors,
)
from llamachat.models.wire import TooManyRequests

_INCOMPLETE = ".incomplete"  # the ending by which the Hub's own tools know it, and clean it away
_BLOCK = 4 << 20
_WAITS = 3  # that the Hub may ask for before it answers a question

T = TypeVar("T")


@dataclass(slots=True)
class Downloader:
    """Fetches from a Hub. `joined` is the folder of files that were put together from halves."""

    hub: Hub
    joined: Path
    progress: Progress
    pause: float = 1.0
    patience: float = 15.0
    ahead: Plan = PLAN

    def look_up(self, repo: str, file: str, revision: str | None = None) -> RemoteFile:
        """One file as the Hub has it now; without the token if that is refused. Raises as `Hub.look_up`."""
        return self._answer(lambda hub: hub.look_up(repo, file, revision))

    def listing(self, repo: str, revision: str | None = None) -> Listing:
        """The files of a repository; without the token if that is refused. Raises as `Hub.listing`."""
        return self._answer(lambda hub: hub.listing(repo, revision))

    def facts(self, repo: str, file: str, revision: str | None = None) -> Facts:
        """What the head of a GGUF says, fetched without the rest. Raises as `Hub.look_up`."""
        return self._answer(lambda hub: facts_of(hub, hub.look_up(repo, file, revision)))

    def fetch(self, file: RemoteFile, sha256: str | None = None) -> Path:
        """The file's path in the cache, with nothing fetched that is there. `sha256` is what it is known to be.

        Raises DownloadError, with no file left that is not right, and StorageError.
        """
        _compare(file, sha256)
        blob = self.hub.folder(file.repo) / "blobs" / file.etag
        with storage_errors(blob):
            if path := self._present(file, blob):
                return path
            with self._alone(file):
                if path := self._present(file, blob):
                    return path
                partial = blob.with_name(f"{blob.name}{_INCOMPLETE}")
                self._make_room(partial, file.n_bytes)
                self._transfer(file, partial, 0)
                partial.replace(blob)
                return self.hub.publish(file, blob)

    def fetch_all(self, files: Sequence[RemoteFile], sha256: str | None = None) -> list[Path]:
        """Several files, each as `fetch`, with one progress for all of them."""
        total, before, paths = sum(file.n_bytes for file in files), 0, []
        for file in files:
            with self._sharing(before, total):
                paths.append(self.fetch(file, sha256))
            before += file.n_bytes
        return paths

    def fetch_joined(self, parts: Sequence[RemoteFile], name: str) -> Path:
        """Raw parts as one file, with room for one of it. Raises as `fetch`."""
        target = self.joined / parts[0].repo.replace("/", "--") / name
        n_bytes = sum(part.n_bytes for part in parts)
        with storage_errors(target), self._alone(parts[0]):
            if size_of(target) == n_bytes:
                return target
            etags = "".join(part.etag[:8] for part in parts)  # other parts do not go on where these ended
            partial = target.with_name(f"{name}.{etags}{_INCOMPLETE}")
            self._make_room(partial, n_bytes)
            offset = 0
            for part in parts:
                if size_of(partial) <= offset + part.n_bytes:
                    with self._sharing(offset, n_bytes):
                        self._transfer(part, partial, offset)
                offset += part.n_bytes
            partial.replace(target)
            return target

    def _answer(self, question: Callable[[Hub], T]) -> T:
        """The Hub's answer, when it has let us wait as long as it wants and does not mind our token."""
        for _ in range(_WAITS):
            try:
                return question(self.hub)
            except TokenRefused as error:
                self.hub = go_on_without_token(self.hub, error, self.progress)
            except TooManyRequests as error:
                self.progress.pause(error.wait, "the Hub asks to wait")
        return question(self.hub)

    @contextmanager
    def _sharing(self, before: int, total: int) -> Iterator[None]:
        """What is told of one file counts as a part of `total` bytes, of which `before` came earlier."""
        whole = self.progress
        self.progress = Share(whole, before, total)
        try:
            yield
        finally:
            self.progress = whole

    @contextmanager
    def _alone(self, file: RemoteFile) -> Iterator[None]:
        with self.hub.lock(file, lambda: self.progress.note("Another process fetches this file; waiting for it.")):
            yield

    def _make_room(self, partial: Path, n_bytes: int) -> None:
        partial.parent.mkdir(parents=True, exist_ok=True)
        ahead = sum(size_of(segment) for segment in partial.parent.glob(f"{partial.name}.*"))
        check_room(partial.parent, n_bytes - size_of(partial) - ahead)

    def _transfer(self, file: RemoteFile, partial: Path, offset: int) -> None:
        """The bytes of one file behind `offset`. A failure leaves what goes on later, or nothing."""
        try:
            Transfer(self.hub, file, partial, self.progress, offset, self.pause, self.patience, self.ahead).run()
        except BaseException:
            if size_of(partial) == 0:
                partial.unlink(missing_ok=True)
            raise

    def _present(self, file: RemoteFile, blob: Path) -> Path | None:
        """The file if all of it is in the cache and right, under its name from now on; other tools do not look."""
        snapshot = self.hub.folder(file.repo) / "snapshots" / file.commit / file.file
        place = blob if blob.exists() else snapshot
        if size_of(place) != file.n_bytes:
            return None
        digest = new_digest(file)
        with place.open("rb") as there:
            while block := there.read(_BLOCK):
                digest.update(block)
        if digest.hexdigest() == file.etag:
            return self.hub.publish(file, place)
        self.progress.note(f"{file.file} is there and is damaged. It is fetched again.")
        place.unlink()
        return None


def _compare(file: RemoteFile, sha256: str | None) -> None:
    if sha256 is not None and file.sha256 not in (None, sha256):
        raise DownloadError(
            f"the Hub says that {file.file} is another file than the one that is known to be right.",
            "Nothing was fetched.",
        )
