"""Requests that begin alike and end differently, as long as is wanted.

What they share is in the cache once it has been read; what differs has to be read each time. The texts are common
words in an order of chance, the same in every run.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Iterator
from itertools import islice

from llamachat.engine.base import Engine, Request
from llamachat.types import Message, Role

_WORDS = (  # noqa: SIM905  200 words are easier to read in a text
    "about above after again air all along always animal answer around away back because before began below "
    "between big book both boy bring build call change children city close colour come country cut day different "
    "door down early earth eat end enough every example eye face family far father feet few find fire first fish "
    "food form found four friend girl give good great ground group grow half hand hard head hear help here high "
    "home horse house idea kind king land language large last late learn leave letter life light line list little "
    "live long look machine man mark mean mile money morning mother mountain move music name near never new next "
    "night north number old open order page paper part people picture place plant play point port press question "
    "quick rain read ready red rest right river road rock room round run same school sea second seem sentence set "
    "ship short side simple sing sleep small snow song sound south space stand star start still stone stop story "
    "street study sun table tail talk tell thing think three time town travel tree true turn under until usual "
    "voice walk want warm watch water way west wheel white whole wind winter woman wonder wood word work world "
    "write year yellow young"
).split()
_QUESTION = "Tell a long story in which all of these words come, with many details."
_SAMPLE = 200  # words from which the tokens of a word are known


class Prompts:
    """Requests for one engine, which has loaded its model. Raises what the engine does."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._tokens_per_word = max(1, engine.count(" ".join(islice(_stream(0), _SAMPLE)))) / _SAMPLE
        self._beginnings: dict[int, list[str]] = {}

    def request(self, depth: int, n_tokens: int, n_write: int, serial: int) -> Request:
        """A question of about `n_tokens` behind a beginning of `depth`; each serial number has its own."""
        words = islice(_stream(serial), max(1, round(n_tokens / self._tokens_per_word)))
        text = " ".join([*self._beginning(depth), *words])
        return Request((Message(Role.USER, f"{text}. {_QUESTION}"),), {"temperature": 0}, max_tokens=n_write)

    def _beginning(self, depth: int) -> list[str]:
        """As many words as have at most `depth` tokens; a deeper one begins with a shallower one."""
        if depth not in self._beginnings:
            words = list(islice(_stream(0), depth))
            n_words = bisect_right(range(depth + 1), depth, key=lambda n: self._engine.count(" ".join(words[:n])))
            self._beginnings[depth] = words[: max(0, n_words - 1)]
        return self._beginnings[depth]


def _stream(seed: int) -> Iterator[str]:
    source = random.Random(seed)
    while True:
        yield source.choice(_WORDS)
