"""What to measure: at which depths, with how many tokens, how often, and within which time."""

from __future__ import annotations

from dataclasses import dataclass

from llamachat.bench.values import Sample

N_QUESTION = 32  # tokens of the question before a first token
N_WARM_UP_READ, N_WARM_UP_WRITE = 128, 8
_FIRST_DEPTH, _STEP = 512, 4
_READS, _QUICK_READS = (512, 256, 128), (256, 128)
_WRITES, _QUICK_WRITES = (64, 32, 16), (32, 16)
_PATIENCE = 4.0  # seconds of one reading or writing; a slow machine reads and writes less
_LONG_ROUND = 6.0  # seconds from which three rounds have to do
_ROUNDS, _FEW_ROUNDS = 5, 3
_FRAME = 128  # tokens that a chat format may put around a message
_ROUNDING = 256  # of the deepest depth, and llama.cpp's of a context


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds a token, reading and writing."""

    read: float
    write: float

    @classmethod
    def of(cls, sample: Sample) -> Pace:
        """As measured; writing as slow as reading where the answer was too short to tell."""
        read = 1 / (sample.read_rate or 1e9)
        return cls(read, 1 / sample.write_rate if sample.write_rate else read)


@dataclass(frozen=True, slots=True)
class Sizes:
    """Tokens of one prefill, of one answer, and how many rounds there are."""

    n_read: int
    n_write: int
    n_rounds: int

    @property
    def room(self) -> int:
        """Tokens that must be free behind a depth."""
        return max(self.n_read, N_QUESTION) + self.n_write + _FRAME

    def round_seconds(self, pace: Pace) -> float:
        """Of one round, both sides."""
        return 2 * ((self.n_read + N_QUESTION) * pace.read + self.n_write * pace.write)


def sizes(pace: Pace, n_ctx: int, *, is_quick: bool) -> Sizes:
    """As much as is worth waiting for, and as the context has room for."""
    n_read = min(_largest(_QUICK_READS if is_quick else _READS, pace.read), n_ctx // 4)
    n_write = min(_largest(_QUICK_WRITES if is_quick else _WRITES, pace.write), n_ctx // 8)
    few = is_quick or Sizes(n_read, n_write, 1).round_seconds(pace) > _LONG_ROUND
    return Sizes(n_read, n_write, _FEW_ROUNDS if few else _ROUNDS)


def depths(n_ctx: int, sizes: Sizes) -> tuple[int, ...]:
    """0, 512, 2,048, … and the deepest there is, unless that is next to the one before it."""
    deepest = deepest_of(n_ctx, sizes)
    found, depth = [0], _FIRST_DEPTH
    while depth <= deepest:
        found.append(depth)
        depth *= _STEP
    if deepest > 1.5 * found[-1]:
        found.append(deepest)
    return tuple(found)


def deepest_of(n_ctx: int, sizes: Sizes) -> int:
    """The deepest place that leaves room to measure."""
    return max(0, n_ctx - sizes.room) // _ROUNDING * _ROUNDING


def context_for(depth: int, sizes: Sizes) -> int:
    """The context in tokens that measuring at this depth takes."""
    return -(-(depth + sizes.room + _ROUNDING) // _ROUNDING) * _ROUNDING


def seconds_for(depth: int, before: int, sizes: Sizes, pace: Pace) -> float:
    """How long both sides take at a depth, when the cache holds what is `before` it: about."""
    return 2 * (depth - before) * pace.read + (sizes.n_rounds + 1) * sizes.round_seconds(pace)


def _largest(sizes: tuple[int, ...], seconds: float) -> int:
    """The first that does not take too long, or the last."""
    return next((size for size in sizes if size * seconds <= _PATIENCE), sizes[-1])
