"""What was evaluated once, on the disk: which blocks of the KV cache are worth loading, and which are kept.

A prompt is cut into blocks of the same length, and each has a name that follows from everything up to its end
(blocks.py). `restore` finds those that a prompt begins with and puts them into the session before its `sync`; the last
of them may share only its beginning. `save` writes those that are not there yet. Sessions that go on, system prompts
and documents that are asked about again are all this.

Only what was part of a request is written, and only on behalf of somebody who may be written down: never text that was
evaluated ahead. A cache that was shifted is no longer a function of its tokens and is not written.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from llamachat import cache
from llamachat.cache import Cache
from llamachat.errors import StorageError
from llamachat.llama.blocks import OFF_GRID, Folder, Name, chain
from llamachat.llama.identity import Identity, can_be_kept, identify
from llamachat.llama.model import Model
from llamachat.llama.rates import Rates
from llamachat.llama.session import Session, common_prefix

BLOCK = 64  # tokens: 32 MiB of a 7B Llama 2, which is written while nobody waits and given up at once when one does
_SHORTEST = 8  # part of a block that is worth a file
_MOST_FAILURES = 3  # of the disk, after which nothing is written any more
_SPARE = 20  # part of the quota that is cleared at a time: each time all files are looked at


@dataclass(frozen=True, slots=True)
class _Step:
    """A block of a prompt. `name` may be on the disk or not."""

    start: int
    tokens: Sequence[int]
    name: Name


@dataclass(frozen=True, slots=True)
class _Hit:
    """A block on the disk, and how many of its tokens the prompt has."""

    name: Name
    n_used: int


class Snapshots:
    """The blocks of one session's model in the cache. `quota` are bytes of all models together."""

    def __init__(self, kept: Cache, session: Session, identity: Identity, quota: int, block: int = BLOCK) -> None:
        self._cache = kept
        self._session = session
        self._identity = identity
        self._quota = quota
        self._block = block
        self._folder = Folder(kept.folder / identity.fingerprint.hex())
        self.rates = Rates.remembered(cache.about(self._folder.path))
        self._owner = ""
        self._sent: list[int] = []
        self._done: object = None  # what the last complete `save` has dealt with
        self._claimed: tuple[str, set[str]] = ("", set())
        self._n_bytes: int | None = None  # of the whole cache, as far as is known
        self._n_failures = 0  # of the disk, one after the other
        self._wrote = False  # something, since the rates were written down
        self._now = 0  # when the `save` under way began, in nanoseconds

    @classmethod
    def of(cls, model: Model, session: Session) -> Snapshots | None:
        """As the model was loaded; None where nothing can be kept, or is to be."""
        options = model.options
        if options.cache_folder is None or not options.cache_bytes or not can_be_kept(model):
            return None
        try:
            return cls(Cache(Path(options.cache_folder)), session, identify(model, session), options.cache_bytes)
        except OSError:
            return None  # the file is gone: the model in memory still answers

    def restore(self, tokens: Sequence[int], *, exact: bool = False, shift: bool = False) -> int:
        """Put what the disk has of a prompt into the session, where that is quicker than evaluating it.

        To be called before a `sync` with the same arguments; returns how many tokens that is spared. With `exact` the
        logits will have the bits that they would have without. What can be moved in the cache is left there.
        """
        moves = shift and self._session.can_shift and not exact and bool(self._session.tokens)
        if moves or self._session.abort or len(tokens) >= self._session.n_ctx:
            return 0
        n_live = self._session.settle(tokens, exact=exact)
        wanted = tokens[:-1]  # the last one is evaluated for its logits
        if not self.rates.is_noticed(len(wanted) - n_live):
            return 0
        first = n_live // self._block
        hits = self._find(wanted, exact=exact)[first:]
        n_gained = first * self._block + sum(hit.n_used for hit in hits) - n_live
        n_bytes = sum(self._folder.size(hit.name) for hit in hits)
        if n_gained <= 0 or not self.rates.is_noticed(n_gained) or not self.rates.pays(n_gained, n_bytes):
            return 0
        self._session.settle(tokens[: first * self._block + 1], exact=exact)
        for hit in hits:
            if self._session.abort or not self._load(hit, tokens):
                break
        return max(0, len(self._session.tokens) - n_live)

    def sent(self, owner: str) -> None:
        """What the session holds now is a request and its answer, which may be kept on behalf of this owner."""
        self._owner, self._sent = owner, list(self._session.tokens)

    def save(self, *, tail: bool) -> Iterator[None]:
        """Write the blocks that are not there yet, one a step; with `tail` also the last tokens, which fill none.

        It can be left after any step. Trouble with the disk ends it.
        """
        tokens = self._keepable()
        if (done := (self._owner, tokens, tail)) == self._done or not self.rates.is_noticed(len(tokens)):
            return
        if self._was_removed():
            self._owner = ""
            return
        shortest = self._block // _SHORTEST if tail else self._block
        steps = list(self._steps(tokens, min(self._session.n_on_grid, len(tokens)), shortest))
        try:
            there = self._folder.children()
        except OSError:
            there = {}
        self._now = time.time_ns()
        self._touch(steps, there)
        n_bytes, self._n_bytes = 0, None  # other processes write, too
        for step in steps:
            if known := _known(step.name, there):
                n_bytes += self._folder.size(known)
                self._claim(known)
            elif size := self._write(step, n_bytes, there.get(step.name.parent, [])):
                n_bytes += size
                self._claim(step.name, is_new=True)
                yield
            else:
                break
        self._remember()
        self._done = done

    def _find(self, wanted: Sequence[int], *, exact: bool) -> list[_Hit]:
        """The blocks on the disk that a prompt begins with."""
        hits: list[_Hit] = []
        try:
            there = self._folder.children()
            for step in self._steps(wanted, len(wanted) if exact else 0, shortest=1):
                beside = there.get(step.name.parent, [])
                if exact:
                    if step.name.grid == OFF_GRID or step.name not in beside:
                        break
                    hits.append(_Hit(step.name, len(step.tokens)))
                elif known := next((name for name in beside if name.own == step.name.own), None):
                    hits.append(_Hit(known, len(step.tokens)))
                else:
                    return hits + self._partly(step.tokens, beside)
        except OSError:
            return []
        n_chunks = len(hits) * self._block // self._session.chunk
        return hits[: n_chunks * self._session.chunk // self._block] if exact else hits

    def _partly(self, tokens: Sequence[int], beside: Sequence[Name]) -> list[_Hit]:
        """The block that shares most of its beginning with these tokens, if any does."""
        shared = [_Hit(name, common_prefix(known, tokens)) for name, known in self._folder.tokens(beside)]
        best = max(shared, key=lambda hit: hit.n_used, default=None)
        return [best] if best and best.n_used else []

    def _load(self, hit: _Hit, tokens: Sequence[int]) -> bool:
        """Put a block behind what the session holds; whether that went well."""
        started = time.perf_counter()
        start = len(self._session.tokens)
        end = start + hit.n_used
        content = self._folder.read(hit.name, start)
        if content is None:
            return False
        on_grid = hit.name.grid != OFF_GRID and hit.name.grid == self._grid(tokens, start, len(tokens))
        fits = list(content.tokens[: hit.n_used]) == list(tokens[start:end])
        if not fits or not self._session.write(content.tokens, content.state, hit.n_used, on_grid=on_grid):
            self._folder.remove(hit.name)
            return False
        self.rates.loaded(len(content.state), time.perf_counter() - started)
        return True

    def _keepable(self) -> list[int]:
        """What the session holds and may be written."""
        if not self._session.is_pure or not self._owner:
            return []
        return self._sent[: common_prefix(self._sent, self._session.tokens)]

    def _steps(self, tokens: Sequence[int], n_on_grid: int, shortest: int) -> Iterator[_Step]:
        """The blocks of these tokens, of which so many lie on the grid. The last one is left out if it is too short."""
        parent = self._identity.fingerprint
        for start in range(0, len(tokens), self._block):
            part = tokens[start : start + self._block]
            if len(part) < shortest:
                return
            own = chain(parent, part)
            yield _Step(start, part, Name(parent, own, self._grid(tokens, start, n_on_grid)))
            parent = own

    def _grid(self, tokens: Sequence[int], start: int, n_on_grid: int) -> bytes:
        """Of a block in a whole chunk of the grid: that it is one, and of which chunk. Else OFF_GRID.

        The whole chunk counts: in a mixture of experts, tokens are batched by expert.
        """
        chunk = self._session.chunk
        first = start // chunk * chunk
        if chunk % self._block or first + chunk > n_on_grid:
            return OFF_GRID
        return hashlib.blake2b(chain(self._identity.grid, tokens[first : first + chunk]), digest_size=4).digest()

    def _write(self, step: _Step, n_before: int, beside: Sequence[Name]) -> int:
        """Write a block that has so many bytes before it in its chain; its bytes, or 0. It replaces shorter ones."""
        state = self._session.read(step.start, step.start + len(step.tokens))
        try:
            if not self._make_room(n_before, len(state)):
                return 0
            size = self._folder.write(step.name, step.start, step.tokens, state)
        except (OSError, StorageError):
            self._fail()
            return 0
        self._n_failures = 0
        self._n_bytes = (self._n_bytes or 0) + size
        self._folder.touch(step.name, self._now - 1000 * step.start)
        self._wrote = True
        for name, known in self._folder.tokens(beside):
            is_shorter = len(known) < len(step.tokens) and list(step.tokens[: len(known)]) == list(known)
            if is_shorter or name.own == step.name.own:
                self._folder.remove(name)
        return size

    def _make_room(self, n_before: int, n_bytes: int) -> bool:
        """Let others go until there is room for a block; False where its own chain would have to."""
        if n_before + n_bytes > self._quota:
            return False
        if self._n_bytes is None:
            self._n_bytes = self._cache.trim(self._quota, self._identity.build)
        if self._n_bytes + n_bytes > self._quota:
            self._n_bytes = self._cache.trim(self._quota - max(n_bytes, self._quota // _SPARE))
        return self._cache.has_room(n_bytes)

    def _touch(self, steps: Sequence[_Step], there: dict[bytes, list[Name]]) -> None:
        """Say that these blocks were used; those that stand further back a little earlier, so that they go first."""
        for step in steps:
            if known := _known(step.name, there, any_grid=True):
                self._folder.touch(known, self._now - 1000 * step.start)

    def _was_removed(self) -> bool:
        """Whether blocks were claimed for this owner, and nothing says so any more: the session was removed."""
        owner, labels = self._claimed
        return owner == self._owner and bool(labels) and not self._cache.owned(owner)

    def _claim(self, name: Name, *, is_new: bool = False) -> None:
        """Write down whose block this is."""
        if self._claimed[0] != self._owner:
            self._claimed = (self._owner, self._cache.owned(self._owner))
        label = f"{self._folder.path.name}/{name.file}"
        if is_new or label not in self._claimed[1]:
            self._claimed[1].add(label)
            self._cache.claim(self._owner, [label])

    def _remember(self) -> None:
        """Write down what was measured, if there is a block for which it matters."""
        if not self._wrote:
            return
        self._wrote = False
        known = {"name": self._identity.name, "build": self._identity.build}
        rates = {"prefill": self.rates.prefill, "load": self.rates.load}
        try:
            cache.remember(self._folder.path, known | rates)
        except (OSError, StorageError):
            self._fail()

    def _fail(self) -> None:
        """The disk refused: that may have been for a moment, but not again and again."""
        self._n_failures += 1
        if self._n_failures >= _MOST_FAILURES:
            self._quota = 0


def _known(name: Name, there: dict[bytes, list[Name]], *, any_grid: bool = False) -> Name | None:
    """The block on the disk that makes this one needless: the same, and on the grid if this one is."""
    same = [each for each in there.get(name.parent, []) if each.own == name.own]
    same.sort(key=lambda each: each.grid == OFF_GRID)
    if same and (any_grid or name.grid == OFF_GRID or same[0].grid != OFF_GRID):
        return same[0]
    return None
