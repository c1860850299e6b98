"""Conversations from files: our own JSON, OpenAI's messages, ChatGPT's export. A mistake is told with its place."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from llamachat.chat import chatgpt
from llamachat.chat.conversation import State, Turn
from llamachat.chat.export import VERSION
from llamachat.chat.fields import Field
from llamachat.chat.grown import Seed, grown
from llamachat.chat.summary import Summary
from llamachat.chat.transcript import Entry, Session, Transcript, title_of_turns
from llamachat.types import Message, Role

_INSTRUCTIONS = ("system", "developer")
_TOOLS = ("tool", "function")
_WHAT = "a conversation: OpenAI's messages, an export of ChatGPT's or of ours"
_Closed = TypeVar("_Closed", bound=StrEnum)


def read(path: Path, now: datetime | None = None) -> list[Transcript]:
    """The conversations in a file, all or none. `now` is when those began that do not say. Raises UsageError."""
    whole = Field.of_file(path)
    now = now or datetime.now(UTC)
    if isinstance(whole.value, list) and not _is_message(whole.value[:1]):
        found = [_conversation(each, now) for each in whole.items()]
    else:
        found = [_conversation(whole, now)]
    transcripts = [each for each in found if each is not None]
    if not transcripts:
        raise whole.error("there is no conversation in it.")
    return transcripts


def _is_message(first: list[object]) -> bool:
    return bool(first) and isinstance(first[0], dict) and "role" in first[0]


def _conversation(field: Field, now: datetime) -> Transcript | None:
    """None for one in which nothing is said."""
    if field.has("llamachat"):
        return _ours(field["llamachat"], now)
    if chatgpt.is_one(field):
        return chatgpt.transcript(field, now)
    if field.has("messages"):
        return _openai(field["messages"], now)
    if isinstance(field.value, list):
        return _openai(field, now)
    raise field.wrong(_WHAT)


def _openai(messages: Field, now: datetime) -> Transcript | None:
    """A list of messages; what tools said is left out. A system prompt comes first or not at all."""
    system, seeds = None, list[Seed]()
    for message in messages.items():
        role, content = message["role"].text(), _content(message["content"])
        if role in _INSTRUCTIONS and not seeds:
            system = content if system is None else f"{system}\n\n{content}"
        elif role not in _TOOLS and content:  # a call of a tool says nothing
            parent = len(seeds) - 1 if seeds else None
            seeds.append(Seed(parent, _said_by(message["role"]), content, now))
    tree = grown(seeds)
    if not tree.entries:
        return None
    title = title_of_turns(tree.entries)
    session = Session("", title, now, now, system=system, leaf=len(tree.entries), n_messages=len(tree.entries))
    return Transcript(session, tree.entries)


def _content(field: Field) -> str:
    """Text, or a list of parts of which some are text."""
    if not isinstance(field.value, list):
        return field.text_or_none() or ""
    parts = [part["text"].text() if part.has("text") else "" for part in field.items()]
    return "\n\n".join(part for part in parts if part)


def _said_by(field: Field) -> Role:
    if field.text() not in (Role.USER, Role.ASSISTANT):
        raise field.error(f"a {field.value} message cannot stand here.")
    return Role(field.value)


def _ours(field: Field, now: datetime) -> Transcript | None:
    """What `export.as_json` wrote."""
    if (version := field["version"].whole()) > VERSION:
        raise field.error(f"this was written by a newer llamachat (version {version}; this one reads {VERSION}).")
    entries: dict[int, Entry] = {}
    for each in field["turns"].items():
        entry = _entry(each, entries, now)
        entries[entry.turn.number] = entry
    leaf = field["leaf"].whole_or_none()
    if leaf is not None and leaf not in entries:
        raise field["leaf"].error(f"there is no turn {leaf}.")
    created = field["created"].moment() or now
    session = Session(
        id="",
        title=field["title"].text(),
        created=created,
        updated=field["updated"].moment() or created,
        model=field["model"].text_or_none(),
        preset=field["preset"].text_or_none(),
        system=field["system"].text_or_none(),
        one_shot=field["one_shot"].value is True,
        leaf=leaf,
        n_messages=len(entries),
    )
    summaries = [_summary(each, entries, now) for each in field["summaries"].items()] if field.has("summaries") else []
    return Transcript(session, tuple(entries.values()), tuple(summaries)) if entries else None


def _summary(field: Field, entries: dict[int, Entry], now: datetime) -> Summary:
    """A text that stands for turns; what it says of them is checked, since it decides what the model sees."""
    for end in ("first", "last"):
        if field[end].whole() not in entries:
            raise field[end].error(f"there is no turn {field[end].value}.")
    made = field["made"]
    return Summary(
        number=field["id"].whole(),
        first=field["first"].whole(),
        last=field["last"].whole(),
        content=field["content"].text(),
        created=field["created"].moment() or now,
        made=None if made.value is None else {key: member.value for key, member in made.members()},
    )


def _entry(field: Field, above: dict[int, Entry], now: datetime) -> Entry:
    number, parent = field["id"].whole(), field["parent"].whole_or_none()
    if number in above:
        raise field["id"].error(f"there are two turns {number}.")
    if parent is not None and parent not in above:
        raise field["parent"].error(f"no turn {parent} comes before it.")
    is_generated = field["generated"].value is True
    message = Message(_said_by(field["role"]), field["content"].text(), generated=is_generated)
    created = field["created"].moment() or now
    made = field["made"]
    return Entry(
        turn=Turn(number, parent, message, _one_of(State, field["state"])),
        created=created,
        updated=field["updated"].moment() or created,
        n_tokens=field["tokens"].whole_or_none(),
        made=None if made.value is None else {key: member.value for key, member in made.members()},
        pinned=field["pinned"].value is True,
    )


def _one_of(closed: type[_Closed], field: Field) -> _Closed:
    try:
        return closed(field.text())
    except ValueError as error:
        raise field.wrong(f"one of {', '.join(closed)}") from error
