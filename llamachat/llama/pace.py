"""How fast a model reads and writes, and whether one way is better than another as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

CLEAR = 0.97  # of the default's time: what changes numbers has to gain this much
AS_GOOD = 1.02  # of the default's time: no worse, as far as it can be measured
_USUAL_PROMPT, _USUAL_ANSWER = 200, 200  # tokens of a turn


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds a token."""

    prefill: float
    decode: float

    @classmethod
    def median_of(cls, paces: Sequence[Pace]) -> Pace:
        return cls(median(pace.prefill for pace in paces), median(pace.decode for pace in paces))

    @property
    def turn(self) -> float:
        """Seconds of a usual turn."""
        return _USUAL_PROMPT * self.prefill + _USUAL_ANSWER * self.decode

    def is_better_than(self, default: Pace) -> bool:
        """Whether a usual turn is clearly quicker, or reading or writing is, and the other no slower."""
        if self.turn <= CLEAR * default.turn:
            return True
        ratios = self.prefill / default.prefill, self.decode / default.decode
        return min(ratios) <= CLEAR and max(ratios) <= AS_GOOD
