"""What an engine is to the rest of the program: messages in, events out.

`process` runs one in a child process; a remote server can be another. Nothing above this line computes with
token ids: `AnswerTokens` are handed back unopened, `Token`s are there to be shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from llamachat.errors import LlamachatError
from llamachat.types import AnswerTokens, ContextUse, Drafted, FinishReason, Message, ModelInfo, Timings, Usage


@dataclass(frozen=True, slots=True)
class Request:
    """An answer wanted, or `n` of them. What is None or left out is the model's own default.

    `sampling` overrides fields of the model's `Sampling`. With a `seed` the answer is reproducible:
    the prompt is evaluated on a fixed grid of batches, whatever is in the cache. `open_answer` says that
    the last message is the assistant's, unfinished, to be taken up where it breaks off. `shift` says that turns have
    just left the messages, and that without a seed the KV cache of the others may be moved instead of made anew.

    Of several answers each has a seed of its own: the one given, and those after it. They are decoded in one batch, so
    they repeat as a series, with the same seed and the same `n`; alone, or among others, an answer may differ.

    `unfinished`: the last message may go on; only for `prefill`, which evaluates what will stay whatever follows.

    `speculate`: without a seed, and of one answer, tokens may be guessed and checked in batches.
    `owner` is the session on whose behalf what the request evaluates to may be kept on the disk; None: it is not.
    """

    messages: tuple[Message, ...]
    sampling: Mapping[str, float | int] = field(default_factory=dict)
    seed: int | None = None
    max_tokens: int | None = None
    stops: tuple[str, ...] = ()
    open_answer: bool = False
    raw_tags: bool = False
    shift: bool = False
    n: int = 1
    unfinished: bool = False
    owner: str | None = None
    speculate: bool = False


@dataclass(frozen=True, slots=True)
class Loading:
    """The model is being read: bytes."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Reading:
    """The prompt is being evaluated: tokens, those reused not counted."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """Another llamachat has the cores, and the request has waited for so long."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Delta:
    """More of the answer, or of one of several."""

    text: str
    index: int = 0


@dataclass(frozen=True, slots=True)
class Notice:
    """One line that the user should see once."""

    text: str


@dataclass(frozen=True, slots=True)
class Finished:
    """The end of an answer, or of one of several.

    `tokens` is None where its text is not exactly what was generated, `draft` where nothing could be guessed.
    """

    reason: FinishReason
    seed: int
    tokens: AnswerTokens | None
    usage: Usage
    timings: Timings
    context: ContextUse
    index: int = 0
    draft: Drafted | None = None


Event = Loading | Reading | Waiting | Delta | Notice | Finished


@dataclass(frozen=True, slots=True)
class Token:
    """One token and its text: U+FFFD where it is only a part of a character, a control token spelled out."""

    id: int
    text: str
    is_control: bool = False


@dataclass(frozen=True, slots=True)
class Rendered:
    """A prompt as the model would get it: as text with control tokens spelled out, and token by token."""

    text: str
    pieces: tuple[Token, ...]
    context: ContextUse

    @property
    def tokens(self) -> tuple[int, ...]:
        """The token ids."""
        return tuple(piece.id for piece in self.pieces)


class Engine(Protocol):
    """Answers one request at a time.

    `on_change`, if set, is called from another thread whenever `info`, `failure` or `loading` changes, or it rests.
    """

    on_change: Callable[[], None] | None

    @property
    def name(self) -> str:
        """What the model is called, loaded or not."""
        ...

    @property
    def path(self) -> str | None:
        """The model's file, if it is one."""
        ...

    @property
    def loading(self) -> Loading:
        """How far loading has got."""
        ...

    @property
    def info(self) -> ModelInfo | None:
        """The loaded model; None until it is loaded."""
        ...

    @property
    def is_resting(self) -> bool:
        """Whether it has given its memory back, until it is started or asked again."""
        ...

    @property
    def failure(self) -> LlamachatError | None:
        """Why the model cannot be loaded; every request raises it."""
        ...

    def start(self) -> None:
        """Begin loading and return at once. Every other method does this when needed."""
        ...

    def wait_until_loaded(self) -> Iterator[Event]:
        """Loading and notices until the model is ready. Raises what `reply` would."""
        ...

    def reply(self, request: Request) -> Iterator[Event]:
        """Events up to and including Finished, that of each answer. The engine's errors are raised: see errors.py.

        After an error the engine is ready for the next request, or restarts for it.
        """
        ...

    def render(self, request: Request) -> Rendered:
        """The prompt of a request, after all the checks of a real one; nothing is evaluated."""
        ...

    def measure(self, prompts: Sequence[tuple[Message, ...]]) -> tuple[int, ...]:
        """How many tokens each of these prompts is; one that ends with an answer leaves it open.

        Neither their size nor tags in them are checked.
        """
        ...

    def tokens(self, text: str) -> tuple[Token, ...]:
        """A user's text as the model sees it: nothing in it becomes a control token."""
        ...

    def count(self, text: str) -> int:
        """How many tokens `tokens` would give."""
        ...

    def prefill(self, request: Request) -> None:
        """Evaluate the prompt of a request in the background; the next one ends it."""
        ...

    def interrupt(self) -> None:
        """End the running request soon, with what it has said. Callable from a signal handler."""
        ...

    def close(self) -> None:
        """Free everything. The engine is not used afterwards."""
        ...
