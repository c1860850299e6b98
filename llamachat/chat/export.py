"""A conversation for elsewhere: its current branch as Markdown, plain text or a page, or all of it as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from llamachat.chat import page
from llamachat.chat.conversation import State
from llamachat.chat.summary import Summary
from llamachat.chat.transcript import Entry, Transcript, to_text
from llamachat.types import Role

VERSION = 1  # of the object "llamachat" in our JSON (imports.py reads it)
_NAMES = {Role.USER: "You", Role.ASSISTANT: "Assistant", Role.SYSTEM: "System"}
_ENDINGS = {
    State.STREAMING: "still being written",
    State.INTERRUPTED: "interrupted",
    State.LENGTH: "cut at the limit of its length",
    State.ERROR: "cut off by an error",
}


def as_markdown(transcript: Transcript) -> str:
    """What was said, as it is: answers usually are Markdown."""
    parts = [f"# {_title(transcript)}", *_head(transcript)]
    if transcript.session.system:
        parts += ["## System", transcript.session.system]
    for entry in transcript.branch:
        parts += [f"## {_NAMES[entry.turn.message.role]}", entry.turn.message.content, *_ending(entry, "*({})*")]
    return _joined(parts)


def as_plain_text(transcript: Transcript) -> str:
    parts = [_title(transcript), *_head(transcript)]
    if transcript.session.system:
        parts += [f"System:\n{transcript.session.system}"]
    for entry in transcript.branch:
        parts += [f"{_NAMES[entry.turn.message.role]}:\n{entry.turn.message.content}", *_ending(entry, "({})")]
    return _joined(parts)


def as_json(transcript: Transcript) -> str:
    """OpenAI's messages of the branch, and beside them all of the tree, so that it can be imported again.

    Not the token ids: from a file that anybody may have written, they could not be trusted.
    """
    return f"{json.dumps(_object(transcript), ensure_ascii=False, indent=2)}\n"


def as_html(transcript: Transcript) -> str:
    """One page that needs nothing else."""
    system = transcript.session.system
    said = [page.Said(_NAMES[Role.SYSTEM], "system", system, "")] if system else []
    for entry in transcript.branch:
        role = entry.turn.message.role
        said.append(page.Said(_NAMES[role], str(role), entry.turn.message.content, "".join(_ending(entry, "{}"))))
    return page.render(_title(transcript), " ".join(_head(transcript)), said)


FORMATS: Mapping[str, Callable[[Transcript], str]] = {
    "md": as_markdown,
    "json": as_json,
    "txt": as_plain_text,
    "html": as_html,
}


def _title(transcript: Transcript) -> str:
    return transcript.session.title or "A chat"


def _head(transcript: Transcript) -> list[str]:
    session = transcript.session
    model = f", with {session.model}" if session.model else ""
    return [f"{session.created:%Y-%m-%d %H:%M} UTC{model}"]


def _ending(entry: Entry, form: str) -> list[str]:
    """How it ended, if that was not its end."""
    ending = _ENDINGS.get(entry.turn.state)
    return [form.format(ending)] if ending else []


def _joined(parts: list[str]) -> str:
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def _object(transcript: Transcript) -> dict[str, Any]:
    session = transcript.session
    system = [] if session.system is None else [{"role": "system", "content": session.system}]
    said = [{"role": str(each.turn.message.role), "content": each.turn.message.content} for each in transcript.branch]
    return {
        "messages": [*system, *said],
        "llamachat": {
            "version": VERSION,
            "id": session.id,
            "title": session.title,
            "created": to_text(session.created),
            "updated": to_text(session.updated),
            "model": session.model,
            "preset": session.preset,
            "system": session.system,
            "one_shot": session.one_shot,
            "leaf": session.leaf,
            "turns": [_turn(entry) for entry in transcript.entries],
            "summaries": [_summary(summary) for summary in transcript.summaries],
        },
    }


def _summary(summary: Summary) -> dict[str, Any]:
    return {
        "id": summary.number,
        "first": summary.first,
        "last": summary.last,
        "content": summary.content,
        "created": to_text(summary.created),
        "made": summary.made,
    }


def _turn(entry: Entry) -> dict[str, Any]:
    turn = entry.turn
    return {
        "id": turn.number,
        "parent": turn.parent,
        "role": str(turn.message.role),
        "content": turn.message.content,
        "state": str(turn.state),
        "generated": turn.message.generated,
        "created": to_text(entry.created),
        "updated": to_text(entry.updated),
        "tokens": entry.n_tokens,
        "pinned": entry.pinned,
        "made": entry.made,
    }
