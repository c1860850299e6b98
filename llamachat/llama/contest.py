"""Which of several candidates is clearly quicker than the default: timed in turns, judged by medians.

Arithmetic alone: it is told seconds and asked whose turn it is, so it can be left and taken up at any turn.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from statistics import median
from typing import Generic, TypeVar

from llamachat.llama.pace import CLEAR

ROUNDS = 5
_STEADY = 0.15  # that the default's own times may differ by, one of them forgiven
_AHEAD = 0.98  # of the default's time: what does not reach it in the first round is not tried again

T = TypeVar("T")


class Contest(Generic[T]):
    """A default, others, and the seconds that each took. Each round has a turn of all, in changing order.

    `needs_quiet`: nothing is clear while somebody else computes, since the others may only suffer less from that.
    `thorough`: those that are behind go on, too, because it counts by how much.
    """

    def __init__(
        self,
        default: T,
        others: Sequence[T],
        rounds: int = ROUNDS,
        *,
        needs_quiet: bool = False,
        thorough: bool = False,
    ) -> None:
        self.default = default
        self.others = tuple(others)
        self._rounds = rounds
        self._needs_quiet = needs_quiet
        self._thorough = thorough
        self.begin()

    def begin(self) -> None:
        """Forget all times."""
        self._seconds: dict[T, list[float]] = {each: [] for each in (self.default, *self.others)}
        self._rounds_left = self._rounds
        self._turns: deque[T] = deque()

    @property
    def turn(self) -> T | None:
        """Whose turn it is; None when it is over."""
        if not self._turns and self._rounds_left:
            standing = [each for each in self.others if self._thorough or not self._is_out(each)]
            if not standing:
                return None
            order = [self.default, *standing]
            self._turns.extend(order if self._rounds_left % 2 else reversed(order))
            self._rounds_left -= 1
        return self._turns[0] if self._turns else None

    def add(self, seconds: float) -> None:
        """What the turn took; the next one is another's."""
        self._seconds[self._turns.popleft()].append(seconds)

    @property
    def winner(self) -> T:
        """The quickest of those that are clearly quicker than the default, or the default."""
        clear = [each for each in self.others if self._is_clear(each)]
        return min(clear, key=self.ratio, default=self.default)

    @property
    def is_settled(self) -> bool:
        """Whether it says something. Where the default's own times differ, somebody else computes.

        Then what was always slower is slower.
        """
        return self._is_quiet_enough or all(map(self._is_behind, self.others))

    def ratio(self, candidate: T) -> float:
        """Its time against the default's of the same round, in the median; 1 before the first round."""
        return median([mine / theirs for mine, theirs in self._pairs(candidate)] or [1.0])

    def _is_clear(self, candidate: T) -> bool:
        n_behind = sum(mine >= theirs for mine, theirs in self._pairs(candidate))
        return self._is_quiet_enough and n_behind <= 1 and self.ratio(candidate) <= CLEAR

    def _is_behind(self, candidate: T) -> bool:
        """Whether it was slower in every round."""
        return all(mine >= theirs for mine, theirs in self._pairs(candidate))

    def _is_out(self, candidate: T) -> bool:
        """Whether it was not ahead in the first round, or in none of several as quick as it would have to be."""
        pairs = self._pairs(candidate)
        least = _AHEAD if len(pairs) == 1 else CLEAR
        return bool(pairs) and all(mine > least * theirs for mine, theirs in pairs)

    def _pairs(self, candidate: T) -> list[tuple[float, float]]:
        """Its times, each with the default's of the same round."""
        return list(zip(self._seconds[candidate], self._seconds[self.default], strict=False))

    @property
    def _is_quiet_enough(self) -> bool:
        """Whether the default's times lie near each other, if that counts; of three and more the worst is forgiven."""
        times = sorted(self._seconds[self.default])
        counted = times[:-1] if len(times) > 2 else times
        return not self._needs_quiet or not times or counted[-1] - counted[0] <= _STEADY * median(times)
