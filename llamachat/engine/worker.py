"""What the engine process does with a request: load, render, prefill, answer.

The only module outside `llama/` that drives llama.cpp. It knows frames and formats; it does not know
who asked, or what becomes of an answer.
"""

from __future__ import annotations

import importlib
import sys
import threading
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from llamachat.engine.base import Token
from llamachat.engine.channel import Channel, Jobs
from llamachat.engine.protocol import (
    Done,
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
    PrefillProgress,
    Render,
    RenderDone,
    Reply,
    TextDelta,
    Tokenize,
    TokenizeDone,
    failure,
)
from llamachat.engine.text import AnswerText
from llamachat.errors import ContextOverflow, ExitCode, LlamachatError
from llamachat.formats import choose
from llamachat.formats.base import Format, Segment
from llamachat.llama import machine
from llamachat.llama.generate import generate
from llamachat.llama.lib import AbortFlag, C, ExtraBuffers, Log, build_description, check_abi, devices
from llamachat.llama.model import Model
from llamachat.llama.sampling import Sampler
from llamachat.llama.session import Aborted, Session
from llamachat.types import AnswerTokens, ContextUse, FinishReason, Message, ModelInfo, Role, Timings, Usage

_FLUSH_SECONDS = 0.02  # text goes out this often at most: each frame wakes the terminal, which takes a core away


@dataclass(frozen=True, slots=True)
class Ready:
    """A model that can answer: its weights, its KV cache, its chat format, its vocabulary's fingerprint."""

    model: Model
    session: Session
    format: Format
    vocabulary_print: str

    def prompt(self, messages: Sequence[Message], *, open_answer: bool, raw_tags: bool) -> tuple[str, list[int]]:
        """The prompt as text and as token ids. Raises ContextOverflow when it leaves no room for an answer."""
        segments = self._segments(messages, open_answer=open_answer, raw_tags=raw_tags)
        tokens = self.model.vocabulary.encode(segments)
        if len(tokens) >= self.session.n_ctx:
            raise ContextOverflow(len(tokens), self.session.n_ctx)
        return self.model.vocabulary.render(segments), tokens

    def size(self, messages: Sequence[Message]) -> int:
        """Tokens of a prompt; one that ends with an answer leaves it open."""
        open_answer = messages[-1].role is Role.ASSISTANT
        return len(self.model.vocabulary.encode(self._segments(messages, open_answer=open_answer, raw_tags=True)))

    def _segments(self, messages: Sequence[Message], *, open_answer: bool, raw_tags: bool) -> list[Segment]:
        known = [self._without_foreign_tokens(message) for message in messages]
        return self.format.prompt(known, open_answer=open_answer, raw_tags=raw_tags)

    def pieces(self, tokens: Sequence[int]) -> tuple[Token, ...]:
        """Tokens with their text, to be shown."""
        return tuple(map(self._piece, tokens))

    def _piece(self, token: int) -> Token:
        vocabulary = self.model.vocabulary
        if vocabulary.is_control(token):
            return Token(token, vocabulary.text(token), is_control=True)
        return Token(token, vocabulary.piece(token).decode("utf-8", "replace"))

    def _without_foreign_tokens(self, message: Message) -> Message:
        foreign = message.tokens is not None and message.tokens.vocabulary != self.vocabulary_print
        return replace(message, tokens=None) if foreign else message

    def context(self, used: int) -> ContextUse:
        return ContextUse(self.session.n_ctx, used)


class Worker:
    """Handles requests with one model. Errors fail the request; only native code can end the process."""

    def __init__(self, channel: Channel) -> None:
        """Bring llama.cpp up and say hello."""
        self.abort = AbortFlag()
        self._channel = channel
        threading.Thread(target=_import_ahead, daemon=True).start()
        self._log = Log(_write_log)
        self._ready: Ready | None = None
        check_abi()
        C.llama_backend_init()
        has_gpu = any(device.is_gpu for device in devices())
        flash_attention = has_gpu or machine.flash_attention_pays()
        channel.send(Hello(build_description(), tuple(ExtraBuffers().names()), has_gpu, flash_attention))

    def run(self, jobs: Jobs) -> None:
        while True:
            frame = jobs.next()
            number: int = getattr(frame, "id", 0)
            try:
                self._handle(frame)
            except LlamachatError as error:
                self._channel.send(failure(number, error))
            except Exception as error:  # the boundary of the engine: a bug costs one request
                traceback.print_exc()
                sys.stderr.flush()
                self._channel.send(Failed(number, ExitCode.BUG, f"the engine failed: {error!r}."))

    def _handle(self, frame: Frame) -> None:
        match frame:
            case Load():
                self._load(frame)
            case Reply():
                self._reply(frame, self._loaded())
            case Render():
                self._render(frame, self._loaded())
            case Measure():
                self._channel.send(MeasureDone(frame.id, tuple(map(self._loaded().size, frame.prompts))))
            case Tokenize():
                self._tokenize(frame, self._loaded())
            case Prefill():
                self._prefill(frame, self._loaded())

    def _loaded(self) -> Ready:
        if self._ready is None:
            raise LlamachatError("the engine has no model.")
        return self._ready

    def _load(self, frame: Load) -> None:
        started = time.monotonic()
        if not frame.options.use_amx:
            ExtraBuffers().drop("AMX")
        model = Model.load(frame.options, self._log, lambda done, total: self._channel.send(LoadProgress(done, total)))
        choice = choose.choose(model.facts, frame.options.format)
        chat_format = _build_format(choice.format, model)
        session = model.session(model.context_size(), self.abort)
        self._ready = Ready(model, session, chat_format, model.vocabulary.fingerprint)
        notices = tuple(filter(None, (choice.notice, _context_notice(model, session))))
        self._channel.send(Loaded(_info(self._ready, time.monotonic() - started), notices))

    def _render(self, frame: Render, ready: Ready) -> None:
        text, tokens = ready.prompt(frame.messages, open_answer=frame.open_answer, raw_tags=frame.raw_tags)
        self._channel.send(RenderDone(frame.id, text, ready.pieces(tokens), ready.context(len(tokens))))

    def _tokenize(self, frame: Tokenize, ready: Ready) -> None:
        tokens = ready.model.vocabulary.tokenize(frame.text)
        pieces = () if frame.only_count else ready.pieces(tokens)
        self._channel.send(TokenizeDone(frame.id, len(tokens), pieces))

    def _prefill(self, frame: Prefill, ready: Ready) -> None:
        with suppress(Aborted, LlamachatError):  # the Reply that follows meets the same error and says it
            _, tokens = ready.prompt(frame.messages, open_answer=False, raw_tags=True)
            ready.session.sync(tokens, exact=frame.exact, shift=frame.shift)
        self._channel.send(PrefillDone(frame.id, len(ready.session.tokens)))

    def _reply(self, frame: Reply, ready: Ready) -> None:
        started = time.monotonic()
        _, tokens = ready.prompt(frame.messages, open_answer=frame.open_answer, raw_tags=frame.raw_tags)
        answer = Answer(self._channel, ready, frame, n_prompt=len(tokens), started=started)
        with Sampler.build(frame.sampling, frame.seed, ready.model.vocabulary) as sampler:
            try:
                answer.prefill(tokens)
                sampler.see(tokens)
                reason = answer.stream(sampler)
            except Aborted:
                reason = FinishReason.INTERRUPTED
        self._channel.send(answer.done(reason))


class Answer:
    """One Reply under way: what it has said, and what it has cost."""

    def __init__(self, channel: Channel, ready: Ready, frame: Reply, *, n_prompt: int, started: float) -> None:
        self._channel = channel
        self._ready = ready
        self._frame = frame
        self._n_prompt = n_prompt
        self._started = started
        self._n_reused = 0
        self._prefilled: float | None = None
        self._first_token: float | None = None
        self._unsent, self._sent = "", 0.0
        drops_space = ready.model.vocabulary.is_sentencepiece and not frame.open_answer
        self._text = AnswerText((*frame.stops, *ready.format.stops), drops_space=drops_space)

    def prefill(self, tokens: Sequence[int]) -> None:
        """Evaluate the prompt. Raises Aborted."""

        def report(done: int, total: int) -> None:
            self._channel.send(PrefillProgress(self._frame.id, done, total))

        self._n_reused = self._ready.session.sync(
            tokens, exact=self._frame.exact, shift=self._frame.shift, on_progress=report
        )
        self._prefilled = time.monotonic()

    def stream(self, sampler: Sampler) -> FinishReason:
        """Send the answer as it is generated; what Aborted leaves unsent, `done` sends."""
        ready = self._ready
        return generate(ready.session, sampler, ready.model.vocabulary, self._frame.max_tokens, self._take)

    def _take(self, token: int) -> bool:
        """One more token of the answer; False when a stop string ends it."""
        self._unsent += self._text.feed(token, self._ready.model.vocabulary.piece(token))
        now = time.monotonic()
        self._first_token = self._first_token or now
        if self._unsent and now - self._sent >= _FLUSH_SECONDS:
            self._send()
            self._sent = now
        return not self._text.stopped

    def _send(self) -> None:
        if self._unsent:
            self._channel.send(TextDelta(self._frame.id, self._unsent))
            self._unsent = ""

    def done(self, reason: FinishReason) -> Done:
        """Send the rest of the text; the frame that closes the answer."""
        ended = time.monotonic()
        self._unsent += self._text.flush()
        self._send()
        ids = self._text.ids
        prefilled = self._prefilled or ended
        return Done(
            self._frame.id,
            reason,
            None if ids is None else AnswerTokens(self._ready.vocabulary_print, ids),
            Usage(self._n_prompt, self._n_reused, self._text.n_tokens),
            Timings(
                prefill=prefilled - self._started,
                first_token=self._first_token and self._first_token - self._started,
                decode=ended - prefilled,
            ),
            self._ready.context(self._n_prompt + self._text.n_tokens),
        )


def _import_ahead() -> None:
    """Load what is needed after the weights while those are being loaded: 100 ms of imports."""
    for module in ("psutil", "llamachat.formats.template"):
        importlib.import_module(module)


def _build_format(name: str, model: Model) -> Format:
    vocabulary = model.vocabulary
    return choose.build(
        name,
        template=model.facts.chat_template,
        controls=vocabulary.controls if name == "template" else (),
        bos=vocabulary.control_text(vocabulary.bos),
        eos=vocabulary.control_text(vocabulary.eos),
    )


def _context_notice(model: Model, session: Session) -> str:
    """What the user should know of a context that is not what the model was trained on."""
    if (stretch := model.rope.stretch(session.n_ctx)) > 1:
        return (
            f"The model was trained on {model.n_ctx_train:,} tokens. Its positions are stretched {stretch:.3g} times "
            "(YaRN) to reach further, and all its answers get a little worse."
        )
    if (model.options.n_ctx or 0) > model.n_ctx_train:
        return f"The model was trained on {model.n_ctx_train:,} tokens; what it says beyond them turns to noise."
    if model.options.n_ctx or session.n_ctx >= model.n_ctx_train:
        return ""
    return (
        f"Memory allows a context of {session.n_ctx:,} tokens, of the {model.n_ctx_train:,} the model was trained on. "
        "Close other programs, or try --kv-type q8_0."
    )


def _info(ready: Ready, seconds: float) -> ModelInfo:
    model, session = ready.model, ready.session
    path = Path(model.options.path)
    return ModelInfo(
        name=model.options.name or path.stem,
        path=str(path),
        format=ready.format.name,
        architecture=model.architecture,
        quantisation=model.quantisation,
        n_params=model.n_params,
        size_bytes=model.size_bytes,
        n_ctx=session.n_ctx,
        n_ctx_train=model.n_ctx_train,
        n_threads=model.n_threads,
        n_gpu_layers=model.n_gpu_layers,
        flash_attention=model.uses_flash_attention,
        vocabulary=ready.vocabulary_print,
        build=build_description(),
        devices=tuple(gpu.description for gpu in model.gpus) if model.n_gpu_layers else ("CPU",),
        sampling=model.sampling(ready.format.name),
        kv_bytes=session.n_ctx * model.kv_bytes_per_token,
        load_seconds=seconds,
        sha256=model.options.sha256,
    )


def _write_log(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()
