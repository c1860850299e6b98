"""What a text has said before at the place where it stands now: drafts that cost nothing.

Lists, code and quotations repeat what the prompt or the answer has already. Pure; it knows token ids and no model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_LENGTHS = (4, 2)  # tokens that have to agree: the longer is right more often, the shorter finds more
LONGEST = 16  # agreement that is told apart


@dataclass(frozen=True, slots=True)
class Match:
    """Where the end of the text was said before, most recently: `position` is the token after it.

    `length` is how many tokens agree, up to LONGEST.
    """

    position: int
    length: int


class Ngrams:
    """A text that grows, and where each of its short sequences was last seen."""

    def __init__(self, tokens: Sequence[int] = ()) -> None:
        self.tokens: list[int] = []
        self._places: dict[int, dict[tuple[int, ...], int]] = {length: {} for length in _LENGTHS}
        for token in tokens:
            self.add(token)

    def add(self, token: int) -> None:
        """The text goes on. What stood at its end until now can be found from here on."""
        tokens = self.tokens
        end = len(tokens)
        for length, places in self._places.items():
            if end >= length:
                places[tuple(tokens[-length:])] = end
        tokens.append(token)

    def match(self) -> Match | None:
        """The most recent place that agrees with the end of the text."""
        tokens = self.tokens
        for length, places in self._places.items():
            position = places.get(tuple(tokens[-length:]))
            if position is not None:
                return Match(position, self._agreement(position, length))
        return None

    def after(self, match: Match, count: int) -> list[int]:
        """How the text went on there: so many tokens. What ends at the text's own end begins again."""
        period = len(self.tokens) - match.position
        return [self.tokens[match.position + index % period] for index in range(count)]

    def _agreement(self, position: int, known: int) -> int:
        """How many tokens before `position` are those at the end, of which so many are known to be."""
        tokens, end = self.tokens, len(self.tokens)
        length = known
        while length < min(LONGEST, position) and tokens[position - length - 1] == tokens[end - length - 1]:
            length += 1
        return length
