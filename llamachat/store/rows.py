"""Rows of the database and the values that they are: the only place that knows both.

A row that is no such value is damage: what is written is checked before.
"""

from __future__ import annotations

import json
import sqlite3
import sys
from array import array
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from llamachat.chat.conversation import Made, State, Turn
from llamachat.chat.summary import Summary
from llamachat.chat.transcript import Entry, Session, to_moment
from llamachat.store.faults import damaged
from llamachat.types import AnswerTokens, Message, Role


def session_of(row: sqlite3.Row, path: Path | None) -> Session:
    """Raises Damaged."""
    try:
        return Session(
            id=row["id"],
            title=row["title"],
            created=to_moment(row["created"]),
            updated=to_moment(row["updated"]),
            model=row["model"],
            preset=row["preset"],
            system=row["system"],
            one_shot=bool(row["one_shot"]),
            leaf=row["leaf"],
            n_messages=row["n_messages"],
            path=row["path"],
        )
    except ValueError as error:
        raise damaged(path) from error


def entry_of(row: sqlite3.Row, path: Path | None) -> Entry:
    """Raises Damaged."""
    try:
        tokens = _tokens_of(row["vocabulary"], row["token_ids"])
        message = Message(Role(row["role"]), row["content"], bool(row["generated"]), tokens)
        return Entry(
            turn=Turn(row["id"], row["parent"], message, State(row["state"])),
            created=to_moment(row["created"]),
            updated=to_moment(row["updated"]),
            n_tokens=row["n_tokens"],
            made=_made_of(row["made"]),
            pinned=bool(row["pinned"]),
        )
    except ValueError as error:
        raise damaged(path) from error


def summary_of(row: sqlite3.Row, path: Path | None) -> Summary:
    """Raises Damaged."""
    try:
        return Summary(
            number=row["id"],
            first=row["first"],
            last=row["last"],
            content=row["content"],
            created=to_moment(row["created"]),
            made=_made_of(row["made"]),
        )
    except ValueError as error:
        raise damaged(path) from error


def moment_of(text: str, path: Path | None) -> datetime:
    """Raises Damaged."""
    try:
        return to_moment(text)
    except ValueError as error:
        raise damaged(path) from error


def values_of(message: Message) -> dict[str, Any]:
    """The columns of a message."""
    tokens = message.tokens
    return {
        "role": str(message.role),
        "content": writable(message.content),
        "generated": int(message.generated),
        "vocabulary": tokens and tokens.vocabulary,
        "token_ids": tokens and _bytes_of(tokens.ids),
    }


def text_of(made: Made | None) -> str | None:
    return None if made is None else writable(json.dumps(made, ensure_ascii=False, separators=(",", ":")))


def translated(
    made: Made | None, turns: Mapping[int | None, int | None], summaries: Mapping[int, int] | None = None
) -> Made | None:
    """With other numbers for the turns and summaries that it names, None where there is none. It may say anything."""
    if made is None:
        return None
    changed: dict[str, Any] = {}
    if isinstance(made.get("turns"), list):
        changed["turns"] = [turns.get(each) if isinstance(each, int) else None for each in made["turns"]]
    for name in {"summary", "edited"} & made.keys():
        changed[name] = (summaries or {}).get(made[name]) if isinstance(made[name], int) else None
    return {**made, **changed}


def writable_or_none(text: str | None) -> str | None:
    return None if text is None else writable(text)


def writable(text: str) -> str:
    """Half a surrogate pair is no text; it can come from a terminal or a broken import."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _made_of(text: str | None) -> Made | None:
    made = None if text is None else json.loads(text)
    return made if isinstance(made, dict) else None


def _tokens_of(vocabulary: str | None, data: bytes | None) -> AnswerTokens | None:
    if vocabulary is None or data is None:
        return None
    ids = array("i")
    ids.frombytes(data)
    if sys.byteorder == "big":
        ids.byteswap()
    return AnswerTokens(vocabulary, tuple(ids))


def _bytes_of(ids: tuple[int, ...]) -> bytes:
    """Four bytes each, the lowest first, on every machine."""
    data = array("i", ids)
    if sys.byteorder == "big":
        data.byteswap()
    return data.tobytes()
