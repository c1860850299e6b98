"""The frames that llamachat and its engine process exchange, and how they look on the pipe.

A frame on the wire is a header and a body:

    2 bytes   b"lc"
    1 byte    version of this protocol
    1 byte    0
    4 bytes   length of the body, little-endian
    ...       the body, MessagePack: a map with the fields below and "type", the frame's name

Down (llamachat to engine): Load once, then Reply, Render, Measure, Tokenize or Prefill, each with an `id` of its
own, and Cancel with the id of one. Up: Hello at start, LoadProgress and Loaded (or Failed with id 0), then for each
request its PrefillProgress, TextDelta and one of Done, RenderDone, MeasureDone, TokenizeDone, PrefillDone or Failed.
Requests are handled in order; one that follows a Prefill ends it. The end of the pipe ends the engine.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Annotated, Any

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
    AnswerTokens,
    ContextUse,
    FinishReason,
    LoadOptions,
    Message,
    ModelInfo,
    Sampling,
    Timings,
    Usage,
)

VERSION = 1
_HEADER = struct.Struct("<2sBBI")
_MAGIC = b"lc"
_LARGEST = 256 << 20

Id = Annotated[int, msgspec.Meta(ge=0)]


class FrameError(Exception):
    """What came through the pipe is no frame, or only a part of one."""


class Frame(msgspec.Struct, frozen=True, tag=True, tag_field="type"):
    """The base of every frame; its class name is its type on the wire."""


class Load(Frame, frozen=True):
    """Load this model."""

    options: LoadOptions


class Reply(Frame, frozen=True):
    """Answer these messages; or, with `open_answer`, go on with the last one.

    `exact`: on the grid. `shift`: turns have left, and the KV cache of the others may be moved.
    """

    id: Id
    messages: tuple[Message, ...]
    sampling: Sampling
    seed: int
    exact: bool
    max_tokens: int | None
    stops: tuple[str, ...]
    open_answer: bool
    raw_tags: bool
    shift: bool


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
    """Evaluate the prompt of these messages ahead of a Reply, in its way."""

    id: Id
    messages: tuple[Message, ...]
    exact: bool
    shift: bool


class Cancel(Frame, frozen=True):
    """End the request with this id, now or when its turn comes."""

    id: Id


class Hello(Frame, frozen=True):
    """The engine runs: which llama.cpp, which extra buffer types, whether a GPU, whether flash attention pays."""

    build: str
    extra_buffers: tuple[str, ...]
    has_gpu: bool
    flash_attention: bool


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


class TextDelta(Frame, frozen=True):
    """More of the answer."""

    id: Id
    text: str


class Done(Frame, frozen=True):
    """The answer's end."""

    id: Id
    reason: FinishReason
    tokens: AnswerTokens | None
    usage: Usage
    timings: Timings
    context: ContextUse


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


Down = Load | Reply | Render | Measure | Tokenize | Prefill | Cancel
Up = (
    Hello
    | LoadProgress
    | Loaded
    | PrefillProgress
    | TextDelta
    | Done
    | RenderDone
    | MeasureDone
    | TokenizeDone
    | PrefillDone
    | Failed
)

_encode = msgspec.msgpack.Encoder().encode


def pack(frame: Frame) -> bytes:
    """A frame as bytes for the pipe."""
    body = _encode(frame)
    return _HEADER.pack(_MAGIC, VERSION, 0, len(body)) + body


class FrameReader:
    """Frames of one direction from a blocking `read(n) -> at most n bytes`, empty at the end."""

    def __init__(self, read: Callable[[int], bytes], kind: Any) -> None:
        self._read = read
        self._decode = msgspec.msgpack.Decoder(kind).decode

    def next(self) -> Any:
        """The next frame, or None at the end of the pipe. Raises FrameError."""
        header = self._exactly(_HEADER.size)
        if not header:
            return None
        magic, version, _, length = _HEADER.unpack(header)
        if magic != _MAGIC:
            raise FrameError(f"expected a frame, found {header!r}")
        if version != VERSION:
            raise FrameError(f"a frame of version {version}, expected {VERSION}")
        if length > _LARGEST:
            raise FrameError(f"a frame of {length:,} bytes")
        body = self._exactly(length)
        if len(body) < length:
            raise FrameError("the pipe ended at the start of a frame's body")
        try:
            return self._decode(body)
        except msgspec.MsgspecError as error:
            raise FrameError(f"an unreadable frame: {error}") from error

    def _exactly(self, size: int) -> bytes:
        """`size` bytes, or none at the end of the pipe."""
        data = b""
        while len(data) < size:
            part = self._read(size - len(data))
            if not part:
                if data:
                    raise FrameError(f"half a frame: {len(data)} of {size} bytes")
                return b""
            data += part
        return data
