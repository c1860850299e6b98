r"""How text becomes words to search for, and a search becomes phrases. Pure.

A word is lower-cased and loses its accents. Scripts that put no space between words, and Korean, which inflects
by what it appends, are cut into overlapping pairs, with the last character once more alone: 라마를 is 라마 마를 를.
So every part of it is a phrase of pairs, and every character begins a word. Whatever else is no letter and no digit
separates words: `std::vector` is a phrase of two.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

_PAIRED = (  # Thai and Lao, Burmese, Hangul, Khmer, kana, Han
    "\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u3005-\u3007\u3041-\u309f\u30a1-\u30fa\u30fc-\u30ff"
    "\u3131-\u318e\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\uff66-\uff9f"
    "\U00020000-\U0003ffff"
)
_ACCENTS = "\u0300-\u036f\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u064b-\u065f\u0670"
_MARKS = f"{_ACCENTS}\u0483-\u0489\u0900-\u0963\u0966-\u0dff\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20f0"  # inside words
_RUN = f"(?P<paired>[{_PAIRED}]+)|(?:[^\\W_{_PAIRED}]+|[{_MARKS}]+)+"  # 4 ms to compile, which English saves
_ASCII_WORD = re.compile("[A-Za-z0-9]+")
_PART = re.compile(r'"([^"]*)("?\*?)|(\S+)')


@dataclass(frozen=True, slots=True)
class Word:
    """A word of the index, and the characters of the text that it stands for. `is_rest`: the end of a run of pairs."""

    text: str
    start: int
    end: int
    is_rest: bool = False


@dataclass(frozen=True, slots=True)
class Phrase:
    """Words that follow each other; the last may be only the beginning of one."""

    words: tuple[str, ...]
    is_open: bool = False

    def ends(self, words: list[Word]) -> bool:
        """Whether the last of these words, and those before it, are the phrase."""
        n_words, last = len(self.words), words[-1].text
        if not (last.startswith(self.words[-1]) if self.is_open else last == self.words[-1]):
            return False
        return tuple(word.text for word in words[-n_words:-1]) == self.words[:-1]


def index_text(text: str) -> str:
    """The text as the index takes it: words between spaces. FTS5's tokenizer `ascii` finds them in ASCII by itself."""
    return text if text.isascii() else " ".join(word.text for word in words_of(text))


def words_of(text: str) -> Iterator[Word]:
    """The words of a text, in order."""
    if text.isascii():
        for found in _ASCII_WORD.finditer(text):
            yield Word(found[0].lower(), found.start(), found.end())
        return
    for found in re.finditer(_RUN, text):
        if found["paired"] is not None:
            yield from _pairs(found[0], found.start())
        elif folded := _folded(found[0]):  # a lone accent is no word
            yield Word(folded, found.start(), found.end())


def phrases(search: str) -> tuple[Phrase, ...]:
    """What is looked for: words, "quoted phrases", and beginnings with a star. Never an error; signs are left out."""
    found = []
    for part in _PART.finditer(search):
        quoted, end, bare = part[1], part[2], part[3]
        text, is_open = (bare, bare.endswith("*")) if bare is not None else (quoted, end.endswith("*"))
        if phrase := _phrase(list(words_of(text)), is_open):
            found.append(phrase)
    return tuple(found)


def expression(wanted: tuple[Phrase, ...]) -> str:
    """The phrases in FTS5's language: words have no character that means something there."""
    return " AND ".join(f'"{" ".join(phrase.words)}"{"*" if phrase.is_open else ""}' for phrase in wanted)


def _phrase(words: list[Word], is_open: bool) -> Phrase | None:
    """A run of pairs at the end may go on in the text; a single character begins a pair there."""
    if not words:
        return None
    if words[-1].is_rest:
        if len(words) > 1 and words[-2].end == words[-1].end:
            return Phrase(tuple(word.text for word in words[:-1]))
        is_open = True
    return Phrase(tuple(word.text for word in words), is_open)


def _pairs(run: str, start: int) -> Iterator[Word]:
    folded = _folded(run)
    is_same = len(folded) == len(run)  # else each pair stands for the whole run
    for at in range(len(folded)):
        end = min(at + 2, len(folded))
        span = (start + at, start + end) if is_same else (start, start + len(run))
        yield Word(folded[at:end], *span, is_rest=at == len(folded) - 1)


def _folded(run: str) -> str:
    if run.isascii():
        return run.lower()
    decomposed = unicodedata.normalize("NFD", unicodedata.normalize("NFKC", run).casefold())
    return unicodedata.normalize("NFC", re.sub(f"[{_ACCENTS}]", "", decomposed))
