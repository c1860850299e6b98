"""What is measured, as values: one measurement, a pair of them, what all pairs at one depth say."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from statistics import median
from typing import Protocol

from llamachat.engine.base import Request

_NOISY = 1.3


class Kind(StrEnum):
    """What a measurement asks for. Both stand behind the same beginning, which is in the cache."""

    READ = "read"  # much to read and one token to write: prefill
    ANSWER = "answer"  # a short question and an answer: first token and decode


@dataclass(frozen=True, slots=True)
class Sample:
    """One request measured. Seconds; `first_token` is from its start, `decode` from the end of the prefill.

    Of `n_written` tokens the last is sampled and not evaluated: `decode` holds one evaluation less.
    """

    n_reused: int
    n_read: int
    n_written: int
    prefill: float
    decode: float
    first_token: float | None

    @property
    def read_rate(self) -> float | None:
        """Tokens a second while reading."""
        return self.n_read / self.prefill if self.n_read and self.prefill > 0 else None

    @property
    def write_rate(self) -> float | None:
        """Tokens a second while writing; None for an answer of less than two."""
        return (self.n_written - 1) / self.decode if self.n_written > 1 and self.decode > 0 else None

    @property
    def first_rate(self) -> float | None:
        """First tokens a second: a speed, so that more is better in every comparison."""
        return 1 / self.first_token if self.first_token else None


@dataclass(slots=True)
class Measurement:
    """One request for both, at a depth: tokens that are in the cache before it, about. `tokens` is its prompt."""

    depth: int
    kind: Kind
    request: Request
    tokens: tuple[int, ...]
    n_write: int
    is_warm_up: bool = False
    ours: Sample | None = None
    raw: Sample | None = None

    @property
    def is_whole(self) -> bool:
        return self.ours is not None and self.raw is not None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Medians of one figure. `ratio` is that of the pairs, in speed: 1.1 is a tenth faster than raw llama.cpp."""

    ours: float
    raw: float
    ratio: float


@dataclass(frozen=True, slots=True)
class Point:
    """What was found at one depth. None where nothing could be measured: an answer may be too short.

    `prefill` and `decode` in tokens a second, `first_token` in seconds. `n_reused` is the depth as it was, `n_read` the
    tokens of one prefill, `n_question` those read before a first token. `spread` is llamachat's fastest answer ÷ its
    slowest: a busy machine shows in it.
    """

    depth: int
    n_reused: int
    n_rounds: int
    n_read: int
    n_question: int
    n_written: int
    prefill: Comparison | None
    decode: Comparison | None
    first_token: Comparison | None
    spread: float

    @property
    def is_noisy(self) -> bool:
        """Whether something else took the cores: on an idle machine the same answers are nearly as fast."""
        return self.spread > _NOISY


@dataclass(frozen=True, slots=True)
class Setup:
    """What was measured on: the same for both."""

    model: str
    path: str
    quantisation: str
    n_params: int
    size_bytes: int
    n_ctx: int
    n_threads: int
    n_gpu_layers: int
    devices: tuple[str, ...]
    flash_attention: bool
    kv_type: str
    build: str


@dataclass(frozen=True, slots=True)
class RawModel:
    """Which model the raw loop loads, and how: as the engine did."""

    path: str
    n_gpu_layers: int = 0
    use_amx: bool = True
    use_extra_buffers: bool = True


@dataclass(frozen=True, slots=True)
class RawContext:
    """A context of the raw loop's."""

    n_ctx: int
    n_threads: int
    flash_attention: bool = False
    kv_type: str = "f16"


class Yardstick(Protocol):
    """Something that evaluates token ids and says how long it took."""

    def measure(self, tokens: Sequence[int], n_write: int) -> Sample: ...


@dataclass(slots=True)
class Results:
    """All that was measured so far, in order."""

    measurements: list[Measurement] = field(default_factory=list)

    def points(self) -> list[Point]:
        """One for each depth at which a pair is whole."""
        depths = dict.fromkeys(each.depth for each in self.measurements)
        found = [self._point(depth) for depth in depths]
        return [point for point in found if point is not None]

    def _point(self, depth: int) -> Point | None:
        whole = [each for each in self.measurements if each.depth == depth and each.is_whole and not each.is_warm_up]
        pairs = {kind: [_pair(each) for each in whole if each.kind is kind] for kind in Kind}
        reads, answers = pairs[Kind.READ], pairs[Kind.ANSWER]
        if not answers:
            return None
        first = _compare((ours.first_rate, raw.first_rate) for ours, raw in answers)
        written = [ours.write_rate for ours, _ in answers if ours.write_rate]
        return Point(
            depth,
            n_reused=answers[0][0].n_reused,
            n_rounds=len(answers),
            n_read=reads[0][0].n_read if reads else 0,
            n_question=answers[0][0].n_read,
            n_written=answers[0][0].n_written,
            prefill=_compare((ours.read_rate, raw.read_rate) for ours, raw in reads),
            decode=_compare((ours.write_rate, raw.write_rate) for ours, raw in answers),
            first_token=first and Comparison(1 / first.ours, 1 / first.raw, first.ratio),
            spread=max(written) / min(written) if written else 1.0,
        )


def _pair(measurement: Measurement) -> tuple[Sample, Sample]:
    assert measurement.ours is not None
    assert measurement.raw is not None
    return measurement.ours, measurement.raw


def _compare(pairs: Iterable[tuple[float | None, float | None]]) -> Comparison | None:
    """Medians of the pairs of which both are known; None without any."""
    known = [(ours, raw) for ours, raw in pairs if ours and raw]
    if not known:
        return None
    return Comparison(
        median(ours for ours, _ in known), median(raw for _, raw in known), median(ours / raw for ours, raw in known)
    )
