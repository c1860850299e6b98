"""Delimiter runs: `*`, `_` and `~~`, and whether they open or close emphasis.

Stricter than CommonMark between ASCII letters and digits, where stars and underscores are arithmetic and names, and
laxer beside other scripts, which put no space between a strong word and its particle.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from llamachat.ui.theme import Look

RUN = re.compile(r"\*+|_+|~+")
# One lower-case word between double underscores: a name of Python's.
NAME = re.compile(r"__[a-z][a-z0-9]*(?:_[a-z0-9]+)*__(?![A-Za-z0-9_])")
MAYBE_NAME = re.compile(r"__[a-z0-9]*+(?:_[a-z0-9]++)*+_{0,2}\Z")

_ASCII_WORD = re.compile("[A-Za-z0-9]")
_BEFORE_UNDERSCORE = frozenset(" ([{\"'“‘«*~—–")
_LOOKS = {("*", 1): Look.EMPHASIS, ("_", 1): Look.EMPHASIS, ("*", 2): Look.STRONG, ("_", 2): Look.STRONG}
_LONGEST = 3


@dataclass(slots=True)
class Delimiter:
    """A run. `count` is how many of its characters are not used yet; `opened` and `closed` are looks, innermost first,
    each with the marks that stand for it."""

    character: str
    length: int
    offset: int  # in the line, in characters
    can_open: bool
    can_close: bool
    count: int = 0
    is_open: bool = False
    opened: list[tuple[Look, str]] = field(default_factory=list)
    closed: list[tuple[Look, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.count = self.length

    def pairs_with(self, closer: Delimiter) -> bool:
        """CommonMark's rule of three: `**a*b**` is not emphasis closed twice."""
        if self.character != closer.character:
            return False
        is_ambiguous = self.can_close or closer.can_open
        lengths = self.length, closer.length
        return not (is_ambiguous and sum(lengths) % 3 == 0 and any(length % 3 for length in lengths))

    def pair(self, closer: Delimiter) -> None:
        """Use up as many characters of both as one look takes."""
        used = 2 if self.count >= 2 and closer.count >= 2 else 1
        look = _LOOKS.get((self.character, used), Look.STRIKE)
        mark = look, self.character * used
        self.opened.append(mark)
        closer.closed.append(mark)
        self.count -= used
        closer.count -= used


def delimiter(run: str, offset: int, before: str, after: str) -> Delimiter:
    """The run between two characters; a space stands for the line's ends."""
    opens, closes = not after.isspace(), not before.isspace()
    is_in_word = bool(_ASCII_WORD.match(before) and _ASCII_WORD.match(after))
    match run[0]:
        case "*":
            opens = opens and not (_ASCII_WORD.match(before) or before in ")]}")
            closes = closes and not (is_in_word and len(run) == 1)
        case "_":
            opens = opens and before in _BEFORE_UNDERSCORE
            closes = closes and not _ASCII_WORD.match(after)
        case _:
            opens, closes = (opens and len(run) == 2, closes and len(run) == 2)
    fits = len(run) <= _LONGEST
    return Delimiter(run[0], len(run), offset, fits and opens, fits and closes)
