"""The engine as llamachat sees it: a child process, started, supervised, interrupted and restarted.

A thread supervises: it starts the child, reads its frames, and starts it again when it dies, one rung
safer (ladder.py) when it died before it had ever computed anything. The caller's thread runs `reply`,
fed through one queue, into which a signal handler can put an interrupt as well.
"""

from __future__ import annotations

import itertools
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import msgspec

from llamachat.engine.base import Delta, Event, Finished, Loading, Notice, Reading, Rendered, Request
from llamachat.engine.ladder import Ladder, Rung, apply, describe_exit, is_native_crash, next_rung, notice
from llamachat.engine.launch import WORKER, launch
from llamachat.engine.protocol import (
    Cancel,
    Done,
    Failed,
    Frame,
    FrameError,
    FrameReader,
    Hello,
    Load,
    Loaded,
    LoadProgress,
    Prefill,
    PrefillProgress,
    Render,
    RenderDone,
    Reply,
    TextDelta,
    Up,
    pack,
)
from llamachat.errors import (
    ContextOverflow,
    EngineDied,
    ExitCode,
    ForbiddenTag,
    Interrupted,
    LlamachatError,
    ModelError,
    UsageError,
)
from llamachat.types import ContextUse, FinishReason, LoadOptions, Message, ModelInfo, Sampling, Timings, Usage

_PATIENCE = 2.0  # seconds for a cancelled request to end before the engine is killed
_POLL = 0.2 if sys.platform == "win32" else None  # a wait without a limit is deaf to Ctrl-C on Windows
_STARTS = 2  # tries at one rung when the child ends for a reason that is not its own code


@dataclass(frozen=True, slots=True)
class _Interrupt:
    """The user wants the running request to end."""


@dataclass(frozen=True, slots=True)
class _Died:
    """The child ended: by our hand, to start anew one rung safer, or with an error for the request under way."""

    error: LlamachatError | None = None
    by_us: bool = False


_Item = Frame | Notice | _Interrupt | _Died
_MakeFrame = Callable[[ModelInfo], Frame | None]


class EngineProcess:
    """An `Engine` (base.py) in a child process, which starts with `start` or the first request.

    `log` gets what native code prints. `command` starts a child (launch.py); `started` is the first one, if
    it was started already. `family` is the kind of model for which the ladder remembers what works.
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
    ) -> None:
        self.options = options
        self.loading = Loading(0, 0)
        self.on_change: Callable[[], None] | None = None
        self._log = log
        self._ladder = ladder
        self._family = family
        self._command = tuple(command)
        self._started = started
        self._items: queue.SimpleQueue[_Item] = queue.SimpleQueue()
        self._ids = itertools.count(1)
        self._supervisor: threading.Thread | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self._sending = threading.Lock()
        self._closed = False
        # Written by the supervisor:
        self._info: ModelInfo | None = None
        self._failure: LlamachatError | None = None  # of loading: every request gets it
        self._hello: Hello | None = None
        self._rung = Rung.AS_CONFIGURED
        self._proven = False  # this child has computed something
        self._n_failed_starts = 0  # at this rung
        self._killed = False  # by us, to end a request that would not

    @property
    def info(self) -> ModelInfo | None:
        return self._info

    @property
    def pid(self) -> int | None:
        """The child's process id."""
        return self._child.pid if self._child else None

    def start(self) -> None:
        if self._supervisor is None or not self._supervisor.is_alive():
            self._failure = self._info = None
            self._rung = self._ladder.rung(self._family)
            self._n_failed_starts = 0
            self._supervisor = threading.Thread(target=self._supervise, name="engine", daemon=True)
            self._supervisor.start()

    def reply(self, request: Request) -> Iterator[Event]:
        number, seed = next(self._ids), _seed(request)
        for item in self._converse(number, lambda info: _reply_frame(number, request, seed, info)):
            match item:
                case LoadProgress():
                    yield Loading(item.done, item.total)
                case PrefillProgress():
                    yield Reading(item.done, item.total)
                case TextDelta():
                    yield Delta(item.text)
                case Notice():
                    yield item
                case Done():
                    yield self._finished(item, seed)

    def render(self, request: Request) -> Rendered:
        number = next(self._ids)
        frame = Render(number, request.messages, request.open_answer, request.raw_tags)
        for item in self._converse(number, lambda _: frame):
            if isinstance(item, RenderDone):
                return Rendered(item.text, item.tokens, item.context)
        raise EngineDied("the engine ended before it answered.")

    def prefill(self, messages: tuple[Message, ...]) -> None:
        if self._info:
            self._send(Prefill(next(self._ids), messages))

    def interrupt(self) -> None:
        self._items.put(_Interrupt())  # SimpleQueue.put may be called from a signal handler

    def wait_until_loaded(self) -> Iterator[Event]:
        """Loading progress and notices until the model is ready. Raises what `reply` would."""
        for item in self._converse(0, lambda _: None):
            if isinstance(item, LoadProgress):
                yield Loading(item.done, item.total)
            elif isinstance(item, Notice):
                yield item

    def close(self) -> None:
        """End the child; it goes by itself when its pipe ends."""
        self._closed = True
        child = self._child
        if child is None:
            return
        self._close_pipe(child)
        try:
            child.wait(timeout=_PATIENCE)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()

    # The caller's thread: one request at a time.

    def _converse(self, number: int, make: _MakeFrame) -> Iterator[_Item]:
        """Send the request once the model is loaded; the items for it, up to and including the last.

        Where `make` gives None, only the loading is waited for. Raises what Failed says, EngineDied, and
        Interrupted when nothing had been sent yet.
        """
        self.start()
        yield from self._pending_notices()
        sent, deadline = False, None
        while True:
            if self._failure:
                raise self._failure
            if self._info and not sent:
                if (frame := make(self._info)) is None:
                    return
                self._send(frame)
                sent = True
            match item := self._next_item(deadline):
                case None:
                    self._kill()
                    deadline = None
                case _Interrupt() if not sent:
                    raise Interrupted("interrupted while the model was loading.")
                case _Interrupt() if deadline is None:
                    self._send(Cancel(number))
                    deadline = time.monotonic() + _PATIENCE
                case _Interrupt():
                    deadline = time.monotonic()  # a second Ctrl-C does not wait
                case _Died() if item.by_us:
                    yield Done(number, FinishReason.INTERRUPTED, None, Usage(), Timings(), ContextUse(0, 0))
                    return
                case _Died() if item.error:
                    raise item.error
                case _Died():
                    sent = False
                case Failed() if item.id == number:
                    raise _error(item)
                case LoadProgress() | Notice():
                    yield item
                case Frame() if getattr(item, "id", None) == number:
                    yield item
                    if isinstance(item, Done | RenderDone):
                        return

    def _pending_notices(self) -> Iterator[Notice]:
        """Empty the queue of what an earlier request left; notices are still to be shown."""
        with suppress(queue.Empty):
            while True:
                if isinstance(item := self._items.get_nowait(), Notice):
                    yield item

    def _next_item(self, deadline: float | None) -> _Item | None:
        """The next item; None when the deadline (monotonic seconds) passes first."""
        while True:
            wait = _POLL if deadline is None else max(0.0, deadline - time.monotonic())
            with suppress(queue.Empty):
                return self._items.get(timeout=wait)
            if deadline is not None:
                return None

    def _finished(self, done: Done, seed: int) -> Finished:
        load = self._info.load_seconds if self._info else 0.0
        return Finished(done.reason, seed, done.tokens, done.usage, replace(done.timings, load=load), done.context)

    def _send(self, frame: Frame) -> None:
        """Send to the child. That it is gone shows as `_Died`."""
        child = self._child
        if child is None or child.stdin is None:
            return
        with self._sending, suppress(OSError, ValueError):
            child.stdin.write(pack(frame))
            child.stdin.flush()

    def _close_pipe(self, child: subprocess.Popen[bytes]) -> None:
        assert child.stdin is not None
        with self._sending, suppress(OSError):
            child.stdin.close()

    def _kill(self) -> None:
        self._killed = True
        if self._child:
            self._child.kill()

    # The supervisor's thread: children, one after another.

    def _supervise(self) -> None:
        """Until closed or without hope. A fault of ours here must reach the caller, who would wait for ever."""
        try:
            self._run_children()
        except Exception as error:  # the boundary of this thread
            self._failure = LlamachatError(f"the engine's supervisor failed: {error!r}.")
            self._failure.__cause__ = error
            self._items.put(_Died(self._failure))
            self._kill()

    def _run_children(self) -> None:
        while not self._closed:
            fault = self._run_child()
            self._info = None
            if self._closed or self._failure:
                return
            outcome = self._judge(fault)
            self._items.put(outcome)
            if self._failure:
                return

    def _run_child(self) -> str:
        """One child from start to end. Returns how it ended, in words."""
        self._hello, self._proven = None, False
        started, self._started = self._started, None
        child = self._child = started or launch(self._log, self._command)
        if self._closed:  # while it was being started
            self._close_pipe(child)
        assert child.stdout is not None
        self._send(Load(apply(self.options, self._rung)))
        descriptor = child.stdout.fileno()
        reader = FrameReader(lambda n: os.read(descriptor, n), Up)
        try:
            while (frame := reader.next()) is not None:
                self._receive(frame)
        except FrameError as error:
            child.kill()
            child.wait()
            return f"it sent {error}"
        finally:
            child.stdout.close()
            self._close_pipe(child)
        return describe_exit(child.wait())

    def _receive(self, frame: Frame) -> None:
        match frame:
            case Hello():
                self._hello = frame
            case LoadProgress():
                self.loading = Loading(frame.done, frame.total)
            case Loaded():
                self._info = frame.info
                for text in frame.notices:
                    self._items.put(Notice(text))
            case Failed() if frame.id == 0:
                self._failure = _error(frame)
            case PrefillProgress() | TextDelta() | Done():
                self._prove()
        self._items.put(frame)
        if self.on_change and isinstance(frame, LoadProgress | Loaded | Failed):
            self.on_change()

    def _prove(self) -> None:
        """The child has computed: this rung works."""
        if self._proven:
            return
        self._proven, self._n_failed_starts = True, 0
        if self._rung > self._ladder.rung(self._family):
            self._ladder.remember(self._family, self._rung)
            self._items.put(Notice(notice(self._rung)))

    def _judge(self, fault: str) -> _Died:
        """What the child's end means. Sets the rung of the next one, or the failure that ends it all."""
        log = f"Its log: {self._log}"
        if self._killed:
            self._killed = False
            return _Died(by_us=True)
        if self._proven:
            return _Died(EngineDied(f"the engine crashed ({fault}).", log))
        self._n_failed_starts += 1
        safer = next_rung(self._rung, self._hello) if self._hello and is_native_crash(fault) else None
        if safer is not None:
            self._rung, self._n_failed_starts = safer, 0
            return _Died()
        if self._n_failed_starts < _STARTS and not is_native_crash(fault):
            return _Died()
        rebuild = f"To build llama.cpp anew: {sys.executable} -m llamachat.build"
        why = "perhaps for lack of memory: try a smaller model or --ctx-size" if fault == "SIGKILL" else log
        self._failure = EngineDied(
            f"the engine cannot run {Path(self.options.path).name}: it ended with {fault}.",
            rebuild if is_native_crash(fault) else f"{why[0].upper()}{why[1:]}.",
        )
        return _Died(self._failure)


def _seed(request: Request) -> int:
    """The seed asked for, or any: 32 bits, but for the value that llama.cpp takes for "choose one"."""
    return int.from_bytes(os.urandom(4)) % 0xFFFFFFFF if request.seed is None else request.seed


def _reply_frame(number: int, request: Request, seed: int, info: ModelInfo) -> Reply:
    return Reply(
        id=number,
        messages=request.messages,
        sampling=msgspec.convert({**asdict(info.sampling), **request.sampling}, Sampling, strict=False),
        seed=seed,
        exact=request.seed is not None,
        max_tokens=request.max_tokens,
        stops=request.stops,
        open_answer=request.open_answer,
        raw_tags=request.raw_tags,
    )


def _error(frame: Failed) -> LlamachatError:
    """The error that a Failed frame stands for."""
    if frame.tag:
        return ForbiddenTag(frame.tag.tag, frame.tag.index, frame.tag.role, frame.tag.offset)
    if frame.overflow:
        return ContextOverflow(frame.overflow.n_tokens, frame.overflow.n_ctx)
    kinds: dict[int, type[LlamachatError]] = {
        ExitCode.USAGE: UsageError,
        ExitCode.MODEL: ModelError,
        ExitCode.ENGINE: EngineDied,
    }
    return kinds.get(frame.code, LlamachatError)(frame.message, frame.hint)
