"""A summary: a text that stands for turns in the model's view. The turns themselves stay as they are.

Knows what a summary is and how it is put to the model; `compact` has one made.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

_HEAD = "Summary of the conversation so far:\n"
# What frames turns in some format where it is only text: words in capitals in brackets (Llama 2's [INST] and <<SYS>>),
# and the labels of a plain transcript at the beginning of a line.
_TAG = re.compile(r"(\[|<<)(?=/?[A-Z]+(?:\]|>>))")
_LABEL = re.compile(r"^(?=[ \t]*(?:User|Assistant):)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Summary:
    """A text that stands for turns of the path that ends at `last`; of several with the same `last` the newest holds.

    An empty one says that nothing stands for them any more. `made` is what made it, as for an answer; its `turns` are
    those that are in it: pinned ones are not.
    """

    number: int
    first: int
    last: int
    content: str
    created: datetime
    made: Mapping[str, Any] | None = None

    def covered(self, path: Sequence[int]) -> frozenset[int]:
        """The turns of this path for which it stands; where nothing says which, all up to `last`."""
        if not self.content or self.last not in path:
            return frozenset()
        upto = frozenset(path[: path.index(self.last) + 1])
        named = self.made.get("turns") if self.made else None
        if not isinstance(named, list | tuple):
            return upto
        return upto & {number for number in named if isinstance(number, int)}


def place(path: Sequence[int], seen: Sequence[int], last: int) -> int | None:
    """Where among the turns of the path that are seen a summary up to `last` is told: at the first that follows."""
    upto = frozenset(path[: path.index(last) + 1])
    return next((at for at, number in enumerate(seen) if number not in upto), None)


def told(content: str) -> str:
    """How a summary is put before the first question that follows the turns it stands for."""
    return f"{_HEAD}{harmless(content)}\n\n"


def harmless(text: str) -> str:
    """The text without anything that frames turns: what a model wrote, or read, must not forge one."""
    return _LABEL.sub("- ", _TAG.sub(r"\1 ", text))
