"""Answers, and what can go wrong with them. A fault changes an answer before it is sent; it knows no sockets.

Where a fault has `at`, it counts the body bytes of that one answer, so an answer that starts at byte 7 of
the file and drops `at=5` has sent bytes 7 to 11. BEFORE is before the status line; on a HEAD all are.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

Contents = bytes | Path

BEFORE = -1
FOREVER = 1e9

PORTAL = "<!DOCTYPE html><html><head><title>Sign in</title></head><body>Welcome to the hotel network.</body></html>"


@dataclass(frozen=True)
class Answer:
    """What goes out for one request: bytes `start` to `stop` of `body`, those at `flips` inverted."""

    status: int
    headers: dict[str, str]
    body: Contents = b""
    start: int = 0
    stop: int = 0
    asked: str | None = None
    flips: frozenset[int] = frozenset()
    events: tuple[Drop | Reset | Stall, ...] = ()


class Fault(Protocol):
    def alter(self, answer: Answer) -> Answer: ...


# One attempt: no fault, one, or several in this order.
Attempt = Fault | tuple[Fault, ...] | None


@dataclass(frozen=True)
class Drop:
    """The connection ends in good order (FIN)."""

    at: int = BEFORE

    def alter(self, answer: Answer) -> Answer:
        return replace(answer, events=(*answer.events, self))


@dataclass(frozen=True)
class Reset:
    """The connection is torn down (RST), once the client's side has all bytes before it."""

    at: int = BEFORE

    def alter(self, answer: Answer) -> Answer:
        return replace(answer, events=(*answer.events, self))


@dataclass(frozen=True)
class Stall:
    """Nothing for some time, or until the client leaves; then on as if nothing had been."""

    at: int = BEFORE
    seconds: float = FOREVER

    def alter(self, answer: Answer) -> Answer:
        return replace(answer, events=(*answer.events, self))


@dataclass(frozen=True)
class Status:
    """Another status, with a short text."""

    code: int
    headers: dict[str, str] = field(default_factory=dict)

    def alter(self, answer: Answer) -> Answer:
        return text(self.code, f"Fault {self.code}\n", **self.headers)


@dataclass(frozen=True)
class TooManyRequests:
    retry_after: int | str = 600

    def alter(self, answer: Answer) -> Answer:
        return text(429, "Too Many Requests\n", **{"Retry-After": str(self.retry_after)})


@dataclass(frozen=True)
class Html:
    """A captive portal: a page where something else was asked for."""

    page: str = PORTAL
    code: int = 200

    def alter(self, answer: Answer) -> Answer:
        return text(self.code, self.page, **{"Content-Type": "text/html; charset=utf-8"})


@dataclass(frozen=True)
class Expire:
    """The signed URL is refused, now and from now on; a fresh one works."""

    def alter(self, answer: Answer) -> Answer:
        return refused("Request has expired")


@dataclass(frozen=True)
class IgnoreRange:
    """The whole file with 200, whatever was asked."""

    def alter(self, answer: Answer) -> Answer:
        return ranged(answer.body, None, etag=answer.headers.get("ETag"))


@dataclass(frozen=True)
class WrongRange:
    """206 with as many bytes as were asked for, but from the start. Content-Range tells it only if `honest`."""

    honest: bool = False

    def alter(self, answer: Answer) -> Answer:
        if answer.status != 206:
            return answer
        n_bytes = answer.stop - answer.start
        told = f"bytes 0-{n_bytes - 1}/{length(answer.body)}" if self.honest else answer.headers["Content-Range"]
        return replace(answer, start=0, stop=n_bytes, headers={**answer.headers, "Content-Range": told})


@dataclass(frozen=True)
class Flip:
    """One byte of the file, counted from its start, arrives inverted whenever it is sent."""

    byte: int

    def alter(self, answer: Answer) -> Answer:
        return replace(answer, flips=answer.flips | {self.byte})


@dataclass(frozen=True)
class FlipInRange:
    """The first byte of a 206 arrives inverted; a 200 is left alone."""

    def alter(self, answer: Answer) -> Answer:
        return Flip(answer.start).alter(answer) if answer.status == 206 else answer


@dataclass(frozen=True)
class ShortBody:
    """The last bytes are missing, and the Content-Length agrees."""

    missing: int = 1000

    def alter(self, answer: Answer) -> Answer:
        stop = max(answer.start, answer.stop - self.missing)
        headers = {**answer.headers, "Content-Length": str(stop - answer.start)}
        return replace(answer, stop=stop, headers=headers)


@dataclass(frozen=True)
class LongLength:
    """All bytes come, but the Content-Length promised more; then the connection ends."""

    by: int = 1000

    def alter(self, answer: Answer) -> Answer:
        told = str(int(answer.headers["Content-Length"]) + self.by)
        return replace(answer, headers={**answer.headers, "Content-Length": told})


@dataclass(frozen=True)
class Replace:
    """Another file under the same address, as a mirror that serves by path has after an upload."""

    contents: Contents

    def alter(self, answer: Answer) -> Answer:
        return ranged(self.contents, answer.asked, etag=f'"{sha256_of(self.contents)}"')


@dataclass(frozen=True)
class Header:
    """One header with another value, or without it."""

    name: str
    value: str | None

    def alter(self, answer: Answer) -> Answer:
        headers = {name: value for name, value in answer.headers.items() if name.lower() != self.name.lower()}
        return replace(answer, headers=headers if self.value is None else {**headers, self.name: self.value})


def length(contents: Contents) -> int:
    return len(contents) if isinstance(contents, bytes) else contents.stat().st_size


def sha256_of(contents: Contents) -> str:
    if isinstance(contents, bytes):
        return hashlib.sha256(contents).hexdigest()
    with contents.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def text(status: int, body: str, **headers: str) -> Answer:
    """A short answer. Header names with a dash come as `**{"Retry-After": "1"}`."""
    data = body.encode()
    common = {"Content-Type": "text/plain; charset=utf-8", "Content-Length": str(len(data))}
    return Answer(status, {**common, **headers}, data, stop=len(data))


def refused(message: str) -> Answer:
    """403 as an S3-like store says it."""
    body = f"<Error><Code>AccessDenied</Code><Message>{message}</Message><RequestId>FAKE</RequestId></Error>"
    return text(403, f'<?xml version="1.0" encoding="UTF-8"?>\n{body}', **{"Content-Type": "application/xml"})


def ranged(body: Contents, asked: str | None, *, etag: str | None) -> Answer:
    """200 with the whole, 206 for one satisfiable range, 416 for one beyond the end (RFC 9110, 14)."""
    size = length(body)
    headers = {"Content-Type": "application/octet-stream", "Accept-Ranges": "bytes"}
    headers |= {"ETag": etag} if etag else {}
    span = parse_range(asked, size)
    if span is None:
        return Answer(200, {**headers, "Content-Length": str(size)}, body, 0, size, asked)
    start, stop = span
    if start >= stop:
        return text(416, "", **{"Content-Range": f"bytes */{size}"})
    headers |= {"Content-Range": f"bytes {start}-{stop - 1}/{size}", "Content-Length": str(stop - start)}
    return Answer(206, headers, body, start, stop, asked)


def parse_range(asked: str | None, size: int) -> tuple[int, int] | None:
    """Start and end (exclusive) of one range; an empty one where it cannot be satisfied, None where none counts."""
    found = re.fullmatch(r"bytes=(\d*)-(\d*)", asked or "")
    if found is None or found.groups() == ("", ""):
        return None
    first, last = found.groups()
    if not first:
        return max(0, size - int(last)), size
    if last and int(last) < int(first):
        return None
    start = min(int(first), size)
    return start, min(int(last) + 1, size) if last else size
