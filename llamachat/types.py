"""The values that every layer shares: messages, sampling, what an answer cost.

They are frozen and know nothing of processes, terminals or llama.cpp. msgspec encodes and checks
them as they are (engine/protocol.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

MOST_CANDIDATES = 9  # answers to one question at a time: one key picks


class Role(StrEnum):
    """Who speaks."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"


@dataclass(frozen=True, slots=True)
class AnswerTokens:
    """The token ids an answer was generated as: opaque outside the engine.

    Tokenising the answer's text again would give other ids (models emit sequences that the tokenizer
    would not), and the KV cache of the answer would be lost. `vocabulary` is the fingerprint of the
    vocabulary the ids belong to; an engine with another one ignores them.
    """

    vocabulary: str
    ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Message:
    """One turn. `generated` marks an answer of a model's: it is never refused for what it says."""

    role: Role
    content: str
    generated: bool = False
    tokens: AnswerTokens | None = None


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is chosen. The defaults are neutral: each sampler off, temperature 1.

    Names, meanings and order are llama.cpp's (common/sampling.cpp). `temperature` 0 takes the most
    likely token. `seed` is a 32-bit number. `logit_bias` pairs a token id with what is added to its
    logit. `mirostat` 1 or 2 replaces every sampler between the bias and the temperature.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    typical_p: float = 1.0
    xtc_probability: float = 0.0
    xtc_threshold: float = 0.1
    repeat_penalty: float = 1.0
    repeat_last_n: int = 64
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    dry_multiplier: float = 0.0
    dry_base: float = 1.75
    dry_allowed_length: int = 2
    dry_penalty_last_n: int = 4096
    mirostat: int = 0
    mirostat_tau: float = 5.0
    mirostat_eta: float = 0.1
    logit_bias: tuple[tuple[int, float], ...] = ()


class FinishReason(StrEnum):
    """Why an answer ended."""

    STOP = "stop"
    LENGTH = "length"
    INTERRUPTED = "interrupted"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one request. `reused` of the prompt's tokens were in the KV cache already."""

    prompt_tokens: int = 0
    reused_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True, slots=True)
class ContextUse:
    """How full the context window is, in tokens, with the answer in it."""

    size: int
    used: int
    dropped_turns: int = 0


@dataclass(frozen=True, slots=True)
class Timings:
    """Seconds. `first_token` counts from the start of the request, with the model loaded."""

    load: float = 0.0
    prefill: float = 0.0
    first_token: float | None = None
    decode: float = 0.0


@dataclass(frozen=True, slots=True)
class Drafted:
    """Tokens of an answer that were guessed, and those of them that were right."""

    proposed: int = 0
    accepted: int = 0


@dataclass(frozen=True, slots=True)
class Layout:
    """What one way of laying out the weights gives: seconds to load it out of the page cache, tokens a second."""

    load: float
    prefill: float
    decode: float


@dataclass(frozen=True, slots=True)
class Tuned:
    """What suits a model on this machine, as measured (llama/tuning.py). None was not measured: the default holds.

    `n_cores` are the threads that were the default then: with another number the rest says nothing. `kv_type` is the
    cache's type with which it was measured. `chunk` counts the
    tokens of a batch, `repack` says that a chat lays the weights out anew. The gains are speeds against the default.
    """

    n_cores: int
    n_threads: int | None = None
    n_threads_prefill: int | None = None
    chunk: int | None = None
    flash_attention: bool | None = None
    repack: bool = True
    repacked: Layout | None = None
    plain: Layout | None = None
    decode_gain: float = 1.0
    prefill_gain: float = 1.0
    kv_type: str = "f16"


@dataclass(frozen=True, slots=True)
class Tried:
    """A setting that was measured. `ratio` is its time against the default's: below 1 it is quicker."""

    what: str
    value: str
    ratio: float
    chosen: bool


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """Which model to load and how. None means: what suits the model and the machine.

    `gpu_layers` counts the layers to put on a GPU, -1 all of them. `kv_type` is the type of the KV cache,
    `f16` or `q8_0`; None is f16 unless that would cut the context. `sha256` is the file's, where it is known. `format`
    overrides the chat format. `sampling` is the catalogue's advice for this model. `draft` is the file of a smaller
    model that guesses for it. The four switches are what a crash turns off (engine/ladder.py). `cache_folder` is where
    blocks of the KV cache are kept on the disk, up to `cache_bytes`; none without a folder or with 0. `turns` is the
    file over which engines take turns at the cores. `tuned` is what was measured before; with `measures` the engine
    measures while nobody waits.
    """

    path: str
    name: str = ""
    sha256: str | None = None
    is_starter: bool = False
    n_ctx: int | None = None
    n_threads: int | None = None
    gpu_layers: int | None = None
    kv_type: str | None = None
    format: str | None = None
    sampling: Sampling | None = None
    draft: str | None = None
    use_amx: bool = True
    use_extra_buffers: bool = True
    use_flash_attention: bool = True
    use_gpu: bool = True
    cache_folder: str | None = None
    cache_bytes: int = 0
    turns: str | None = None
    tuned: Tuned | None = None
    measures: bool = False


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What the engine knows of the model it has loaded.

    `format` is the chat format in use, `vocabulary` the fingerprint of the vocabulary, `n_ctx` the
    context in tokens (`n_ctx_train` what the model was trained on), `sampling` the model's own
    defaults, `build` the llama.cpp build, `devices` what the layers run on, `repacked` says that
    weights were laid out anew, `n_batch` how many tokens are evaluated at a time. `opens_thought`: prompts end behind
    the `<think>` of an answer, which begins inside.
    """

    name: str
    path: str
    format: str
    architecture: str
    quantisation: str
    n_params: int
    size_bytes: int
    n_ctx: int
    n_ctx_train: int
    n_threads: int
    n_gpu_layers: int
    flash_attention: bool
    vocabulary: str
    build: str
    devices: tuple[str, ...]
    sampling: Sampling
    kv_bytes: int = 0
    load_seconds: float = 0.0
    sha256: str | None = None
    opens_thought: bool = False
    kv_type: str = "f16"
    repacked: bool = True
    n_batch: int = 512
