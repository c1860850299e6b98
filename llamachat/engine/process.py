"""The engine as llamachat sees it: requests to a child process, answers as events.

One inbox feeds the caller's thread: what the supervisor posts, and interrupts, which a signal handler may
put there. Only the caller's thread sends, so no signal can cut a frame in two.
"""

from __future__ import annotations

import itertools
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from llamachat.engine import protocol
from llamachat.engine.base import Delta, Event, Finished, Loading, Notice, Reading, Rendered, Request, Token, Waiting
from llamachat.engine.idle import Idle
from llamachat.engine.inbox import Inbox, Interrupt
from llamachat.engine.ladder import Ladder
from llamachat.engine.launch import WORKER
from llamachat.engine.protocol import (
    Cancel,
    Done,
    Failed,
    Frame,
    LoadProgress,
    Measure,
    MeasureDone,
    Prefill,
    PrefillProgress,
    Render,
    RenderDone,
    TextDelta,
    Tokenize,
    TokenizeDone,
    Tune,
    TuneDone,
    TuneStep,
    error_of,
)
from llamachat.engine.requests import UnderWay, reply_frame, seeds_of
from llamachat.engine.supervisor import Died, Item, Recipe, Supervisor
from llamachat.engine.tunings import Tunings
from llamachat.errors import Interrupted, LlamachatError
from llamachat.types import LoadOptions, Message, ModelInfo

if TYPE_CHECKING:
    from llamachat.engine.warm import Warm  # socket, which few need

_MOST_COUNTS = 100_000  # prompts whose sizes are remembered
_PATIENCE = 2.0  # seconds for a cancelled request to end before the engine is killed

_MakeFrame = Callable[[ModelInfo], Frame | None]
_AnswerT = TypeVar("_AnswerT", RenderDone, MeasureDone, TokenizeDone)


class EngineProcess:
    """An `Engine` (base.py) in a child process, which starts with `start` or the first request.

    `log` gets what native code prints. `command` starts a child (launch.py); `started` is the first one, if
    it was started already. `family` is the kind of model for which the ladder remembers what works. When nothing was
    asked for `idle_seconds`, unless they are 0, the child ends; the next request, or `start`, starts another. With
    `warm`, an engine that stayed may be used, and this one stays.
    """

    def __init__(
        self,
        options: LoadOptions,
        *,
        log: Path,
        ladder: Ladder,
        family: str = "",
        command: Sequence[str] = WORKER,
        started: subprocess.Popen[bytes] | None = None,
        idle_seconds: float = 0,
        warm: Warm | None = None,
        tunings: Tunings | None = None,
    ) -> None:
        self.options = options
        self.on_change: Callable[[], None] | None = None
        self._recipe = Recipe(options, log, ladder, family, tuple(command), warm, tunings)
        self._started = started
        self._inbox = Inbox()
        self._ids = itertools.count(1)
        self._supervisor: Supervisor | None = None
        self._counts: dict[tuple[Message, ...], int] = {}
        self._sha256: str | None = None
        self._idle = Idle(idle_seconds, self._rest)
        self.is_resting = False
        self.is_busy = False  # it is asked for an answer

    @property
    def name(self) -> str:
        return self.options.name or Path(self.options.path).stem

    @property
    def path(self) -> str | None:
        return self.options.path

    @property
    def info(self) -> ModelInfo | None:
        supervisor = self._supervisor
        info = supervisor.info if supervisor else None
        return replace(info, sha256=self._sha256) if info and self._sha256 else info

    @property
    def failure(self) -> LlamachatError | None:
        supervisor = self._supervisor
        return supervisor.failure if supervisor else None

    @property
    def loading(self) -> Loading:
        supervisor = self._supervisor
        return supervisor.loading if supervisor else Loading(0, 0)

    @property
    def pid(self) -> int | None:
        """The child's process id."""
        supervisor = self._supervisor
        return supervisor.pid if supervisor else None

    def start(self) -> None:
        with self._idle.use():
            self._running()

    def reply(self, request: Request) -> Iterator[Event]:
        number, seeds = next(self._ids), seeds_of(request)
        self.is_busy = True
        try:
            for item in self._converse(number, lambda info: reply_frame(number, request, seeds, info), len(seeds)):
                match item:
                    case LoadProgress():
                        yield Loading(item.done, item.total)
                    case PrefillProgress():
                        yield Reading(item.done, item.total)
                    case protocol.Waiting():
                        yield Waiting(item.seconds)
                    case TextDelta():
                        yield Delta(item.text, item.index)
                    case Notice():
                        yield item
                    case Done():
                        yield self._finished(item, seeds[item.index])
        finally:
            self.is_busy = False

    def render(self, request: Request) -> Rendered:
        frame = Render(next(self._ids), request.messages, request.open_answer, request.raw_tags)
        done = self._ask(frame, RenderDone)
        return Rendered(done.text, done.pieces, done.context)

    def measure(self, prompts: Sequence[tuple[Message, ...]]) -> tuple[int, ...]:
        if len(self._counts) > _MOST_COUNTS:
            self._counts.clear()
        if unknown := tuple({prompt: None for prompt in prompts if prompt not in self._counts}):
            done = self._ask(Measure(next(self._ids), unknown), MeasureDone)
            self._counts.update(zip(unknown, done.n_tokens, strict=True))
        return tuple(self._counts[prompt] for prompt in prompts)

    def tokens(self, text: str) -> tuple[Token, ...]:
        return self._ask(Tokenize(next(self._ids), text, only_count=False), TokenizeDone).pieces

    def count(self, text: str) -> int:
        return self._ask(Tokenize(next(self._ids), text, only_count=True), TokenizeDone).n_tokens

    def tune(self) -> Iterator[Loading | Waiting | Notice | TuneStep | TuneDone]:
        """Measure what suits the model here, and remember it; the last event is what was found.

        Raises what `reply` does, Interrupted after Ctrl-C, and UsageError where there is nothing to choose.
        """
        number = next(self._ids)
        was_stopped = True
        self.is_busy = True
        try:
            for item in self._converse(number, lambda _: Tune(number)):
                match item:
                    case LoadProgress():
                        yield Loading(item.done, item.total)
                    case protocol.Waiting():
                        yield Waiting(item.seconds)
                    case Notice() | TuneStep():
                        yield item
                    case TuneDone():
                        was_stopped = item.is_stopped
                        yield item
        finally:
            self.is_busy = False
        if was_stopped:
            raise Interrupted("interrupted before all was measured: the defaults stay.")

    def prefill(self, request: Request) -> None:
        with self._idle.use():
            if self._supervisor and self._supervisor.info:
                exact = request.seed is not None
                frame = Prefill(next(self._ids), request.messages, exact, request.shift, request.unfinished)
                self._supervisor.send(frame)

    def identify(self, sha256: str) -> None:
        """The hash of the model's file has become known. Callable from any thread."""
        self._sha256 = sha256

    def interrupt(self) -> None:
        self._inbox.interrupt()

    def wait_until_loaded(self) -> Iterator[Event]:
        """Loading progress and notices until the model is ready. Raises what `reply` would."""
        for item in self._converse(0, lambda _: None):
            if isinstance(item, LoadProgress):
                yield Loading(item.done, item.total)
            elif isinstance(item, Notice):
                yield item

    def close(self) -> None:
        self._idle.close()
        if self._supervisor:
            self._supervisor.close()

    def _ask(self, frame: Render | Measure | Tokenize, answer: type[_AnswerT]) -> _AnswerT:
        """Send a request that one frame answers. Raises Interrupted after Ctrl-C, and what `_converse` does."""
        notices = []
        try:
            for item in self._converse(frame.id, lambda _: frame):
                if isinstance(item, answer):
                    return item
                if isinstance(item, Notice):
                    notices.append(item)
        finally:
            self._inbox.put_back(notices)
        raise Interrupted("interrupted before the engine had answered.")

    def _running(self) -> Supervisor:
        """The supervisor, a new one if the last has given up: what failed may have been mended since.

        A model that could not be loaded is not tried again while its engine lives.
        """
        if self._supervisor is None or not self._supervisor.is_running:
            started, self._started = self._started, None
            self._supervisor = Supervisor(self._recipe, started, self._inbox.post, self._changed)
            self.is_resting = False
        return self._supervisor

    def _rest(self) -> Callable[[], None] | None:
        """Part from the child, and how to end it; None while it has not loaded yet. Nobody waits for an answer."""
        supervisor = self._supervisor
        if supervisor is None or supervisor.info is None:
            return None
        self._supervisor, self.is_resting = None, True
        self._changed()
        return supervisor.close

    def _changed(self) -> None:
        if self.on_change:
            self.on_change()

    def _converse(self, number: int, make: _MakeFrame, n_answers: int = 1) -> Iterator[Item]:
        """Send the request once the model is loaded; the items for it, up to and including the last, or each answer's.

        Where `make` gives None, only the loading is waited for. A child that dies before it has said anything
        is followed by another, which gets the same request, once. Raises what Failed says, EngineDied, and
        Interrupted when nothing had been sent yet.
        """
        with self._idle.use():
            yield from self._conversation(number, make, n_answers)

    def _conversation(self, number: int, make: _MakeFrame, n_answers: int) -> Iterator[Item]:
        engine = self._running()
        yield from self._inbox.left_notices()
        sent = said = retried = killed = False
        deadline: float | None = None
        under_way = UnderWay(number, n_answers)
        while True:
            if engine.failure:
                raise engine.failure
            if engine.info and not sent:
                if (frame := make(engine.info)) is None:
                    return
                engine.send(frame)
                sent = True
            match item := self._inbox.next(deadline):
                case None:
                    engine.kill()
                    killed, deadline = True, None
                case Interrupt() if not sent:
                    raise Interrupted("interrupted while the model was loading.")
                case Interrupt():
                    engine.send(Cancel(number))
                    # The first is patient, a second is not.
                    deadline = time.monotonic() + (_PATIENCE if deadline is None else 0)
                case Died() if killed:
                    yield from under_way.interrupted()
                    return
                case Died(error) if error and (said or retried):
                    raise error
                case Died(error):
                    sent, retried = False, error is not None
                case Failed() if item.id == number:
                    raise error_of(item)
                case LoadProgress() | Notice():
                    yield item
                case Frame() if getattr(item, "id", None) == number:
                    said = said or isinstance(item, TextDelta | Done)
                    yield item
                    if under_way.is_over_with(item):
                        return

    def _finished(self, done: Done, seed: int) -> Finished:
        load = self.info.load_seconds if self.info else 0.0
        timings = replace(done.timings, load=load)
        return Finished(done.reason, seed, done.tokens, done.usage, timings, done.context, done.index, done.draft)
