"""What the Hugging Face Hub says of repositories and files, and where its cache keeps them.

The only import of huggingface_hub, whose default address, variables and cache are ours too. It fetches no file:
`transfer` does, since huggingface_hub 2.4 neither resumes a download in a later run nor compares its sha256.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from llamachat import __version__
from llamachat.errors import DownloadError, LlamachatError
from llamachat.models import account
from llamachat.models.refusals import NoSuchRepository, check_names, nearest_names, not_as_the_hub, refusal
from llamachat.models.wire import Proxies, ServerTrouble, TooManyRequests, Unreachable, connect, network_errors

if TYPE_CHECKING:
    import httpx2

_SHA256 = re.compile(r"[0-9a-f]{64}")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_ADDRESS = re.compile(r"https?://(?:[\w.-]+|\[[0-9a-f:]+\])(?::\d+)?(?:/\S*)?", re.ASCII | re.IGNORECASE)
_MOST_DIGITS = 18
_MAIN = "main"
_PAUSES = (0.3, 1.0)  # seconds before a question is asked again
_MOST_REDIRECTS = 5
_SEARCH_SECONDS = 3.0  # of patience, for what is only a hint
_DIRECT = Proxies({})


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """One file as the Hub has it. `etag` names its blob in the cache; for a large file it is the sha256."""

    repo: str
    revision: str
    commit: str
    file: str
    n_bytes: int
    etag: str

    @property
    def sha256(self) -> str | None:
        return self.etag if _SHA256.fullmatch(self.etag) else None


@dataclass(frozen=True, slots=True)
class Listing:
    """The files of a repository at a commit, with their sizes in bytes (None where the Hub tells none)."""

    repo: str
    commit: str
    files: Mapping[str, int | None]
    licence: str | None

    @property
    def gguf(self) -> list[str]:
        return sorted(file for file in self.files if file.lower().endswith(".gguf") or ".gguf-split-" in file)


@dataclass(frozen=True, slots=True)
class Hub:
    """A Hub and our way to it. `token` is sent to `endpoint` and to nobody else; `cache` is the shared file cache.

    `mirror` is another Hub's address, or empty; `patience` the seconds for an answer to a question.
    """

    mirror: str
    token: str | None = field(repr=False)
    cache: Path
    is_offline: bool = False
    proxies: Proxies = _DIRECT
    patience: float = 10.0

    @classmethod
    def of(cls, variables: Mapping[str, str]) -> Hub:
        """As the variables that every tool of the Hub's reads say: HF_ENDPOINT, HF_TOKEN, HF_HOME and the like."""
        return cls(
            mirror=account.mirror(variables),
            token=account.token(variables),
            cache=account.cache(variables),
            is_offline=account.is_set(variables, "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"),
            proxies=Proxies.of(variables),
        )

    @property
    def endpoint(self) -> str:
        """Where it is asked. Raises DownloadError for a HF_ENDPOINT that is no address."""
        if self.mirror:
            if not _ADDRESS.fullmatch(self.mirror):
                raise DownloadError(f"HF_ENDPOINT={self.mirror} is not an address.", "It is like http://HOST:PORT.")
            return self.mirror
        from huggingface_hub import constants  # noqa: PLC0415  20 ms that only a download needs

        return constants._HF_DEFAULT_ENDPOINT

    def without_token(self) -> Hub:
        return replace(self, token=None)

    def client(self, patience: float) -> httpx2.Client:
        """Connections to the Hub and to where it sends us. Raises DownloadError if we are to stay offline."""
        if self.is_offline:
            raise DownloadError("HF_HUB_OFFLINE is set, so nothing is asked for.", "Unset it to download.")
        return connect(self.proxies, patience)

    def headers(self) -> dict[str, str]:
        """The headers of every request, the token among them; a redirect to another host leaves it behind."""
        if self.token and not (self.token.isascii() and self.token.isprintable()):
            raise DownloadError("the token that is set has characters that no token has.", "Set HF_TOKEN anew.")
        agent = {"user-agent": f"llamachat/{__version__}", "accept-encoding": "identity"}
        return {**agent, "authorization": f"Bearer {self.token}"} if self.token else agent

    def url(self, file: RemoteFile) -> str:
        """Where the bytes are, pinned to the commit; a redirect there is signed anew each time."""
        return f"{self.endpoint}/{_resolve(file.repo, file.file, file.commit)}"

    def check(self, response: httpx2.Response, repo: str, file: str = "") -> None:
        """Raises ModelError (no such thing) or DownloadError for an answer that is a refusal."""
        if response.status_code < 400:
            return
        has_token = self.token is not None
        error = refusal(response.status_code, response.headers, repo, file, self.endpoint, has_token=has_token)
        if isinstance(error, NoSuchRepository):
            error.hint = f"Did you mean {near[0]}?" if (near := self.nearest(repo)) else error.hint
        raise error

    def look_up(self, repo: str, file: str, revision: str | None = None) -> RemoteFile:
        """One file's commit, size and etag. Raises ModelError (no such thing) and DownloadError (cannot be told)."""
        check_names(repo, file, revision or "")
        answer = self._ask("HEAD", _resolve(repo, file, revision or _MAIN), repo, file)
        headers: Mapping[str, str] = answer.headers
        commit = headers.get("x-repo-commit", "")
        etag = (headers.get("x-linked-etag") or headers.get("etag", "")).removeprefix("W/").strip('"')
        size = headers.get("x-linked-size") or headers.get("content-length", "")
        is_known = _COMMIT.fullmatch(commit) and (_SHA256.fullmatch(etag) or _COMMIT.fullmatch(etag))
        if not is_known or not (size.isascii() and size.isdigit() and len(size) <= _MOST_DIGITS):
            raise not_as_the_hub(self.endpoint)
        return RemoteFile(repo, revision or _MAIN, commit, file, int(size), etag)

    def listing(self, repo: str, revision: str | None = None) -> Listing:
        """The files of a repository. Raises ModelError with the nearest names, and DownloadError."""
        check_names(repo, revision=revision or "")
        path = f"api/models/{repo}" + (f"/revision/{quote(revision, safe='')}" if revision else "")
        response = self._ask("GET", f"{path}?blobs=true", repo)
        try:
            found = response.json()
            licences = [tag.removeprefix("license:") for tag in found["tags"] if tag.startswith("license:")]
            siblings = [(str(sibling["rfilename"]), sibling.get("size")) for sibling in found["siblings"]]
            files = {name: size for name, size in siblings if name.isprintable()}
            return Listing(repo, str(found["sha"]), files, next(iter(licences), None))
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            raise not_as_the_hub(self.endpoint) from error

    def nearest(self, repo: str) -> list[str]:
        """Repositories with GGUF files that may have been meant; empty when the Hub does not say so soon."""
        owner, _, name = repo.rpartition("/")
        questions: list[dict[str, Any]] = [{"search": name, "limit": 10}]
        questions += [{"author": owner, "sort": "downloads", "limit": 200}] if owner else []
        try:
            return nearest_names(repo, [found for question in questions for found in self._search(question)])
        except (LlamachatError, ValueError, LookupError, TypeError):  # it would only have been a hint
            return []

    def folder(self, repo: str) -> Path:
        """The repository's folder in the cache."""
        return self.cache / f"models--{repo.replace('/', '--')}"

    def cached(self, repo: str, file: str, revision: str | None = None) -> Path | None:
        """The file if the cache has it, by the commit or by what the branch was when it was last looked up."""
        folder = self.folder(repo)
        commit = revision or _MAIN
        if not _COMMIT.fullmatch(commit):
            try:
                commit = (folder / "refs" / commit).read_text(encoding="ascii").strip()
            except (OSError, UnicodeDecodeError):
                return None
        path = folder / "snapshots" / commit / file
        return path if path.is_file() else None

    @contextmanager
    def lock(self, file: RemoteFile, on_wait: Callable[[], None]) -> Iterator[None]:
        """Hold what every tool holds while it fetches this file. `on_wait` is called when another holds it."""
        from filelock import FileLock, Timeout  # noqa: PLC0415

        path = self.cache / ".locks" / self.folder(file.repo).name / f"{file.etag}.lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            on_wait()
            lock.acquire(poll_interval=0.2)
        try:
            yield
        finally:
            lock.release()

    def publish(self, file: RemoteFile, blob: Path) -> Path:
        """Give the blob its name in the cache, where other tools find it; the path. `blob` may be in place already."""
        folder = self.folder(file.repo)
        path = folder / "snapshots" / file.commit / file.file
        path.parent.mkdir(parents=True, exist_ok=True)
        if not (path.exists() and blob.exists() and path.samefile(blob)):
            path.unlink(missing_ok=True)
            try:
                path.symlink_to(os.path.relpath(blob, path.parent))
            except OSError:  # Windows without developer mode: the snapshot holds the file itself
                blob.replace(path)
        if not _COMMIT.fullmatch(file.revision):
            ref = folder / "refs" / file.revision
            ref.parent.mkdir(parents=True, exist_ok=True)
            ref.write_text(file.commit, encoding="ascii")
        return path

    def _ask(self, method: str, path: str, repo: str, file: str = "") -> httpx2.Response:
        """The answer to a question, asked a few times if the server stumbles. Raises as `check`."""
        for pause in _PAUSES:
            try:
                return self._ask_once(method, path, repo, file)
            except (Unreachable, TooManyRequests):
                raise
            except ServerTrouble:
                time.sleep(pause)
        return self._ask_once(method, path, repo, file)

    def _ask_once(self, method: str, path: str, repo: str, file: str) -> httpx2.Response:
        """Redirects are followed on the Hub itself only: its answer on a large file is one to elsewhere."""
        url = f"{self.endpoint}/{path}"
        with self.client(self.patience) as client, network_errors(self.proxies, url, self.patience):
            request = client.build_request(method, url, headers=self.headers())
            for _ in range(_MOST_REDIRECTS):
                response = client.send(request, follow_redirects=False)
                if response.next_request is None or not str(response.next_request.url).startswith(f"{self.endpoint}/"):
                    break
                request = response.next_request
        self.check(response, repo, file)
        return response

    def _search(self, question: Mapping[str, Any]) -> list[str]:
        url, patience = f"{self.endpoint}/api/models", min(self.patience, _SEARCH_SECONDS)
        with self.client(patience) as client, network_errors(self.proxies, url, patience):
            found = client.get(url, params={"filter": "gguf", **question}, headers=self.headers()).json()
        return [str(model["id"]) for model in found]


def _resolve(repo: str, file: str, revision: str) -> str:
    return f"{repo}/resolve/{quote(revision, safe='')}/{quote(file)}"
