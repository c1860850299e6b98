"""Control tokens come from a template's own text, never from a message's content.

A template writes both into one string. So every content goes in marked, with a character that occurs
nowhere else (a sentinel), such that no control token can be read out of it, not even across its ends or
after the template has cut something out of it; what is found in the rendered text is then the
template's, and the sentinels are taken out of the rest.

Knows strings only, and no jinja2.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from itertools import chain

from llamachat.errors import UsageError
from llamachat.formats.base import Control, Text

# Unicode's noncharacters, which are "for internal use"; then the private planes.
_UNUSED = tuple(
    chain(range(0xFDD0, 0xFDF0), (plane + low for plane in range(0, 0x110000, 0x10000) for low in (0xFFFE, 0xFFFF)))
)
_PRIVATE = range(0xF0000, 0x10FFFE)


def unused_characters(texts: Iterable[str]) -> Iterator[str]:
    """Characters that occur in none of `texts`. UsageError when they run out."""
    used = set().union(*texts)
    for code in chain(_UNUSED, _PRIVATE):
        if chr(code) not in used:
            yield chr(code)
    raise UsageError("the conversation uses every character there is, which leaves none to tell it apart by.")


class Controls:
    """The control tokens of a vocabulary, as a template and a message may spell them.

    `literals` are the strings that the template's expressions compare with or split at, `</think>` say:
    where a content has one, it is left in one piece if it cannot begin a control token.
    A control token of a single character stays text, since nothing could tell it from a typed one.
    """

    def __init__(self, texts: Collection[str], literals: Collection[str] = ()) -> None:
        self._texts = sorted((text for text in texts if len(text) > 1), key=len, reverse=True)
        self._any = re.compile("|".join(map(re.escape, self._texts)) or r"(?!)")
        self._risky = self._risky_characters(literals)
        self._tails = frozenset(text[start:] for text in self._texts for start in range(1, len(text)))

    def _risky_characters(self, literals: Collection[str]) -> re.Pattern[str]:
        """Matches each first character of a control token, unless a harmless literal of the template begins there."""
        firsts = "".join(sorted({text[0] for text in self._texts}))
        if not firsts:
            return re.compile(r"(?!)")
        harmless = [literal for literal in literals if len(literal) > 1 and self._is_harmless(literal)]
        spared = f"(?!{'|'.join(map(re.escape, harmless))})" if harmless else ""
        return re.compile(f"{spared}[{re.escape(firsts)}]")

    def _is_harmless(self, literal: str) -> bool:
        return not any(text.startswith(literal) or literal.startswith(text) for text in self._texts)

    def marked(self, content: str, sentinel: str) -> str:
        """`content` with sentinels in it, so that neither it nor an end of it can make a control token."""
        inner = self._risky.sub(lambda match: match[0] + sentinel, content)
        body = content.lstrip()
        if not (self._completes(body) or self._completes(content)):
            return inner
        indent = len(content) - len(body)
        return content[:indent] + sentinel + inner[indent:]

    def _completes(self, body: str) -> bool:
        """Whether a control token that the template has begun could go on into `body`."""
        longest = len(self._texts[0]) if self._texts else 0
        if any(body[:length] in self._tails for length in range(1, longest)):
            return True
        whole = body.rstrip()
        return 0 < len(whole) < longest and any(whole in text for text in self._texts)

    def split(self, rendered: str, sentinel: str) -> Iterator[Text | Control]:
        """Rendered text as segments: as few texts as there can be, without their sentinels."""
        position = 0
        for match in self._any.finditer(rendered):
            yield from _text(rendered[position : match.start()], sentinel)
            yield Control(match[0])
            position = match.end()
        yield from _text(rendered[position:], sentinel)


def _text(marked: str, sentinel: str) -> Iterator[Text]:
    text = marked.replace(sentinel, "")
    if text:
        yield Text(text)
