"""The options of a chat, as one value."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ChatOptions:
    """What the command line asked for. None means: not given."""

    prompt: tuple[str, ...] = ()
    model: str | None = None
    format: str | None = None
    system: str | None = None
    files: tuple[Path, ...] = ()
    messages: str | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    repeat_penalty: float | None = None
    seed: int | None = None
    max_tokens: int | None = None
    stops: tuple[str, ...] = ()
    n_ctx: int | None = None
    n_threads: int | None = None
    gpu_layers: int | None = None
    kv_type: str = "f16"
    json: bool = False
    stream: bool = True
    plain: bool = False
    raw_tags: bool = False
    dry_run: bool = False
    quiet: bool = False
    verbose: bool = False
    debug: bool = False

    @property
    def sampling(self) -> dict[str, float | int]:
        """The sampling values that were given, by the names of types.Sampling."""
        names = ("temperature", "top_p", "top_k", "min_p", "repeat_penalty")
        return {name: value for name in names if (value := getattr(self, name)) is not None}
