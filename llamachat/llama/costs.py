"""What a batch of several tokens costs against one, as it was measured on this machine while answers were made.

That hangs on the processor, the quantisation, the threads and the depth in the context: on one machine four tokens
cost 1.3 times what one does, on another 2.8 times.
"""

from __future__ import annotations

from collections import deque
from statistics import median

_DEPTH = 512  # tokens of context within which costs are taken to be the same
_REMEMBERED = 7  # measurements of each size: their median forgives three that were disturbed
_FEWEST_SINGLES = 2  # before a batch has something to be compared with
_BETWEEN_SINGLES = 16  # batches, after which a single token is due: the machine may have become slower
_HOPE = 0.2  # that a token more costs, in single tokens, before any was tried; with a higher one none would be


class Costs:
    """Medians of seconds, by depth and by the number of tokens in a batch."""

    def __init__(self) -> None:
        self._measured: dict[tuple[int, int], deque[float]] = {}
        self._medians: dict[int, dict[int, float]] = {}  # bucket of depth → tokens of a batch → seconds
        self._batches_since_single: dict[int, int] = {}
        self._orders: dict[int, list[dict[int, float]]] = {}  # bucket → what `_nearest` says

    def add(self, n_tokens: int, depth: int, seconds: float) -> None:
        """A batch of so many tokens, behind `depth` others, took so long."""
        bucket = depth // _DEPTH
        if n_tokens == 1 and (bucket, 1) not in self._measured:
            self._orders.clear()
        kept = self._measured.setdefault((bucket, n_tokens), deque(maxlen=_REMEMBERED))
        kept.append(seconds)
        self._medians.setdefault(bucket, {})[n_tokens] = median(kept)
        self._batches_since_single[bucket] = 0 if n_tokens == 1 else self._batches_since_single.get(bucket, 0) + 1

    def wants_single(self, depth: int) -> bool:
        """Whether what one token costs here is not known well enough, or no longer."""
        bucket = depth // _DEPTH
        n_known = len(self._measured.get((bucket, 1), ()))
        return n_known < _FEWEST_SINGLES or self._batches_since_single[bucket] >= _BETWEEN_SINGLES

    def single(self, depth: int) -> float | None:
        """Seconds of one token at this depth, or near it; None before any was measured."""
        return next((known[1] for known in self._nearest(depth)), None)

    def ratio(self, n_tokens: int, depth: int) -> float:
        """What a batch of so many costs, in single tokens.

        Where it was never measured it is taken to be as cheap for each token as the cheapest that was: of too low a
        guess it is tried, and then known.
        """
        nearest = self._nearest(depth)
        for known in nearest:
            if n_tokens in known:
                return known[n_tokens] / known[1]
        slopes = [(known[size] / known[1] - 1) / (size - 1) for known in nearest for size in known if size > 1]
        return 1 + max(0.0, min(slopes, default=_HOPE)) * (n_tokens - 1)

    def _nearest(self, depth: int) -> list[dict[int, float]]:
        """The medians of all depths at which single tokens were measured, the nearest first."""
        bucket = depth // _DEPTH
        if bucket not in self._orders:
            order = sorted(self._medians, key=lambda known: abs(known - bucket))
            self._orders[bucket] = [self._medians[known] for known in order if 1 in self._medians[known]]
        return self._orders[bucket]
