"""An engine and a raw loop of known speed: seconds are computed, not measured."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace

from llamachat.bench.values import Sample
from llamachat.engine.base import Event, Finished, Request, Token
from llamachat.types import ContextUse, FinishReason, Timings, Usage
from tests.fakes.engine import INFO, ScriptedEngine


class Steady:
    """Reads and writes at a pace, in seconds a token, and remembers what it has read."""

    def __init__(self, read: float, write: float) -> None:
        self.read, self.write = read, write
        self.known: list[int] = []

    def sample(self, tokens: Sequence[int], n_write: int) -> Sample:
        n_reused = 0
        while n_reused < min(len(self.known), len(tokens) - 1) and self.known[n_reused] == tokens[n_reused]:
            n_reused += 1
        self.known = list(tokens)
        n_read = len(tokens) - n_reused
        prefill = self.read * n_read
        return Sample(n_reused, n_read, n_write, prefill, self.write * max(1, n_write - 1), prefill)


class SteadyEngine(ScriptedEngine):
    """`calls` is the order in which it and a `SteadyRaw` with the same list were asked."""

    def __init__(self, read: float = 0.001, write: float = 0.01, n_ctx: int = 4096) -> None:
        super().__init__()
        self.info = replace(INFO, n_ctx=n_ctx)
        self.calls: list[str] = []
        self._steady = Steady(read, write)

    def tokens(self, text: str) -> tuple[Token, ...]:
        return tuple(Token(zlib.crc32(word.encode()), word) for word in text.split())

    def reply(self, request: Request) -> Iterator[Event]:
        self.calls.append("ours")
        sample = self._steady.sample(self.render(request).tokens, request.max_tokens)
        usage = Usage(sample.n_reused + sample.n_read, sample.n_reused, sample.n_written)
        timings = Timings(0.0, sample.prefill, sample.first_token, sample.decode)
        yield Finished(FinishReason.LENGTH, 7, None, usage, timings, ContextUse(self.info.n_ctx, usage.prompt_tokens))


class SteadyRaw:
    def __init__(self, calls: list[str], read: float = 0.0005, write: float = 0.01) -> None:
        self._calls = calls
        self._steady = Steady(read, write)

    def measure(self, tokens: Sequence[int], n_write: int) -> Sample:
        self._calls.append("raw")
        return self._steady.sample(tokens, n_write)
