"""A model that can answer: its weights, its KV cache, its chat format."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from llamachat.engine.base import Token
from llamachat.errors import ContextOverflow, ModelError
from llamachat.formats import choose
from llamachat.formats.base import Format, Segment
from llamachat.formats.thought import opens_thought
from llamachat.llama import draft_model
from llamachat.llama.draft_model import DraftModel
from llamachat.llama.lib import AbortFlag, Log, build_description
from llamachat.llama.model import Model
from llamachat.llama.session import OnProgress, Session, common_prefix
from llamachat.llama.snapshot import Snapshots
from llamachat.llama.speculative import Speculation
from llamachat.llama.weights import check_file
from llamachat.types import ContextUse, LoadOptions, Message, ModelInfo, Role

_ANYTHING = "x"


@dataclass(frozen=True, slots=True)
class Ready:
    """What a request needs. `vocabulary_print` is the vocabulary's fingerprint, `notices` are lines for the user.

    `snapshots` are its blocks on the disk, None where nothing is kept there; `speculation` is None for a model that
    cannot take a guess back.
    """

    model: Model
    session: Session
    format: Format
    vocabulary_print: str
    notices: tuple[str, ...] = ()
    snapshots: Snapshots | None = None
    speculation: Speculation | None = None

    @classmethod
    def load(cls, options: LoadOptions, abort: AbortFlag, log: Log, on_progress: Callable[[int, int], None]) -> Ready:
        """Load the weights, those of a draft model too, and make the context. Raises ModelError."""
        model, smaller = _load_models(options, log, on_progress)
        is_short = model.settle_kv_type(beside=smaller)
        choice = choose.choose(model.facts, options.format)
        chat_format = _build_format(choice.format, model)
        session = model.session(model.context_size(beside=smaller), abort)
        drafts = None
        if smaller:  # not stretched beyond its training: that would cost it guesses in short texts, too
            drafts = DraftModel(smaller, smaller.session(min(session.n_ctx, smaller.n_ctx_train), abort))
        speculation = Speculation(model.vocabulary, model.size_bytes, drafts) if model.can_forget else None
        notices = tuple(filter(None, (choice.notice, _context_notice(model, session, is_short=is_short))))
        snapshots = Snapshots.of(model, session)
        return cls(model, session, chat_format, model.vocabulary.fingerprint, notices, snapshots, speculation)

    def prompt(self, messages: Sequence[Message], *, open_answer: bool, raw_tags: bool) -> tuple[str, list[int]]:
        """The prompt as text and as token ids. Raises ContextOverflow when it leaves no room for an answer."""
        segments = self._segments(messages, open_answer=open_answer, raw_tags=raw_tags)
        tokens = self.model.vocabulary.encode(segments)
        if len(tokens) >= self.session.n_ctx:
            raise ContextOverflow(len(tokens), self.session.n_ctx)
        return self.model.vocabulary.render(segments), tokens

    def certain(self, messages: Sequence[Message]) -> list[int]:
        """The tokens of a prompt that stay, however its last message goes on after a space. Raises ContextOverflow."""
        *before, last = messages
        text = last.content.rstrip()
        ways = [replace(last, content=text), replace(last, content=f"{text} {_ANYTHING}")]
        one, other = (self.prompt([*before, way], open_answer=False, raw_tags=True)[1] for way in ways)
        return one[: max(0, common_prefix(one, other) - 1)]  # the last may be a space, which joins what comes

    def evaluate(
        self,
        tokens: Sequence[int],
        *,
        exact: bool,
        shift: bool,
        on_progress: OnProgress | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> int:
        """Let the session hold a prompt, with blocks from the disk where that is quicker; how many tokens were spared.

        `clock` gives the seconds by which the rate is measured. Raises what `Session.sync` does.
        """
        if self.snapshots:
            self.snapshots.restore(tokens, exact=exact, shift=shift)
        started = clock()
        n_reused = self.session.sync(tokens, exact=exact, shift=shift, on_progress=on_progress)
        if self.snapshots:
            self.snapshots.rates.evaluated(len(tokens) - n_reused, clock() - started)
        return n_reused

    def forget(self) -> None:
        """Forget what was evaluated."""
        self.session.forget()
        if self.speculation:
            self.speculation.forget()

    def size(self, messages: Sequence[Message]) -> int:
        """Tokens of a prompt; one that ends with an answer leaves it open."""
        open_answer = messages[-1].role is Role.ASSISTANT
        return len(self.model.vocabulary.encode(self._segments(messages, open_answer=open_answer, raw_tags=True)))

    def pieces(self, tokens: Sequence[int]) -> tuple[Token, ...]:
        """Tokens with their text, to be shown."""
        return tuple(map(self._piece, tokens))

    def context(self, used: int) -> ContextUse:
        return ContextUse(self.session.n_ctx, used)

    @property
    def name(self) -> str:
        return self.model.options.name or Path(self.model.options.path).stem

    def info(self, load_seconds: float) -> ModelInfo:
        """What the rest of the program is told of it."""
        model, session = self.model, self.session
        path = Path(model.options.path)
        return ModelInfo(
            name=self.name,
            path=str(path),
            format=self.format.name,
            architecture=model.architecture,
            quantisation=model.quantisation,
            n_params=model.n_params,
            size_bytes=model.size_bytes,
            n_ctx=session.n_ctx,
            n_ctx_train=model.n_ctx_train,
            n_threads=model.knobs.n_threads,
            n_gpu_layers=model.n_gpu_layers,
            flash_attention=model.knobs.flash_attention,
            vocabulary=self.vocabulary_print,
            build=build_description(),
            devices=tuple(gpu.description for gpu in model.gpus) if model.n_gpu_layers else ("CPU",),
            sampling=model.sampling(self.format.name),
            kv_bytes=session.n_ctx * model.kv_bytes_per_token,
            load_seconds=load_seconds,
            sha256=model.options.sha256,
            opens_thought=opens_thought(self.format),
            kv_type=model.kv_type,
            repacked=model.is_repacked,
            n_batch=session.chunk,
        )

    def _segments(self, messages: Sequence[Message], *, open_answer: bool, raw_tags: bool) -> list[Segment]:
        known = [self._without_foreign_tokens(message) for message in messages]
        return self.format.prompt(known, open_answer=open_answer, raw_tags=raw_tags)

    def _piece(self, token: int) -> Token:
        vocabulary = self.model.vocabulary
        if vocabulary.is_control(token):
            return Token(token, vocabulary.text(token), is_control=True)
        return Token(token, vocabulary.piece(token).decode("utf-8", "replace"))

    def _without_foreign_tokens(self, message: Message) -> Message:
        foreign = message.tokens is not None and message.tokens.vocabulary != self.vocabulary_print
        return replace(message, tokens=None) if foreign else message


def _load_models(options: LoadOptions, log: Log, on_progress: OnProgress) -> tuple[Model, Model | None]:
    """The model and its draft model, whose bytes are counted together. Raises ModelError."""
    if options.draft is None:
        return Model.load(options, log, on_progress), None
    paths = Path(options.path), Path(options.draft)
    for path in paths:
        check_file(path)
    n_bytes, n_draft = (path.stat().st_size for path in paths)
    model = Model.load(options, log, lambda done, _: on_progress(done, n_bytes + n_draft))
    try:
        return model, draft_model.load(model, log, lambda done, _: on_progress(n_bytes + done, n_bytes + n_draft))
    except ModelError:
        model.close()
        raise


def _build_format(name: str, model: Model) -> Format:
    vocabulary = model.vocabulary
    return choose.build(
        name,
        template=model.facts.chat_template,
        controls=vocabulary.controls if name == "template" else (),
        bos=vocabulary.control_text(vocabulary.bos),
        eos=vocabulary.control_text(vocabulary.eos),
    )


def _context_notice(model: Model, session: Session, *, is_short: bool) -> str:
    """What the user should know of a context that is not what the model was trained on, or of its KV cache."""
    if is_short:
        return (
            f"Memory is short: with a KV cache in q8_0 instead of f16 the context is {session.n_ctx:,} tokens, "
            f"of the {model.n_ctx_train:,} the model was trained on. --kv-type f16 keeps the usual one."
        )
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
        f"Close other programs{', or try --kv-type q8_0' if model.kv_type == 'f16' else ''}."
    )
