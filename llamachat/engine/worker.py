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
from collections.abc import Callable
from contextlib import suppress

from llamachat.engine import answering
from llamachat.engine.channel import Channel, Jobs
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
    Tokenize,
    TokenizeDone,
    failure,
)
from llamachat.engine.ready import Ready
from llamachat.errors import ExitCode, LlamachatError
from llamachat.llama import machine
from llamachat.llama.lib import AbortFlag, C, ExtraBuffers, Log, build_description, check_abi, devices
from llamachat.llama.session import Aborted

_WORTH_READING = 16  # tokens that are evaluated ahead; fewer cost about the same later, and nobody waits for them
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
        check_abi()
        C.llama_backend_init()
        has_gpu = any(device.is_gpu for device in devices())
        flash_attention = has_gpu or machine.flash_attention_pays()
        channel.send(Hello(build_description(), tuple(ExtraBuffers().names()), has_gpu, flash_attention))

    def run(self, jobs: Jobs) -> None:
        """Until a Close. What may be kept of the KV cache is written while nobody waits, and at the end."""
        self._jobs = jobs
        while not isinstance(frame := jobs.next(), Close):
            number: int = getattr(frame, "id", 0)
            try:
                self._handle(frame)
                self._save(lambda: jobs.is_waiting)
            except LlamachatError as error:
                self._channel.send(failure(number, error))
            except Exception as error:  # the boundary of the engine: a bug costs one request
                traceback.print_exc()
                sys.stderr.flush()
                self._channel.send(Failed(number, ExitCode.BUG, f"the engine failed: {error!r}."))

        ends = time.monotonic() + _CLOSING_SECONDS
        self._save(lambda: time.monotonic() > ends, tail=True)

    def _save(self, is_over: Callable[[], bool], *, tail: bool = False) -> None:
        """Write blocks until all are written or it is over."""
        if self._ready and self._ready.snapshots:
            for _ in self._ready.snapshots.save(tail=tail):
                if is_over():
                    return

    def _handle(self, frame: Frame) -> None:
        match frame:
            case Load():
                self._load(frame)
            case Reply():
                answering.reply(frame, self._loaded(), self._channel.send)
            case Render():
                self._render(frame, self._loaded())
            case Measure():
                self._channel.send(MeasureDone(frame.id, tuple(map(self._loaded().size, frame.prompts))))
            case Tokenize():
                self._tokenize(frame, self._loaded())
            case Prefill():
                self._prefill(frame, self._loaded())

    def _give_way(self, _done: int, _total: int) -> None:
        """Between the batches of a prefill."""
        if self._jobs and self._jobs.is_waiting:
            raise Aborted

    def _loaded(self) -> Ready:
        if self._ready is None:
            raise LlamachatError("the engine has no model.")
        return self._ready

    def _load(self, frame: Load) -> None:
        started = time.monotonic()
        if not frame.options.use_amx:
            ExtraBuffers().drop("AMX")
        send = self._channel.send
        ready = Ready.load(frame.options, self.abort, self._log, lambda done, total: send(LoadProgress(done, total)))
        self._ready = ready
        send(Loaded(ready.info(time.monotonic() - started), ready.notices))

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
                ready.evaluate(tokens, exact=frame.exact, shift=frame.shift, on_progress=self._give_way)
        self._channel.send(PrefillDone(frame.id, len(ready.session.tokens)))


def _import_ahead() -> None:
    """Load what is needed after the weights while those are being loaded: 100 ms of imports."""
    for module in ("psutil", "llamachat.formats.template"):
        importlib.import_module(module)


def _write_log(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()
