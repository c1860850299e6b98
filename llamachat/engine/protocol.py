"""The frames that llamachat and its engine process exchange (`pipe` carries them).

Down (llamachat to engine): Load once, then Reply, Render, Measure, Tokenize, Prefill or Tune, each with an `id` of its
own, and Cancel with the id of one; Close or Stay as the last. Up: Hello at start, LoadProgress and Loaded (or Failed
with id 0), then for each request its Waiting, PrefillProgress, TuneStep, TextDelta and one of Done, RenderDone,
MeasureDone, TokenizeDone, PrefillDone, TuneDone or Failed; a Reply for several answers has a Done for each. TuneStep
and TuneDone come unasked, too, with id 0. An engine that stayed says Staying instead of Hello.
Requests are handled in order; one that follows a Prefill ends it. The end of the pipe ends the engine.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec

from llamachat.engine.base import Token
from llamachat.errors import (
    ContextOverflow,
    EngineDied,
    ExitCode,
    ForbiddenTag,
    LlamachatError,
    ModelError,
    UsageError,
)
from llamachat.types import (
    MOST_CANDIDATES,
    AnswerTokens,
    ContextUse,
    Drafted,
    FinishReason,
    LoadOptions,
    Message,
    ModelInfo,
    Sampling,
    Timings,
    Tried,
    Tuned,
    Usage,
)

Id = Annotated[int, msgspec.Meta(ge=0)]


class Frame(msgspec.Struct, frozen=True, tag=True, tag_field="type"):
    """The base of every frame; its class name is its type on the wire."""


class Load(Frame, frozen=True):
    """Load this model."""

    options: LoadOptions


class Reply(Frame, frozen=True):
    """Answer these messages, once for each seed; or, with `open_answer`, go on with the last one.

    `exact`: on the grid. `shift`: turns have left, and the KV cache of the others may be moved. `owner`: on whose
    behalf blocks of the KV cache may be written to the disk. `speculate`: tokens of an answer that is alone and not
    exact may be guessed, and checked in batches.
    """

    id: Id
    messages: tuple[Message, ...]
    sampling: Sampling
    seeds: Annotated[tuple[int, ...], msgspec.Meta(min_length=1, max_length=MOST_CANDIDATES)]
    exact: bool
    max_tokens: int | None
    stops: tuple[str, ...]
    open_answer: bool
    raw_tags: bool
    shift: bool
    owner: str | None = None
    speculate: bool = False


class Render(Frame, frozen=True):
    """Show the prompt of these messages."""

    id: Id
    messages: tuple[Message, ...]
    open_answer: bool
    raw_tags: bool


class Measure(Frame, frozen=True):
    """Count the tokens of each of these prompts; one that ends with an answer is open."""

    id: Id
    prompts: tuple[tuple[Message, ...], ...]


class Tokenize(Frame, frozen=True):
    """Show the tokens of a text, or only count them."""

    id: Id
    text: str
    only_count: bool


class Prefill(Frame, frozen=True):
    """Evaluate the prompt of these messages ahead of a Reply, in its way.

    `unfinished`: the last message may go on; what stays of the prompt whatever follows is evaluated.
    """

    id: Id
    messages: tuple[Message, ...]
    exact: bool
    shift: bool
    unfinished: bool = False

    def is_begin_of(self, messages: Sequence[Message]) -> bool:
        """Whether all that it evaluates is a part of the prompt of these messages."""
        if not (self.unfinished and messages and self.messages[:-1] == messages[: len(self.messages) - 1]):
            return False
        mine, theirs = self.messages[-1], messages[len(self.messages) - 1 :][:1]
        return bool(theirs) and theirs[0].role is mine.role and theirs[0].content.startswith(mine.content)


class Tune(Frame, frozen=True):
    """Measure what suits the model on this machine."""

    id: Id


class Cancel(Frame, frozen=True):
    """End the request with this id, now or when its turn comes."""

    id: Id


class Close(Frame, frozen=True):
    """Write down what may be kept, in a second or two, and end."""


class Stay(Frame, frozen=True):
    """In place of a Close: answer others at the socket `place`, until nobody came for so long."""

    seconds: float
    place: str


class Hello(Frame, frozen=True):
    """The engine runs: which llama.cpp, which extra buffer types, whether a GPU, whether flash attention pays."""

    build: str
    extra_buffers: tuple[str, ...]
    has_gpu: bool
    flash_attention: bool


class Staying(Frame, frozen=True):
    """An engine that stays greets whoever comes: its process, its model, bytes of memory, how long it stays alone.

    One that is busy with somebody else hangs up then.
    """

    pid: int
    model: str
    n_bytes: int
    seconds: float
    is_busy: bool


class LoadProgress(Frame, frozen=True):
    """Bytes of the model read."""

    done: int
    total: int


class Loaded(Frame, frozen=True):
    """The model is ready. `notices` are lines for the user."""

    info: ModelInfo
    notices: tuple[str, ...]


class PrefillProgress(Frame, frozen=True):
    """Tokens of the prompt evaluated, of those that had to be."""

    id: Id
    done: int
    total: int


class Waiting(Frame, frozen=True):
    """The request has waited for so long for another llamachat to finish with the cores."""

    id: Id
    seconds: float


class TextDelta(Frame, frozen=True):
    """More of the answer, or of the one with this index."""

    id: Id
    text: str
    index: int = 0


class Done(Frame, frozen=True):
    """The answer's end, or that of the one with this index. `draft` is None where nothing could be guessed."""

    id: Id
    reason: FinishReason
    tokens: AnswerTokens | None
    usage: Usage
    timings: Timings
    context: ContextUse
    index: int = 0
    draft: Drafted | None = None


class RenderDone(Frame, frozen=True):
    """A prompt, as text and token by token."""

    id: Id
    text: str
    pieces: tuple[Token, ...]
    context: ContextUse


class MeasureDone(Frame, frozen=True):
    """The tokens of each prompt."""

    id: Id
    n_tokens: tuple[int, ...]


class TokenizeDone(Frame, frozen=True):
    """The tokens of a text; `pieces` stays empty if they were only to be counted."""

    id: Id
    n_tokens: int
    pieces: tuple[Token, ...]


class PrefillDone(Frame, frozen=True):
    """A Prefill has ended, at its end or before."""

    id: Id
    n_tokens: int


class TuneStep(Frame, frozen=True):
    """What is being measured now; nothing any more where it is empty. Id 0: because nobody waits."""

    id: Id
    what: str


class TuneDone(Frame, frozen=True):
    """What was measured. `tuned` is None where it was stopped."""

    id: Id
    tuned: Tuned | None
    tried: tuple[Tried, ...] = ()
    is_stopped: bool = False


class TagPlace(msgspec.Struct, frozen=True):
    """Where a forbidden tag stands: message index, its role, character offset."""

    tag: str
    index: int
    role: str
    offset: int


class Overflow(msgspec.Struct, frozen=True):
    """Tokens of a prompt that does not fit, and of the context."""

    n_tokens: int
    n_ctx: int


class Failed(Frame, frozen=True):
    """The request (id 0: loading) failed: an exit code of errors.py, a line, and the next thing to do."""

    id: Id
    code: int
    message: str
    hint: str = ""
    tag: TagPlace | None = None
    overflow: Overflow | None = None


def failure(number: int, error: LlamachatError) -> Failed:
    """The frame that an error is sent as."""
    tag = overflow = None
    if isinstance(error, ForbiddenTag):
        tag = TagPlace(error.tag, error.index, error.role, error.offset)
    if isinstance(error, ContextOverflow):
        overflow = Overflow(error.n_tokens, error.n_ctx)
    return Failed(number, error.code, error.message, error.hint, tag, overflow)


def error_of(frame: Failed) -> LlamachatError:
    """The error that a frame stands for: the reverse of `failure`."""
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


Down = Load | Reply | Render | Measure | Tokenize | Prefill | Tune | Cancel | Close | Stay
Up = (
    Hello
    | LoadProgress
    | Loaded
    | PrefillProgress
    | Waiting
    | TextDelta
    | Done
    | RenderDone
    | MeasureDone
    | TokenizeDone
    | PrefillDone
    | TuneStep
    | TuneDone
    | Failed
)
