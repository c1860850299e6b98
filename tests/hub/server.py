"""The hub and its CDN: two HTTP servers on loopback, in threads of this process or, as a program, alone.

It owns repositories, access, signed URLs, the log and the throttle. What a fault does to an answer is in
`faults`. Shapes and sentences are those huggingface_hub 2.4.0 reads.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import os
import random
import re
import select
import socket
import struct
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, BinaryIO, Literal
from urllib.parse import parse_qs, quote, unquote, urlsplit

from tests.hub.faults import (
    BEFORE,
    Answer,
    Attempt,
    Contents,
    Drop,
    Expire,
    Fault,
    Reset,
    Stall,
    length,
    ranged,
    refused,
    sha256_of,
    text,
)

MiB = 1 << 20
LFS_SUFFIXES = (".gguf", ".bin", ".safetensors")
LFS_OVER_BYTES = 10 * MiB
# Blocks of about 10 ms keep a throttled body even, and cost a hundred wake-ups a second at most.
BLOCK_SECONDS, BLOCK_MIN, BLOCK_MAX = 0.01, 4096, MiB
# struct linger: whether, and for how many seconds.
LINGER = "hh" if sys.platform == "win32" else "ii"
# A sender that woke late may catch up this much; more would be a burst no line has.
CATCH_UP_SECONDS = 0.1

RESOLVE = re.compile(r"/(?P<repo>[^/]+/[^/]+)/resolve/(?P<rev>[^/]+)/(?P<file>.+)")
MODEL = re.compile(
    r"/api/models/(?P<repo>[^/]+(?:/[^/]+)?)"
    r"(?:/(?P<part>revision|tree|paths-info)/(?P<rev>[^/]+)(?:/(?P<folder>.+))?)?"
)

Origin = Literal["hub", "cdn"]
Place = Literal["bytes", "head", "resolve", "api"]


@dataclass(frozen=True)
class Request:
    """One request as it was seen. `status` is 0 until it is answered; `n_sent` body bytes went so far."""

    origin: Origin
    method: str
    path: str
    range: str | None
    authorization: str | None
    status: int = 0
    n_sent: int = 0
    file: str | None = None
    query: str = ""


@dataclass(frozen=True)
class RepoFile:
    name: str
    contents: Contents
    size: int
    sha256: str
    is_lfs: bool

    @property
    def oid(self) -> str:
        """What git would name it; for LFS it names the pointer, so it only has to differ from the sha256."""
        if self.is_lfs or not isinstance(self.contents, bytes):
            return hashlib.sha1(f"pointer {self.sha256} {self.size}".encode()).hexdigest()
        return hashlib.sha1(b"blob %d\0" % self.size + self.contents).hexdigest()

    @property
    def pointer_size(self) -> int:
        """An LFS pointer is 125 bytes and the digits of the size."""
        return 125 + len(str(self.size))


@dataclass(frozen=True)
class Repo:
    """Its revisions by commit; `main` is the last one added."""

    id: str
    commit: str
    revisions: dict[str, dict[str, RepoFile]]
    gated: str | bool
    private: bool
    license: str | None
    gguf: dict[str, Any] | None
    downloads: int


@dataclass
class _Entry:
    """A line of the log while it is written."""

    request: Request
    status: int = 0
    n_sent: int = 0
    done: bool = False


@dataclass
class _Signed:
    file: RepoFile
    expires_at: float
    n_uses: int = 0


@dataclass(frozen=True)
class _Asked:
    method: str
    path: str
    query: dict[str, list[str]]
    headers: Mapping[str, str]
    body: bytes


class _Refusal(Exception):
    def __init__(self, status: int, code: str | None, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


@dataclass
class _Pace:
    """A token bucket for all bodies of the CDN together, as one line would carry them."""

    rate: float | None = None
    _due: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def block(self) -> int:
        return BLOCK_MAX if self.rate is None else int(min(max(self.rate * BLOCK_SECONDS, BLOCK_MIN), BLOCK_MAX))

    def begin(self) -> None:
        """An idle line saves nothing up."""
        with self._lock:
            self._due = max(self._due, time.monotonic())

    def delay(self, n_bytes: int) -> float:
        """Seconds to wait before these bytes may go."""
        if self.rate is None:
            return 0.0
        with self._lock:
            now = time.monotonic()
            self._due = max(self._due, now - CATCH_UP_SECONDS) + n_bytes / self.rate
            return self._due - now


class Hub:
    """`with Hub() as hub:` serves until the block ends. `hub.endpoint` is for HF_ENDPOINT.

    An error inside the server is raised at the end of the block. What a test may set at any time:
    `tokens` (the valid ones), `grants` (per repository, the tokens with access to a gated or private one),
    `rate` (bytes per second of the CDN), `url_seconds` and `url_uses` (how long and how often a signed
    URL works), `everywhere` (a fault for every request on both origins).
    """

    def __init__(self, port: int = 0, cdn_port: int = 0, *, rate: float | None = None) -> None:
        self.tokens: set[str] = set()
        self.grants: defaultdict[str, set[str]] = defaultdict(set)
        self.url_seconds = 3600.0
        self.url_uses: int | None = None
        self.everywhere: Fault | None = None
        self.errors: list[BaseException] = []
        self.closing = threading.Event()
        self.pace = _Pace(rate)
        self.rate_each: float | None = None  # of each connection, in place of the line they share
        self._repos: dict[str, Repo] = {}
        self._signed: dict[str, _Signed] = {}
        self._faults: dict[tuple[str, str], Iterator[Attempt]] = {}
        self._entries: list[_Entry] = []
        self._lock = threading.Lock()
        self._servers = (_Server(self, "hub", port), _Server(self, "cdn", cdn_port))

    def __enter__(self) -> Hub:
        for server in self._servers:
            server.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.close()
        if kind is None and self.errors:
            raise self.errors[0]

    def close(self) -> None:
        """Afterwards connections are refused, open ones are cut, and no thread is left."""
        self.closing.set()
        for server in self._servers:
            server.stop()

    @property
    def endpoint(self) -> str:
        return self._servers[0].address

    @property
    def cdn(self) -> str:
        return self._servers[1].address

    @property
    def rate(self) -> float | None:
        return self.pace.rate

    @rate.setter
    def rate(self, bytes_per_second: float | None) -> None:
        self.pace.rate = bytes_per_second

    # What there is to serve.

    def add(
        self,
        repo: str,
        files: Mapping[str, Contents],
        *,
        gated: str | bool = False,
        private: bool = False,
        commit: str | None = None,
        license: str | None = None,  # noqa: A002
        gguf: dict[str, Any] | None = None,
        downloads: int = 0,
    ) -> str:
        """A repository, or a new `main` of one that keeps its older commits. Gives the commit. `gated` as in the
        API: False, "auto" or "manual" (True is "auto"). A Path is read while it is served, and hashed now."""
        made = {name: _repo_file(name, contents) for name, contents in files.items()}
        names = "".join(f"{name} {file.sha256}\n" for name, file in sorted(made.items()))
        commit = commit or hashlib.sha1(f"{repo}\n{names}".encode()).hexdigest()
        old = self._repos[repo].revisions if repo in self._repos else {}
        gated = "auto" if gated is True else gated
        self._repos[repo] = Repo(repo, commit, {**old, commit: made}, gated, private, license, gguf, downloads)
        return commit

    def file(self, repo: str, name: str) -> RepoFile:
        """The file on `main`, with its size and sha256."""
        found = self._repos[repo]
        return found.revisions[found.commit][name]

    # What goes wrong.

    def fail(self, file: str, *attempts: Attempt, on: Place = "bytes", always: bool = False) -> None:
        """Plan the next attempts on a file, one each; None is a clean one, a tuple has several faults at once.

        `on`: "bytes" is the GET that gives them (of a valid URL), "head" the HEAD and "resolve" the GET that
        redirects. `always` goes round without end. A new plan replaces the old one; an empty one ends it.
        """
        self._faults[on, file] = itertools.cycle(attempts) if always else iter(attempts)

    def fail_api(self, *attempts: Attempt, always: bool = False) -> None:
        """The same for `/api/`, whatever is asked there. The registry of agent harnesses never counts."""
        self.fail("", *attempts, on="api", always=always)

    def slow_api(self, seconds: float) -> None:
        self.fail_api(Stall(seconds=seconds), always=True)

    def take(self, place: Place, file: str) -> tuple[Fault, ...]:
        """The faults of the attempt that begins now."""
        with self._lock:
            attempt = next(self._faults.get((place, file), iter(())), None)
        return attempt if isinstance(attempt, tuple) else () if attempt is None else (attempt,)

    # What was asked.

    @property
    def log(self) -> list[Request]:
        with self._lock:
            entries = list(self._entries)
        return [replace(entry.request, status=entry.status, n_sent=entry.n_sent) for entry in entries]

    def bytes_sent(self, file: str) -> int:
        """Body bytes of this file handed to sockets so far; for a body under way up to a block too many."""
        return sum(request.n_sent for request in self._gets(file) if request.status in {200, 206})

    def ranges(self, file: str) -> list[str | None]:
        """The Range of every GET that came for its bytes, at the CDN refused ones too."""
        return [request.range for request in self._gets(file)]

    def wait_idle(self, seconds: float = 5.0) -> bool:
        """True as soon as no request is in work: after a client was killed, the counts are then final."""
        end = time.monotonic() + seconds
        while any(not entry.done for entry in list(self._entries)):
            if time.monotonic() > end:
                return False
            time.sleep(0.005)
        return True

    def enter(self, request: Request) -> _Entry:
        entry = _Entry(request)
        with self._lock:
            self._entries.append(entry)
        return entry

    def _gets(self, file: str) -> list[Request]:
        """GETs of the bytes: all at the CDN, and at the hub those it answered itself."""
        of_file = [request for request in self.log if request.file == file and request.method == "GET"]
        return [r for r in of_file if r.origin == "cdn" or r.status in {200, 206}]

    # The CDN.

    def answer_cdn(self, asked: _Asked) -> Answer:
        """The bytes behind a signed URL that still holds."""
        signature = asked.query.get("X-Amz-Signature", [""])[0]
        with self._lock:
            signed = self._signed.get(signature)
            if signed is None:
                return refused("Access Denied")
            if time.monotonic() >= signed.expires_at or signed.n_uses == self.url_uses:
                return refused("Request has expired")
            signed.n_uses += asked.method == "GET"
        return self._bytes(signed.file, f'"{signed.file.sha256}"', asked, signed)

    def file_of(self, origin: Origin, path: str, query: dict[str, list[str]]) -> str | None:
        """The file that a request is about, for the log."""
        if origin == "cdn":
            signed = self._signed.get(query.get("X-Amz-Signature", [""])[0])
            return signed.file.name if signed else None
        found = RESOLVE.fullmatch(path)
        return unquote(found["file"]) if found else None

    def _bytes(self, file: RepoFile, etag: str, asked: _Asked, signed: _Signed | None = None) -> Answer:
        may_range = asked.headers.get("If-Range", etag) == etag
        answer = ranged(file.contents, asked.headers.get("Range") if may_range else None, etag=etag)
        faults = self.take("bytes", file.name) if asked.method == "GET" else ()
        for fault in faults:
            if signed and isinstance(fault, Expire):
                signed.expires_at = 0.0
            answer = fault.alter(answer)
        return answer

    def _sign(self, file: RepoFile) -> str:
        """A URL in the shape of the CDN's. Each is another."""
        date = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        with self._lock:
            signature = hashlib.sha256(f"{file.sha256} {len(self._signed)}".encode()).hexdigest()
            self._signed[signature] = _Signed(file, time.monotonic() + self.url_seconds)
        query = f"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date={date}&X-Amz-Expires={self.url_seconds:.0f}"
        named = quote(f'inline; filename="{Path(file.name).name}";')
        query += f"&X-Amz-Signature={signature}&X-Amz-SignedHeaders=host&response-content-disposition={named}"
        return f"{self.cdn}/bridge/{file.sha256}?{query}"

    # The hub.

    def answer_hub(self, asked: _Asked) -> Answer:
        """Any path of the hub's own origin; a fault may also change a refusal."""
        found = RESOLVE.fullmatch(asked.path)
        try:
            answer = self._resolve(found, asked) if found else _json(self._api(asked))
        except _Refusal as refusal:
            headers = {"X-Error-Message": refusal.message} | ({"X-Error-Code": refusal.code} if refusal.code else {})
            answer = _json({"error": refusal.message}, refusal.status, headers)
        return _altered(answer, self._faults_of(found, asked))

    def _faults_of(self, found: re.Match[str] | None, asked: _Asked) -> tuple[Fault, ...]:
        if found:
            return self.take("head" if asked.method == "HEAD" else "resolve", unquote(found["file"]))
        return self.take("api", "") if asked.path.startswith("/api/models") else ()

    def _resolve(self, found: re.Match[str], asked: _Asked) -> Answer:
        """A small file itself, a large one's address."""
        commit, file = self._find(found, asked)
        if not file.is_lfs:
            answer = self._bytes(file, f'"{file.oid}"', asked)
            return replace(answer, headers={**answer.headers, "X-Repo-Commit": commit})
        url = self._sign(file)
        linked = {"X-Linked-Etag": f'"{file.sha256}"', "X-Linked-Size": str(file.size), "ETag": f'"{file.oid}"'}
        headers = {"Location": url, "X-Repo-Commit": commit, "Accept-Ranges": "bytes", **linked}
        return text(302, f"Found. Redirecting to {url}", **headers)

    def _find(self, found: re.Match[str], asked: _Asked) -> tuple[str, RepoFile]:
        """The commit and the file, for who may have it."""
        repo = self._repo(unquote(found["repo"]), asked)
        self._check_gate(repo, asked)
        commit, files = _revision(repo, unquote(found["rev"]))
        name = unquote(found["file"])
        if name not in files:
            raise _Refusal(404, "EntryNotFound", "Entry not found")
        return commit, files[name]

    def _token(self, asked: _Asked) -> str | None:
        authorization = asked.headers.get("Authorization")
        if authorization is None:
            return None
        token = authorization.removeprefix("Bearer ")
        if token not in self.tokens:
            raise _Refusal(401, None, "Invalid credentials in Authorization header")
        return token

    def _repo(self, name: str, asked: _Asked) -> Repo:
        """A private repository is missing for whom it is not."""
        token = self._token(asked)
        repo = self._repos.get(name)
        if repo is None or (repo.private and token not in self.grants[name]):
            if token is None:
                raise _Refusal(401, "RepoNotFound", "Invalid username or password.")
            raise _Refusal(404, "RepoNotFound", "Repository not found")
        return repo

    def _check_gate(self, repo: Repo, asked: _Asked) -> None:
        if not repo.gated:
            return
        token = self._token(asked)
        restricted = f"Access to model {repo.id} is restricted"
        if token is None:
            message = f"{restricted}. You must have access to it and be authenticated to access it. Please log in."
            raise _Refusal(401, "GatedRepo", message)
        if token not in self.grants[repo.id]:
            visit = f"Visit {self.endpoint}/{repo.id} to ask for access."
            raise _Refusal(403, "GatedRepo", f"{restricted} and you are not in the authorized list. {visit}")

    def _api(self, asked: _Asked) -> object:
        """The JSON of a path under `/api/models`; no other is known."""
        if asked.path == "/api/models":
            return self._search(asked)
        found = MODEL.fullmatch(asked.path)
        if found is None:
            raise _Refusal(404, None, "Not found")
        repo = self._repo(unquote(found["repo"]), asked)
        commit, files = _revision(repo, unquote(found["rev"] or "main"))
        if found["part"] == "tree":
            recursive = asked.query.get("recursive", [""])[0].lower() in {"true", "1"}
            return _tree(files, unquote(found["folder"] or ""), recursive=recursive)
        if found["part"] == "paths-info":
            return [_tree_file(files[name]) for name in _paths(asked) if name in files]
        return _model(repo, commit, files, blobs="blobs" in asked.query)

    def _search(self, asked: _Asked) -> list[dict[str, Any]]:
        """Public models whose name has every word, the most downloaded first."""
        self._token(asked)
        words = " ".join(asked.query.get("search", [])).lower().split()
        author = asked.query.get("author", [""])[0].lower()
        tags = set(asked.query.get("filter", []))
        listed = [
            repo
            for repo in sorted(self._repos.values(), key=lambda repo: -repo.downloads)
            if not repo.private
            and all(word in repo.id.lower() for word in words)
            and author in {"", repo.id.split("/")[0].lower()}
            and tags <= set(_tags(repo))
        ]
        return [_listed(repo) for repo in listed[: int(asked.query.get("limit", ["1000"])[0])]]


class _Server(ThreadingHTTPServer):
    """One origin. It keeps its connections, so that it can end them."""

    request_queue_size = 128
    daemon_threads = True

    def __init__(self, hub: Hub, origin: Origin, port: int) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.hub, self.origin = hub, origin
        self.address = f"http://127.0.0.1:{self.server_address[1]}"
        self._open: dict[threading.Thread, socket.socket] = {}
        self._acceptor: threading.Thread | None = None

    def start(self) -> None:
        self._acceptor = threading.Thread(target=self.serve_forever, args=(0.02,), name=self.origin, daemon=True)
        self._acceptor.start()

    def stop(self) -> None:
        if self._acceptor is not None:
            self.shutdown()
            self._acceptor.join()
            self._acceptor = None
        self.server_close()
        for thread, connection in list(self._open.items()):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            thread.join(5)

    def process_request(self, request: socket.socket, client_address: object) -> None:
        thread = threading.Thread(target=self._serve, args=(request, client_address), daemon=True)
        self._open[thread] = request
        thread.start()

    def _serve(self, request: socket.socket, client_address: object) -> None:
        try:
            self.process_request_thread(request, client_address)
        finally:
            self._open.pop(threading.current_thread(), None)

    def shutdown_request(self, request: socket.socket) -> None:
        """A socket that is to be reset must not send the FIN first that it sends here."""
        on, _ = struct.unpack(LINGER, request.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.calcsize(LINGER)))
        if on:
            self.close_request(request)
        else:
            super().shutdown_request(request)

    def handle_error(self, request: object, client_address: object) -> None:
        error = sys.exception()
        if error is not None and not isinstance(error, ConnectionError) and not self.hub.closing.is_set():
            self.hub.errors.append(error)


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        """Note the request, find the answer, send it."""
        hub, origin = self.server.hub, self.server.origin
        url = urlsplit(self.path)
        query = parse_qs(url.query, keep_blank_values=True)
        headers = self.headers
        file = hub.file_of(origin, url.path, query)
        entry = hub.enter(
            Request(
                origin,
                self.command,
                url.path,
                headers.get("Range"),
                headers.get("Authorization"),
                file=file,
                query=url.query,
            )
        )
        try:
            body = self.rfile.read(int(headers.get("Content-Length", "0")))
            asked = _Asked(self.command, url.path, query, headers, body)
            answer = hub.answer_hub(asked) if origin == "hub" else hub.answer_cdn(asked)
            self._send(hub.everywhere.alter(answer) if hub.everywhere else answer, entry)
        finally:
            entry.done = True

    do_HEAD = do_GET  # noqa: N815
    do_POST = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass

    def _send(self, answer: Answer, entry: _Entry) -> None:
        is_head = self.command == "HEAD"
        events = sorted(answer.events, key=lambda event: event.at)
        early = [event for event in events if is_head or event.at <= BEFORE]
        if not all(self._happen(event) for event in early):
            return
        entry.status = answer.status
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        if not is_head:
            self._send_body(answer, [event for event in events if event not in early], entry)

    def _send_body(self, answer: Answer, events: list[Drop | Reset | Stall], entry: _Entry) -> None:
        """The bytes, with what happens between them. A length that lies must end the connection."""
        if answer.headers.get("Content-Length") != str(answer.stop - answer.start):
            self.close_connection = True
        position = answer.start
        with ExitStack() as stack:
            source = stack.enter_context(answer.body.open("rb")) if isinstance(answer.body, Path) else answer.body
            for event in events:
                until = answer.start + event.at
                if until > answer.stop:
                    break
                self._send_bytes(answer, source, position, until, entry)
                position = until
                if not self._happen(event):
                    return
            self._send_bytes(answer, source, position, answer.stop, entry)

    def _send_bytes(self, answer: Answer, source: BinaryIO | bytes, start: int, stop: int, entry: _Entry) -> None:
        """Counted before they go, so that a client that has them all finds them counted."""
        hub = self.server.hub
        pace = (_Pace(hub.rate_each) if hub.rate_each else hub.pace) if self.server.origin == "cdn" else _Pace()
        pace.begin()
        while start < stop:
            n_bytes = min(pace.block, stop - start)
            delay = pace.delay(n_bytes)
            if delay > 0 and self.server.hub.closing.wait(delay):
                raise ConnectionAbortedError
            flips = [byte - start for byte in answer.flips if start <= byte < start + n_bytes]
            n_sent = 0
            entry.n_sent += n_bytes
            try:
                n_sent = _send_block(self.connection, source, start, n_bytes, flips)
            finally:
                entry.n_sent -= n_bytes - n_sent
            start += n_sent

    def _happen(self, event: Drop | Reset | Stall) -> bool:
        """Whether the connection goes on afterwards."""
        if isinstance(event, Stall) and self._pause(event.seconds):
            return True
        self.close_connection = True
        if isinstance(event, Reset):
            _drain(self.connection)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack(LINGER, 1, 0))
        return False

    def _pause(self, seconds: float) -> bool:
        """False if the client left before, or the hub closes."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if self.server.hub.closing.wait(min(left, 0.05)) or _has_left(self.connection):
                return False
        return True


def pseudo_random_file(path: Path, n_bytes: int, seed: int = 0) -> Path:
    """Noise as fast as the disk takes it: one block again and again, each with its number in front."""
    block = bytearray(random.Random(seed).randbytes(min(n_bytes, 4 * MiB) + 8))
    with path.open("wb") as file:
        for number, start in enumerate(range(0, n_bytes, 4 * MiB)):
            block[:8] = struct.pack("<Q", number ^ seed)
            file.write(memoryview(block)[: min(4 * MiB, n_bytes - start)])
    return path


def _repo_file(name: str, contents: Contents) -> RepoFile:
    size = length(contents)
    is_lfs = isinstance(contents, Path) or name.endswith(LFS_SUFFIXES) or size > LFS_OVER_BYTES
    return RepoFile(name, contents, size, sha256_of(contents), is_lfs)


def _revision(repo: Repo, rev: str) -> tuple[str, dict[str, RepoFile]]:
    commit = repo.commit if rev == "main" else rev
    if commit not in repo.revisions:
        raise _Refusal(404, "RevisionNotFound", f"Invalid rev id: {rev}")
    return commit, repo.revisions[commit]


def _altered(answer: Answer, faults: tuple[Fault, ...]) -> Answer:
    for fault in faults:
        answer = fault.alter(answer)
    return answer


def _json(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    kind = {"Content-Type": "application/json; charset=utf-8"}
    return text(status, json.dumps(value), **kind, **(headers or {}))


def _tags(repo: Repo) -> list[str]:
    names = repo.revisions[repo.commit]
    return [
        *(["gguf"] if any(name.endswith(".gguf") for name in names) else []),
        *([f"license:{repo.license}"] if repo.license else []),
    ]


def _listed(repo: Repo) -> dict[str, Any]:
    """A line of the list; it says nothing of gates and files."""
    return {
        "id": repo.id,
        "modelId": repo.id,
        "private": repo.private,
        "downloads": repo.downloads,
        "likes": 0,
        "tags": _tags(repo),
        "createdAt": "2023-09-04T16:38:41.000Z",
    }


def _model(repo: Repo, commit: str, files: dict[str, RepoFile], *, blobs: bool) -> dict[str, Any]:
    return {
        **_listed(repo),
        "author": repo.id.split("/")[0],
        "sha": commit,
        "gated": repo.gated,
        "disabled": False,
        "lastModified": "2023-10-14T21:36:26.000Z",
        "cardData": {"license": repo.license} if repo.license else {},
        "siblings": [_sibling(file, blobs=blobs) for file in files.values()],
        **({"gguf": repo.gguf} if repo.gguf else {}),
    }


def _sibling(file: RepoFile, *, blobs: bool) -> dict[str, Any]:
    if not blobs:
        return {"rfilename": file.name}
    lfs = {"sha256": file.sha256, "size": file.size, "pointerSize": file.pointer_size}
    return {"rfilename": file.name, "blobId": file.oid, "size": file.size, **({"lfs": lfs} if file.is_lfs else {})}


def _tree(files: dict[str, RepoFile], folder: str, *, recursive: bool) -> list[dict[str, Any]]:
    """Folders, then files; only those directly below unless `recursive`."""
    base = f"{folder}/" if folder else ""
    below = [file for name, file in files.items() if name.startswith(base)]
    folders = {str(parent) for file in below for parent in Path(file.name).parents} - {".", folder}
    names = sorted(name for name in folders if name.startswith(base) and (recursive or "/" not in name[len(base) :]))
    made = [
        {"type": "directory", "oid": hashlib.sha1(name.encode()).hexdigest(), "size": 0, "path": name} for name in names
    ]
    return made + [_tree_file(file) for file in below if recursive or "/" not in file.name[len(base) :]]


def _tree_file(file: RepoFile) -> dict[str, Any]:
    lfs = {"oid": file.sha256, "size": file.size, "pointerSize": file.pointer_size}
    made = {"type": "file", "oid": file.oid, "size": file.size, "path": file.name}
    return {**made, "lfs": lfs} if file.is_lfs else made


def _paths(asked: _Asked) -> list[str]:
    """As a form, which the library sends, or as JSON."""
    if "json" in asked.headers.get("Content-Type", ""):
        return list(json.loads(asked.body)["paths"])
    return parse_qs(asked.body.decode()).get("paths", [])


def _send_block(connection: socket.socket, source: BinaryIO | bytes, start: int, n_bytes: int, flips: list[int]) -> int:
    """How many went. A file goes by sendfile where there is one, and no byte of it is to change."""
    if not isinstance(source, bytes) and not flips and hasattr(os, "sendfile"):
        return os.sendfile(connection.fileno(), source.fileno(), start, n_bytes)
    if isinstance(source, bytes):
        block = memoryview(source)[start : start + n_bytes]
    else:
        source.seek(start)
        block = memoryview(source.read(n_bytes))
    if flips:
        changed = bytearray(block)
        for byte in flips:
            changed[byte] ^= 0xFF
        block = memoryview(changed)
    return connection.send(block)


def _drain(connection: socket.socket, seconds: float = 5.0) -> None:
    """Wait until the peer's side has all that was sent: a reset throws away what still waits here."""
    end = time.monotonic() + seconds
    while _n_waiting(connection) and time.monotonic() < end:
        time.sleep(0.001)


def _n_waiting(connection: socket.socket) -> int:
    """Bytes in the send queue. Only Linux tells; elsewhere a pause has to do."""
    if sys.platform != "linux":
        time.sleep(0.2)
        return 0
    import fcntl
    import termios

    return int(struct.unpack("i", fcntl.ioctl(connection, termios.TIOCOUTQ, b"\0" * 4))[0])


def _has_left(connection: socket.socket) -> bool:
    try:
        return bool(select.select([connection], [], [], 0)[0]) and not connection.recv(1, socket.MSG_PEEK)
    except OSError:
        return True


def main() -> None:
    """Serve files until a signal comes: `python -m tests.hub.server --port 8000 owner/name model.gguf README.md`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("repo", metavar="OWNER/NAME")
    parser.add_argument("files", metavar="FILE", type=Path, nargs="+")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--cdn-port", type=int, default=0)
    parser.add_argument("--rate", type=float, metavar="BYTES_PER_SECOND")
    options = parser.parse_args()
    with Hub(options.port, options.cdn_port, rate=options.rate) as hub:
        hub.add(options.repo, {path.name: path for path in options.files})
        sys.stdout.write(f"{hub.endpoint}\n")
        sys.stdout.flush()
        with suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main()
