"""From the bytes of tokens to the text of an answer: UTF-8 assembled, stop strings held back.

Both are transformers of one shape: `feed(chunk) -> out`, `flush() -> out`. How the input is cut never
changes what comes out in all.
"""

from __future__ import annotations

import codecs
from collections.abc import Sequence


class Utf8Decoder:
    """Bytes to text. A character may be spread over several tokens."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, data: bytes) -> str:
        return self._decoder.decode(data)

    @property
    def is_complete(self) -> bool:
        """Whether no character is half received."""
        return not self._decoder.getstate()[0]

    def flush(self) -> str:
        """Drop a character that never became whole: half of one cannot be said."""
        self._decoder.reset()
        return ""


class StopFilter:
    """Text up to the first stop string, which never comes out, not even in part.

    `stopped` tells that one was met; everything after it is swallowed. Of several that overlap, the one
    that is complete first counts, so that how the text is cut does not matter.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = [stop for stop in stops if stop]
        self._held = ""
        self.stopped = False

    def feed(self, text: str) -> str:
        if self.stopped or not self._stops:
            return "" if self.stopped else text
        held = self._held + text
        found = [(start + len(stop), start) for stop in self._stops if (start := held.find(stop)) >= 0]
        if found:
            self.stopped, self._held = True, ""
            return held[: min(found)[1]]
        n_held = max(_overlap(held, stop) for stop in self._stops)
        self._held = held[len(held) - n_held :]
        return held[: len(held) - n_held]

    def flush(self) -> str:
        """What was held back because a stop string might have begun there."""
        held, self._held = self._held, ""
        return held


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of `text` that begins `stop`."""
    for length in range(min(len(text), len(stop) - 1), 0, -1):
        if text.endswith(stop[:length]):
            return length
    return 0


class AnswerText:
    """An answer as it grows: token by token in, text out, and at the end the ids that are exactly this text.

    A SentencePiece tokenizer's first token carries a space that is not the answer's; `drops_space` takes
    it away, as SentencePiece's own decoder does.
    """

    def __init__(self, stops: Sequence[str], *, drops_space: bool) -> None:
        self._utf8 = Utf8Decoder()
        self._filter = StopFilter(stops)
        self._drops_space = drops_space
        self._ids: list[int] = []
        self._n_whole = 0  # ids up to the last whole character

    def feed(self, token: int, piece: bytes) -> str:
        if self._drops_space and piece:
            piece = piece.removeprefix(b" ")
            self._drops_space = False
        self._ids.append(token)
        text = self._filter.feed(self._utf8.feed(piece))
        if self._utf8.is_complete:
            self._n_whole = len(self._ids)
        return text

    def flush(self) -> str:
        return "" if self.stopped else self._filter.feed(self._utf8.flush()) + self._filter.flush()

    @property
    def stopped(self) -> bool:
        """Whether a stop string was met."""
        return self._filter.stopped

    @property
    def n_tokens(self) -> int:
        return len(self._ids)

    @property
    def ids(self) -> tuple[int, ...] | None:
        """The ids whose text came out; None when a stop string cut it, since no ids are exactly that text."""
        return None if self.stopped else tuple(self._ids[: self._n_whole])
