"""Keeps an engine process running: starts the child, reads its frames, starts it again when it dies.

A child that dies before it has computed anything is followed by one that is a rung safer (ladder.py);
one that has is followed by its like. What happens is posted as items, in order; what holds now
(`info`, `failure`, `loading`) can be read from any thread.
"""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from llamachat.engine.base import Loading, Notice
from llamachat.engine.ladder import REBUILD, Ladder, apply, describe_exit, is_native_crash, next_rung, notice
from llamachat.engine.launch import Child, ChildProcess, launch
from llamachat.engine.pipe import FrameError, FrameReader, pack
from llamachat.engine.protocol import (
    Close,
    Done,
    Failed,
    Frame,
    Hello,
    Load,
    Loaded,
    LoadProgress,
    PrefillProgress,
    Stay,
    TextDelta,
    TuneDone,
    TuneStep,
    Up,
    Waiting,
    error_of,
)
from llamachat.engine.tunings import Tunings
from llamachat.errors import EngineDied, LlamachatError
from llamachat.types import LoadOptions, ModelInfo, Tuned

if TYPE_CHECKING:
    from llamachat.engine.warm import Warm  # socket, which few need

_PATIENCE = 2.0  # seconds for a child to end when its pipe has
_STARTS = 2  # tries at one rung when the child ends for a reason that is not its own code


@dataclass(frozen=True, slots=True)
class Died:
    """The child ended. With an error: for the request under way. Without one: another follows, for the same request."""

    error: LlamachatError | None = None


Item = Frame | Notice | Died


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to start an engine: the model, the log that native code prints to, what is known of crashes, the command.

    `family` is the kind of model that the ladder remembers a rung for. With `warm`, an engine that stayed is used, and
    at the end the engine stays. `tunings` is where it is remembered what the engine measures.
    """

    options: LoadOptions
    log: Path
    ladder: Ladder
    family: str
    command: Sequence[str]
    warm: Warm | None = None
    tunings: Tunings | None = None

    @property
    def measures(self) -> bool:
        """Whether there is something to measure while nobody waits, that was not measured meanwhile."""
        options = self.options
        return options.measures and self.tunings is not None and self.tunings.lacks(options.path, options.kv_type)


class Supervisor:
    """One engine process at a time, on a thread of its own.

    `post` gets the items, `changed` is called when `info`, `failure` or `loading` changes; both on that thread.
    """

    def __init__(
        self,
        recipe: Recipe,
        started: subprocess.Popen[bytes] | None,
        post: Callable[[Item], None],
        changed: Callable[[], None],
    ) -> None:
        self.info: ModelInfo | None = None
        self.failure: LlamachatError | None = None  # of loading: every request gets it
        self.loading = Loading(0, 0)
        self._recipe = recipe
        self._post = post
        self._changed = changed
        self._started = started
        self._child: Child | None = None
        self._is_first = True  # no child was found yet
        self._stay: Stay | None = None  # what a child that is to stay is told at the end
        self._sending = threading.Lock()
        self._closed = False
        self._hello: Hello | None = None
        self._rung = recipe.ladder.rung(recipe.family)
        self._proven = False  # this child has computed something
        self._measures = False  # this child measures what nobody has asked it for
        self._n_failed_starts = 0  # at this rung
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()

    @property
    def is_running(self) -> bool:
        """Whether there is, or will be, a child."""
        return self._thread.is_alive()

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child else None

    def send(self, frame: Frame) -> None:
        """Send to the child. That it is gone shows as `Died`."""
        if child := self._child:
            with self._sending, suppress(OSError, ValueError):
                child.send(pack(frame))

    def kill(self) -> None:
        """End a child that does not react. Another follows."""
        if self._child:
            self._child.kill()

    def close(self) -> None:
        """End the child. One with a model has a second to write down what it keeps, others go when their pipe ends.

        One that is to stay warm is left to itself.
        """
        self._closed = True
        child = self._child
        if child is None:
            return
        if self.info and self._stay:
            child.let_go()
            self.send(self._stay)
            self._thread.join(_PATIENCE)  # until it has its socket
            return
        if self.info:
            self.send(Close())
            with suppress(subprocess.TimeoutExpired):
                child.wait(timeout=_PATIENCE)
        self._close_pipe(child)
        try:
            child.wait(timeout=_PATIENCE)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()

    def _run(self) -> None:
        """Until closed or without hope. A fault of ours here must reach the caller, who would wait for ever."""
        try:
            while not self._closed and not self.failure:
                fault = self._run_child()
                self.info = None
                if not self._closed and not self.failure:
                    self._post(self._judge(fault))
        except Exception as error:  # the boundary of this thread
            self.failure = LlamachatError(f"the engine's supervisor failed: {error!r}.")
            self.failure.__cause__ = error
            self.kill()
        if self.failure and not self._closed:
            self._post(Died(self.failure))
            self._changed()

    def _run_child(self) -> str:
        """One child from start to end. Returns how it ended, in words."""
        self._hello, self._proven, self._measures = None, False, False
        options = replace(apply(self._recipe.options, self._rung), measures=self._recipe.measures)
        child = self._child = self._find_child(options)
        if self._closed:  # while it was being started
            self._close_pipe(child)
        self.send(Load(options))
        reader = FrameReader(child.read, Up)
        try:
            while (frame := reader.next()) is not None:
                self._receive(frame)
        except FrameError as error:
            child.kill()
            child.wait()
            return f"it sent {error}"
        finally:
            with self._sending:
                child.close()
        return describe_exit(child.wait())

    def _find_child(self, options: LoadOptions) -> Child:
        """The engine that was started already, the first time; or one that stayed; else a new one."""
        is_first, self._is_first = self._is_first, False
        found: Child | None = None
        if warm := self._recipe.warm:
            self._stay = warm.stay(options)
            found = warm.connect(options) if is_first and not self._started else None
        if found is None:
            started, self._started = self._started, None
            found = ChildProcess(started or launch(self._recipe.log, self._recipe.command))
        return found

    def _close_pipe(self, child: Child) -> None:
        with self._sending:
            child.end_input()

    def _receive(self, frame: Frame) -> None:
        match frame:
            case Hello():
                self._hello = frame
            case LoadProgress():
                self.loading = Loading(frame.done, frame.total)
            case Loaded():
                self.info = frame.info
                for text in frame.notices:
                    self._post(Notice(text))
            case Failed() if frame.id == 0:
                self.failure = error_of(frame)
            case PrefillProgress(done=0):
                pass  # it is about to
            case PrefillProgress() | TextDelta() | Done():
                self._prove()
            case TuneStep():
                self._prove()
                self._measures = bool(frame.what)
            case Waiting():
                self._measures = False
            case TuneDone():
                self._measures = False
                self._remember(frame.tuned)
        self._post(frame)
        if isinstance(frame, LoadProgress | Loaded | Failed):
            self._changed()

    def _prove(self) -> None:
        """The child has computed: this rung works."""
        if self._proven:
            return
        self._proven, self._n_failed_starts = True, 0
        ladder, family = self._recipe.ladder, self._recipe.family
        if self._rung > ladder.rung(family):
            ladder.remember(family, self._rung)
            self._post(Notice(notice(self._rung)))

    def _remember(self, tuned: Tuned | None, fault: str = "") -> None:
        """What was measured, or that what was tried ends the engine, so that it is not tried again unasked."""
        if self._recipe.tunings and (tuned or fault):
            self._recipe.tunings.remember(self._recipe.options.path, tuned, fault)

    def _judge(self, fault: str) -> Died:
        """What the child's end means. Sets the rung of the next one, or the failure that ends it all."""
        if self._measures:
            self._remember(None, fault)
        if self._proven:
            return Died(EngineDied(f"the engine crashed ({fault}).", f"Its log: {self._recipe.log}", restarts=True))
        self._n_failed_starts += 1
        crashed = is_native_crash(fault)
        tuned = self._recipe.options.tuned
        safer = next_rung(self._rung, self._hello, tuned) if self._hello and crashed else None
        if safer is not None:
            self._rung, self._n_failed_starts = safer, 0
        elif crashed or self._n_failed_starts >= _STARTS:
            self.failure = self._hopeless(fault)
        return Died(self.failure)

    def _hopeless(self, fault: str) -> EngineDied:
        """The error when nothing helps, with what might."""
        if is_native_crash(fault):
            hint = f"To build llama.cpp anew: {REBUILD}"
        elif fault == "SIGKILL":
            hint = "Perhaps for lack of memory: try a smaller model or --ctx-size."
        else:
            hint = f"Its log: {self._recipe.log}"
        name = Path(self._recipe.options.path).name
        return EngineDied(f"the engine cannot run {name}: it ended with {fault}.", hint)
