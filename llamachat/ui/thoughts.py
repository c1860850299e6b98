"""What a model thought before it answered: `<think>…</think>` at the very beginning of an answer.

Where the prompt ends with the opening tag, the answer begins inside.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

_OPENING = "<think>"
_CLOSING = "</think>"
_MAX_LEADING = 1000  # white space before the tag


@dataclass(frozen=True, slots=True)
class Piece:
    text: str
    is_thought: bool


class _State(Enum):
    BEGINNING = auto()  # a tag may still come
    THOUGHT_BEGINS = auto()  # white space before the first word is not the thought's
    THOUGHT = auto()
    ANSWER_BEGINS = auto()  # line ends behind the tag are not the answer's
    ANSWER = auto()


class Thoughts:
    """Takes the thoughts of an answer apart from what it says; the tags are gone.

    `is_open`: the answer begins inside a thought; should the model write the opening tag all the same, it is gone, too.
    How the input is cut changes how the pieces are, never what they give together. Thoughts that are only white
    space are none, as models write them that were told not to think. Without a tag the text passes as it is.
    """

    def __init__(self, *, is_open: bool = False) -> None:
        self._is_open = is_open
        self._state = _State.BEGINNING
        self._held = ""

    def feed(self, text: str) -> list[Piece]:
        self._held += text
        pieces: list[Piece] = []
        state = None
        while state is not self._state:
            state = self._state
            pieces += self._step()
        return pieces

    def flush(self) -> list[Piece]:
        """What was held back because a tag might have begun there."""
        held, self._held = self._held, ""
        begins = self._state is _State.THOUGHT_BEGINS or (self._is_open and self._state is _State.BEGINNING)
        return _pieces(held.lstrip() if begins else held, begins or self._state is _State.THOUGHT)

    def _step(self) -> list[Piece]:
        match self._state:
            case _State.BEGINNING:
                self._begin()
            case _State.THOUGHT_BEGINS:
                self._held = self._held.lstrip()
                if self._held:
                    self._state = _State.THOUGHT
            case _State.THOUGHT:
                return self._think()
            case _State.ANSWER_BEGINS:
                self._held = self._held.lstrip("\r\n")
                if self._held:
                    self._state = _State.ANSWER
            case _State.ANSWER:
                return _pieces(self._take(len(self._held)), is_thought=False)
        return []

    def _begin(self) -> None:
        start = self._held.lstrip()
        if len(self._held) - len(start) > _MAX_LEADING:
            self._state = self._without_tag
        elif start.startswith(_OPENING):
            self._held = start.removeprefix(_OPENING)
            self._state = _State.THOUGHT_BEGINS
        elif not _OPENING.startswith(start):
            self._state = self._without_tag

    @property
    def _without_tag(self) -> _State:
        """Where a text begins that has no opening tag."""
        return _State.THOUGHT_BEGINS if self._is_open else _State.ANSWER

    def _think(self) -> list[Piece]:
        end = self._held.find(_CLOSING)
        if end < 0:
            return _pieces(self._take(len(self._held) - _overlap(self._held)), is_thought=True)
        thought = self._take(end)
        self._take(len(_CLOSING))
        self._state = _State.ANSWER_BEGINS
        return _pieces(thought, is_thought=True)

    def _take(self, length: int) -> str:
        taken, self._held = self._held[:length], self._held[length:]
        return taken


def _pieces(text: str, is_thought: bool) -> list[Piece]:
    return [Piece(text, is_thought)] if text else []


def _overlap(text: str) -> int:
    """Length of the end of `text` that may begin the closing tag."""
    return next((n for n in range(len(_CLOSING) - 1, 0, -1) if text.endswith(_CLOSING[:n])), 0)


def said_of(text: str, *, is_open: bool = False) -> str:
    """What an answer says, without its thoughts."""
    return "".join(piece.text for piece in _split(text, is_open) if not piece.is_thought)


def thoughts_of(text: str, *, is_open: bool = False) -> str:
    """What was thought before an answer."""
    return "".join(piece.text for piece in _split(text, is_open) if piece.is_thought)


def _split(text: str, is_open: bool) -> list[Piece]:
    splitter = Thoughts(is_open=is_open)
    return [*splitter.feed(text), *splitter.flush()]
