"""The raw loop with other settings than the engine has: what would be faster on this machine.

Each is tried in turns with the settings in force, on prompts that were measured before.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from statistics import median

from llamachat.bench.plan import N_QUESTION, Pace, Sizes
from llamachat.bench.values import Kind, Measurement, RawContext, Results, Sample
from llamachat.bench.yardstick import RawProcess

OTHER = "other"  # the second context's name; the first one's is empty
_ROUNDS = 3
_MOST_THREADS = 512


@dataclass(frozen=True, slots=True)
class Trial:
    """A setting that was tried. `decode` and `first_token` are speeds compared with the settings in force."""

    setting: str
    value: str
    depth: int
    decode: float | None
    first_token: float | None


def thread_counts(n_threads: int, n_cpus: int) -> tuple[int, ...]:
    """Other numbers of threads that are worth a try. More than there are CPUs never are: each waits for all others."""
    wanted = {n_threads // 2, n_threads - 1, n_cpus if n_cpus <= 2 * n_threads else 0}
    return tuple(sorted(count for count in wanted if 0 < count <= _MOST_THREADS and count != n_threads))


def try_threads(raw: RawProcess, results: Results, count: int) -> Trial | None:
    """Another number of threads, at the shallowest depth; None if that was not measured."""
    answers = _answers(results, 0)
    if not answers:
        return None
    pairs = _alternate(
        answers,
        lambda each: raw.measure(each.tokens, each.n_write),
        lambda each: raw.measure(each.tokens, each.n_write, n_threads=count),
    )
    return _trial("threads", str(count), 0, pairs)


def try_flash_attention(raw: RawProcess, results: Results, context: RawContext, depth: int) -> Trial:
    """Flash attention where it is off, or none where it is on, at a depth that was measured."""
    raw.open(OTHER, replace(context, flash_attention=not context.flash_attention))
    answers = _answers(results, depth)
    raw.measure(answers[0].tokens, 1, name=OTHER)  # the beginning, which the other context has in its cache
    pairs = _alternate(
        answers,
        lambda each: raw.measure(each.tokens, each.n_write),
        lambda each: raw.measure(each.tokens, each.n_write, name=OTHER),
    )
    return _trial("flash attention", "off" if context.flash_attention else "on", depth, pairs)


def flash_depth(results: Results, pace: Pace, sizes: Sizes, seconds: float) -> int | None:
    """The deepest depth measured at which trying flash attention takes no longer than this; None if none does."""
    answers = 2 * (_ROUNDS + 1) * (N_QUESTION * pace.read + sizes.n_write * pace.write)
    depths = (point.depth for point in results.points())
    return max((depth for depth in depths if depth * pace.read + answers <= seconds), default=None)


def _answers(results: Results, depth: int) -> list[Measurement]:
    """Some of the measured questions of a depth."""
    whole = (each for each in results.measurements if each.depth == depth and each.is_whole)
    return [each for each in whole if each.kind is Kind.ANSWER][: _ROUNDS + 1]


_Measure = Callable[[Measurement], Sample]


def _alternate(answers: list[Measurement], now: _Measure, other: _Measure) -> list[tuple[Sample, Sample]]:
    """Pairs of samples, as it is and otherwise. The first pair warms up and is left out."""
    pairs = []
    for turn, answer in enumerate(answers):
        if turn % 2:
            second, first = other(answer), now(answer)
        else:
            first, second = now(answer), other(answer)
        pairs.append((first, second))
    return pairs[1:]


def _trial(setting: str, value: str, depth: int, pairs: list[tuple[Sample, Sample]]) -> Trial:
    decode = [other.write_rate / now.write_rate for now, other in pairs if now.write_rate and other.write_rate]
    first = [other.first_rate / now.first_rate for now, other in pairs if now.first_rate and other.first_rate]
    return Trial(setting, value, depth, median(decode) if decode else None, median(first) if first else None)
