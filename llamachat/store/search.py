"""Full-text search over what was typed and answered: ranked, with a line of each text around the match."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from llamachat.store import rows
from llamachat.store.db import Database
from llamachat.store.words import Phrase, Word, expression, words_of

_RANKED = 2_000  # of a word that is everywhere, the newest; ranking 100,000 takes 90 ms and says nothing
_BEFORE = 24  # characters of a snippet before its first match
_WIDTH = 90
_FIND = """
    SELECT turns.id, turns.session, turns.role, turns.created, turns.content, sessions.title
    FROM (
        SELECT rowid AS id, bm25(words) AS rank FROM words WHERE words MATCH ? ORDER BY rowid DESC LIMIT ?
    ) AS found
    JOIN turns USING (id) JOIN sessions ON sessions.id = turns.session
    ORDER BY found.rank, turns.id DESC LIMIT ?
"""


@dataclass(frozen=True, slots=True)
class Snippet:
    """One line of a text. `marks` are the places in it, in characters, that match."""

    text: str
    marks: tuple[tuple[int, int], ...]

    def pieces(self) -> Iterator[tuple[str, bool]]:
        """The text in pieces, and which of them match."""
        at = 0
        for start, end in self.marks:
            yield self.text[at:start], False
            yield self.text[start:end], True
            at = end
        yield self.text[at:], False


@dataclass(frozen=True, slots=True)
class Hit:
    """One message that was found."""

    session: str
    turn: int
    title: str
    role: str
    created: datetime
    snippet: Snippet


def find(db: Database, wanted: tuple[Phrase, ...], most: int) -> list[Hit]:
    """The best first."""
    with db.reading() as connection:
        found = connection.execute(_FIND, (expression(wanted), _RANKED, most)).fetchall()
    return [
        Hit(
            session=row["session"],
            turn=row["id"],
            title=row["title"],
            role=row["role"],
            created=rows.moment_of(row["created"], db.path),
            snippet=snippet_of(row["content"], wanted),
        )
        for row in found
    ]


def snippet_of(text: str, wanted: tuple[Phrase, ...]) -> Snippet:
    """The part of the text with the first match; without one, its beginning."""
    places = _places(text, wanted) or [(0, 0)]
    start = _start(text, places[0][0])
    end = max(_end(text, start + _WIDTH), places[0][1])
    line, marks, at = "…" if start else "", [], start
    for first, last in places:
        if last > end:
            break
        line = f"{line}{_in_line(text[at:first])}" if at else _in_line(text[:first]).lstrip()
        marks.append((len(line), len(line) + len(_in_line(text[first:last]))))
        line += _in_line(text[first:last])
        at = last
    line += _in_line(text[at:end]).rstrip()
    return Snippet(f"{line}…" if text[end:].strip() else line, tuple(mark for mark in marks if mark[0] < mark[1]))


def _places(text: str, wanted: tuple[Phrase, ...]) -> list[tuple[int, int]]:
    """Where phrases match from the first match on, as far as a snippet goes: joined where they touch."""
    found: list[tuple[int, int]] = []
    words: list[Word] = []
    for word in words_of(text):
        if found and word.start > found[0][0] + _WIDTH:
            break
        words.append(word)
        for phrase in wanted:
            if phrase.ends(words):
                found.append((words[-len(phrase.words)].start, word.end))
    return _joined(sorted(found))


def _joined(places: list[tuple[int, int]]) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for start, end in places:
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined


def _start(text: str, match: int) -> int:
    """Some characters before the match, at a word's beginning if there is one; 0 if nothing is before."""
    if match <= _BEFORE:
        return 0
    space = re.compile(r"\s+").search(text, match - _BEFORE, match)
    start = space.end() if space else match - _BEFORE
    return start if text[:start].strip() else 0


def _end(text: str, end: int) -> int:
    """Here, or at the word's end before."""
    if end >= len(text):
        return len(text)
    space = text.rfind(" ", end - _BEFORE, end)
    return space if space > 0 else end


def _in_line(text: str) -> str:
    return re.sub(r"\s+", " ", text)
