"""Long texts in a draft, folded: one character stands for each, and is shown as `[142 lines pasted]`.

The characters are lone surrogates. No decoded text has them, so nothing that is typed, pasted or read from a file
can be taken for one; and they are one character each, so the line editor moves over a fold, and deletes it, whole.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from enum import StrEnum

from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.layout.processors import Processor, Transformation, TransformationInput

from llamachat.chat.composed import words_of

_LINES, _CHARACTERS = 8, 1000  # from here on a text is folded
_OWN_FACTOR = 10  # what the user wrote is to be seen, and is folded only when it is so many times as long
_FIRST, _LAST = 0xD800, 0xDFFF
_FOLD = re.compile(f"[{chr(_FIRST)}-{chr(_LAST)}]")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


class Origin(StrEnum):
    """Where a folded text came from; the last word of its label."""

    PASTED = "pasted"
    RECALLED = "recalled"  # from the history, where nobody knows any more what of it was pasted
    WRITTEN = "written"  # by the user, in an editor or in a draft that comes back
    ATTACHED = "attached"  # files at the head of a message that comes back


@dataclass(frozen=True, slots=True)
class Typed:
    """What the user sent. `pasted` are the parts of the text, start and end, that came from elsewhere, folded."""

    text: str
    pasted: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class _Fold:
    text: str  # what is folded; itself a draft, which may have folds
    origin: Origin

    @property
    def label(self) -> str:
        lines = self.text.removesuffix("\n").count("\n") + 1
        size = f"{lines:,} lines" if lines >= _LINES else f"{len(self.text):,} characters"
        return f"[{size} {self.origin}]"


class Pastes:
    """The folded texts of this session. They stay: what was cut can be yanked into a later draft."""

    def __init__(self) -> None:
        self._folds: dict[str, _Fold] = {}

    def take(self, text: str, origin: Origin) -> str:
        """The draft for a text from elsewhere: what was folded before is again, and all of it if it is long.

        Files at the head of a message that comes back stay as they are, and are folded if they are long.
        """
        if origin is Origin.WRITTEN and (start := words_of(text)) and is_long(text[:start]):
            head = _Fold(_FOLD.sub("\N{REPLACEMENT CHARACTER}", text[:start]), Origin.ATTACHED)
            return self._folded(head) + self.take(text[start:], origin)
        text = clean(text)
        if origin is not Origin.PASTED:
            text = self._refolded(text)
        is_too_long = is_long(text, _OWN_FACTOR) if origin is Origin.WRITTEN else is_long(text)
        return self._folded(_Fold(text, origin)) if is_too_long else text

    def expand(self, draft: str) -> Typed:
        """The whole text of a draft."""
        parts: list[str] = []
        spans: list[tuple[int, int]] = []
        position = length = 0
        for mark in _FOLD.finditer(draft):
            fold = self._folds.get(mark[0])
            inner = self.expand(fold.text) if fold else Typed("")
            parts += [draft[position : mark.start()], inner.text]
            length += mark.start() - position
            if fold and fold.origin is not Origin.WRITTEN:
                spans.append((length, length + len(inner.text)))
            else:
                spans += [(start + length, end + length) for start, end in inner.pasted]
            length += len(inner.text)
            position = mark.end()
        return Typed("".join([*parts, draft[position:]]), tuple(spans))

    def unfold(self, draft: str) -> str:
        """The draft with its outermost folds open."""
        return _FOLD.sub(lambda mark: self._folds[mark[0]].text if mark[0] in self._folds else "", draft)

    def label(self, character: str) -> str:
        """What a character is shown as: a fold as its label."""
        fold = self._folds.get(character)
        return fold.label if fold else character

    def _folded(self, fold: _Fold) -> str:
        for character, known in self._folds.items():
            if known == fold:
                return character
        if len(self._folds) > _LAST - _FIRST:
            return fold.text
        character = chr(_FIRST + len(self._folds))
        self._folds[character] = fold
        return character

    def _refolded(self, text: str) -> str:
        """The longest first: a short one may be a part of it."""
        for character, fold in sorted(self._folds.items(), key=lambda item: -len(item[1].text)):
            if fold.origin is not Origin.WRITTEN:
                text = text.replace(fold.text, character)
        return text


class ShowFolds(Processor):
    """Draws each fold as its label."""

    def __init__(self, pastes: Pastes) -> None:
        self._pastes = pastes

    def apply_transformation(self, transformation_input: TransformationInput) -> Transformation:
        before = transformation_input.fragments
        if not any(has_fold(fragment[1]) for fragment in before):
            return Transformation(before)
        after: StyleAndTextTuples = []
        places = [0]  # of each character, and of the end, as shown
        for style, text, *_ in before:
            for character in text:
                shown = self._pastes.label(character)
                after.append((f"{style} class:fold" if has_fold(character) else style, shown))
                places.append(places[-1] + len(shown))
        return Transformation(after, lambda place: _shown_at(places, place), lambda place: _source_of(places, place))


def is_long(text: str, factor: int = 1) -> bool:
    return len(text) >= factor * _CHARACTERS or text.removesuffix("\n").count("\n") + 1 >= factor * _LINES


def has_fold(draft: str) -> bool:
    return bool(_FOLD.search(draft))


def clean(text: str) -> str:
    r"""Text from elsewhere with \n as its line end, and without what a terminal would obey or a fold is made of."""
    text = _CONTROLS.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    return _FOLD.sub("\N{REPLACEMENT CHARACTER}", text)


def _shown_at(places: list[int], place: int) -> int:
    """The cursor can stand one behind the end."""
    return places[place] if place < len(places) else places[-1] + place - len(places) + 1


def _source_of(places: list[int], place: int) -> int:
    return bisect_right(places, place) - 1
