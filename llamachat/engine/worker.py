"""What the engine process does with a request: load, render, prefill, answer (`answering`).

With `ready` and `answering` the only code outside `llama/` that drives llama.cpp. It knows frames and formats; it does
not know who asked, or what becomes of an answer.
"""

from __future__ import annotations

import importlib
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

from llamachat.engine import answering
from llamachat.engine.channel import Channel, Jobs, Left
from llamachat.engine.measuring import Measuring
from llamachat.engine.protocol import (
    Close,
    Failed,
    Frame,
    Hello,
    Load,
    Loaded,
    LoadProgress,
    Measure,
    MeasureDone,
    Prefill,
    PrefillDone,
    Render,
    RenderDone,
    Reply,
    Stay,
    Tokenize,
    TokenizeDone,
    Tune,
    Waiting,
    failure,
)
from llamachat.engine.ready import Ready
from llamachat.engine.turns import Turn, Turns
from llamachat.errors import ExitCode, LlamachatError
from llamachat.llama import machine
from llamachat.llama.lib import AbortFlag, C, ExtraBuffers, Log, build_description, check_abi, devices
from llamachat.llama.session import Aborted

_WORTH_READING = 16  # tokens that are evaluated ahead; fewer cost about the same later, and nobody waits for them
_QUIET_SECONDS = 1.0  # without a request, before something is measured
_CLOSING_SECONDS = 1.5  # in which the last blocks are written; llamachat waits for two


class Worker:
    """Handles requests with one model. Errors fail the request; only native code can end the process."""

    def __init__(self, channel: Channel) -> None:
        """Bring llama.cpp up and say hello."""
        self.abort = AbortFlag()
        self._channel = channel
        threading.Thread(target=_import_ahead, daemon=True).start()
        self._log = Log(_write_log)
        self._ready: Ready | None = None
        self._jobs: Jobs | None = None
        self._turns = Turns(None, self.abort)
        self._is_private = False  # something was evaluated that nobody may keep
        self._measuring: Measuring | None = None
        self._has_answered = False  # until then a crash says that this build crashes, not that a measurement does
        check_abi()
        C.llama_backend_init()
        has_gpu = any(device.is_gpu for device in devices())
        flash_attention = has_gpu or machine.flash_attention_pays()
        channel.send(Hello(build_description(), tuple(ExtraBuffers().names()), has_gpu, flash_attention))

    def run(self, channel: Channel, jobs: Jobs) -> Close | Stay | Left:
        """Until one of these comes; which. What may be kept of the KV cache is written while nobody waits."""
        self._channel, self._jobs = channel, jobs
        while not isinstance(frame := jobs.next(), Close | Stay | Left):
            with self._faults_told(frame):
                self._handle(frame)
                while not self._use_silence(jobs) and jobs.rest(_QUIET_SECONDS):
                    pass
        return frame

    def answer_at_once(self, frame: Frame) -> bool:
        """What needs only the tokenizer, on the listening thread: the other would have to stop evaluating for it."""
        if not isinstance(frame, Measure | Render | Tokenize) or self._ready is None:
            return False
        with self._faults_told(frame):
            self._handle(frame)
        return True

    @contextmanager
    def _faults_told(self, frame: Frame) -> Iterator[None]:
        """A fault is told to who asked, and costs one request."""
        number: int = getattr(frame, "id", 0)
        try:
            yield
        except LlamachatError as error:
            self._channel.send(failure(number, error))
        except Exception as error:  # the boundary of the engine
            traceback.print_exc()
            sys.stderr.flush()
            self._channel.send(Failed(number, ExitCode.BUG, f"the engine failed: {error!r}."))

    def finish(self) -> None:
        """At the end: write down what may be kept, as far as there is time."""
        ends = time.monotonic() + _CLOSING_SECONDS
        self._save(lambda: time.monotonic() > ends, tail=True)

    def tidy(self, is_over: Callable[[], bool]) -> None:
        """Between two llamachats: forget what was not to be kept, or else write it down until it is over."""
        if self._is_private and self._ready:
            self._ready.forget()
            self._is_private = False
        self._save(is_over, tail=True)

    def describe(self) -> tuple[str, int]:
        """The model's name, and the bytes of memory that this process takes."""
        ready = self._loaded()
        return ready.name, machine.memory_taken()

    def _use_silence(self, jobs: Jobs) -> bool:
        """Do what nobody waits for, until somebody wants something, here or elsewhere; whether all of it is done."""
        is_saved = self._save(lambda: jobs.is_waiting or self._turns.is_anothers)
        is_measured = self._measure(jobs)
        return is_saved and is_measured

    def _save(self, is_over: Callable[[], bool], *, tail: bool = False) -> bool:
        """Write blocks until all are written or it is over; whether all are."""
        if self._ready and self._ready.snapshots:
            for _ in self._ready.snapshots.save(tail=tail):
                if is_over():
                    return False
        return True

    def _measure(self, jobs: Jobs) -> bool:
        """What suits the model on this machine, as long as nobody wants something; whether it is known."""
        if not (self._has_answered and self._measuring and self._measuring.is_wanted):
            return True
        if jobs.rest(_QUIET_SECONDS) and not self._turns.is_anothers:
            with self._turns.ahead():
                self._measuring.a_slice()
        return not self._measuring.is_wanted

    def _handle(self, frame: Frame) -> None:
        match frame:
            case Load():
                self._load(frame)
            case Reply():
                self._is_private |= frame.owner is None
                with self._turn(frame.id) as turn:
                    answering.reply(frame, self._loaded(), self._channel.send, turn)
                self._has_answered = True
            case Render():
                self._render(frame, self._loaded())
            case Measure():
                self._channel.send(MeasureDone(frame.id, tuple(map(self._loaded().size, frame.prompts))))
            case Tokenize():
                self._tokenize(frame, self._loaded())
            case Prefill():
                self._prefill(frame, self._loaded())
            case Tune():
                self._tune(frame)

    def _turn(self, number: int) -> AbstractContextManager[Turn]:
        """The turn at the cores, for the request with this number."""
        channel = self._channel
        return self._turns.taken(lambda seconds: channel.send(Waiting(number, seconds)), lambda: channel.is_stuck)

    def _send(self, frame: Frame) -> None:
        """To whoever asks now: an engine that stays outlives a channel."""
        self._channel.send(frame)

    def _give_way(self, _done: int, _total: int) -> None:
        """Between the batches of a prefill."""
        if self._jobs and self._jobs.is_waiting:
            raise Aborted

    def _loaded(self) -> Ready:
        if self._ready is None:
            raise LlamachatError("the engine has no model.")
        return self._ready

    def _load(self, frame: Load) -> None:
        if self._ready:  # it stayed: whoever finds it asks for the same
            self._channel.send(Loaded(self._ready.info(0.0), self._ready.notices))
            return
        started = time.monotonic()
        if not frame.options.use_amx:
            ExtraBuffers().drop("AMX")
        send = self._channel.send
        ready = Ready.load(frame.options, self.abort, self._log, lambda done, total: send(LoadProgress(done, total)))
        self._ready = ready
        self._measuring = Measuring(ready, self.abort, self._send, wanted=frame.options.measures)
        if frame.options.turns and not ready.model.is_on_gpu:
            self._turns = Turns(Path(frame.options.turns), self.abort)
        send(Loaded(ready.info(time.monotonic() - started), ready.notices))

    def _tune(self, frame: Tune) -> None:
        measuring = Measuring(self._loaded(), self.abort, self._channel.send, wanted=False)
        with self._turn(frame.id) as turn:
            measuring.at_once(frame.id, turn.share)

    def _render(self, frame: Render, ready: Ready) -> None:
        text, tokens = ready.prompt(frame.messages, open_answer=frame.open_answer, raw_tags=frame.raw_tags)
        self._channel.send(RenderDone(frame.id, text, ready.pieces(tokens), ready.context(len(tokens))))

    def _tokenize(self, frame: Tokenize, ready: Ready) -> None:
        tokens = ready.model.vocabulary.tokenize(frame.text)
        pieces = () if frame.only_count else ready.pieces(tokens)
        self._channel.send(TokenizeDone(frame.id, len(tokens), pieces))

    def _prefill(self, frame: Prefill, ready: Ready) -> None:
        with suppress(Aborted, LlamachatError):  # the Reply that follows meets the same error and says it
            if frame.unfinished:
                tokens = ready.certain(frame.messages)
            else:
                _, tokens = ready.prompt(frame.messages, open_answer=False, raw_tags=True)
            if len(tokens) - ready.session.reusable(tokens, exact=frame.exact) >= _WORTH_READING:
                with self._turns.ahead():
                    ready.evaluate(tokens, exact=frame.exact, shift=frame.shift, on_progress=self._give_way)
        self._channel.send(PrefillDone(frame.id, len(ready.session.tokens)))


def _import_ahead() -> None:
    """Load what is needed after the weights while those are being loaded: 100 ms of imports."""
    for module in ("psutil", "llamachat.formats.template"):
        importlib.import_module(module)


def _write_log(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()
