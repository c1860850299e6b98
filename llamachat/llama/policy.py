"""When to draft, and how much: what a draft is expected to bring against what it costs on this machine."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from llamachat.llama.costs import Costs
from llamachat.llama.ngrams import LONGEST

COUNTS = (1, 2, 3, 5, 7, 11, 15)  # tokens of a draft; with the one before them, batches that kernels like
MOST = COUNTS[-1]
_MARGIN = 1.05  # a gain that small would be eaten by what was not counted
_PROBE = 3  # tokens of a draft that is made only to see
_FIRST_PAUSE, _LONGEST_PAUSE = 32, 512  # rounds without a draft before one is made to see; doubled each time in vain
# How often a guess was right after so many tokens had agreed: the starter on lists, code, stories and letters,
# greedy and sampled, 3,600 tokens. Each answer puts them right for itself.
_AGREED = ((2, 0.5), (3, 0.55), (4, 0.65), (6, 0.75), (8, 0.85), (12, 0.92), (16, 0.97))
_KINDS = tuple(sum(length > most for most, _ in _AGREED) for length in range(LONGEST + 1))  # by length, which it is
_MODEL_IS_RIGHT = 0.7
_LEARNING, _MODEL_LEARNING = 1 / 16, 1 / 8


class Source(Enum):
    """Where a draft comes from."""

    TEXT = auto()  # the same words earlier
    MODEL = auto()  # a smaller model


@dataclass(frozen=True, slots=True)
class Plan:
    """A draft to make. Of no tokens: none, one token is evaluated."""

    source: Source = Source.TEXT
    count: int = 0


class Odds:
    """How often guesses are right in this answer: after how many tokens that agreed, or a model's."""

    def __init__(self) -> None:
        self._text = [chance for _, chance in _AGREED]
        self._model = _MODEL_IS_RIGHT

    def of(self, source: Source, length: int) -> float:
        return self._model if source is Source.MODEL else self._text[_KINDS[min(length, LONGEST)]]

    def learn(self, source: Source, length: int, *, was_right: bool) -> None:
        if source is Source.MODEL:
            self._model += _MODEL_LEARNING * (was_right - self._model)
        else:
            kind = _KINDS[min(length, LONGEST)]
            self._text[kind] += _LEARNING * (was_right - self._text[kind])

    def expected(self, source: Source, length: int, most: int) -> list[float]:
        """How many will be right of no guess, of one, and so on: each that is makes the agreement longer."""
        totals, chance = [0.0], 1.0
        for index in range(most):
            chance *= self.of(source, length + index)
            totals.append(totals[-1] + chance)
        return totals


class Policy:
    """Decides each step of one answer. What a model's guesses cost (`model_cost`) is in single tokens of the target."""

    def __init__(self, costs: Costs) -> None:
        self.odds = Odds()
        self._costs = costs
        self._rounds_without = 0
        self._pause = _FIRST_PAUSE

    def plan(self, length: int, most: int, depth: int, model_cost: float | None = None) -> Plan:
        """What to do next, `length` tokens agreeing with an earlier place (0: none); `most` tokens fit."""
        if most < 1 or self._costs.wants_single(depth):
            return Plan()
        best, best_gain = Plan(), _MARGIN
        for source, own_cost in self._sources(length, model_cost):
            expected = self.odds.expected(source, length, min(most, MOST))
            for count in COUNTS:
                if count > most:
                    break
                cost = self._costs.ratio(count + 1, depth) + count * own_cost
                gain = (1 + expected[count]) / cost
                if gain > best_gain:
                    best, best_gain = Plan(source, count), gain
        self._rounds_without = 0 if best.count else self._rounds_without + 1
        if best.count == 0 and self._rounds_without >= self._pause and most >= _PROBE:
            return self._probe(length, model_cost)
        return best

    def judge(self, n_said: int, cost: float) -> None:
        """A draft came to so many tokens, at a price in single ones. After a gain the next pause is short."""
        if n_said > cost:
            self._pause = _FIRST_PAUSE

    def _probe(self, length: int, model_cost: float | None) -> Plan:
        """A draft made to see whether drafts still don't pay: of text only one that would be right, costs aside."""
        if model_cost is not None:
            source = Source.MODEL
        elif length and self.odds.expected(Source.TEXT, length, _PROBE)[-1] > _PROBE / 2:
            source = Source.TEXT
        else:
            return Plan()
        self._rounds_without = 0
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)
        return Plan(source, _PROBE)

    def _sources(self, length: int, model_cost: float | None) -> list[tuple[Source, float]]:
        text = [(Source.TEXT, 0.0)] if length else []
        return text if model_cost is None else [*text, (Source.MODEL, model_cost)]
