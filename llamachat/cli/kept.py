"""How sessions look: rows of a table, lines of what was found, and JSON."""

from __future__ import annotations

from typing import Any

from llamachat.chat.summary import Summary
from llamachat.chat.transcript import Entry, Session, title_of, to_text
from llamachat.environment import Environment
from llamachat.store.search import Hit
from llamachat.ui.sanitise import sanitise_line

_BRIEF_TITLE, _BRIEF_MODEL = 28, 14  # columns; a row fits into 80
_BOLD = ("\x1b[1m", "\x1b[0m")


def row(session: Session, *, is_brief: bool) -> tuple[str, ...]:
    title, model, mark = title_of(session.title), session.model or "", "one-shot" if session.one_shot else ""
    when = f"{session.updated.astimezone():%Y-%m-%d %H:%M}"
    if is_brief:
        title, model, mark = _cut(title, _BRIEF_TITLE), _cut(model, _BRIEF_MODEL), "1×" if mark else ""
        when = when[: len("2026-01-01")]
    return session.id, title, when, model, str(session.n_messages), mark


def _cut(text: str, columns: int) -> str:
    """Its beginning, as far as it fits."""
    from rich.cells import cell_len, set_cell_size  # noqa: PLC0415  only for a terminal

    text = sanitise_line(text)
    return text if cell_len(text) <= columns else f"{set_cell_size(text, columns - 1).rstrip()}…"


def write_hits(environment: Environment, hits: list[Hit]) -> None:
    """Two lines each; what matches is bold where there is colour."""
    before, after = _BOLD if environment.stdout_is_terminal and environment.wants_colour else ("", "")
    encoding = environment.stdout_encoding if environment.stdout_is_terminal else "utf-8"
    for each in hits:
        when = f"{each.created.astimezone():%Y-%m-%d}"
        snippet = "".join(
            f"{before}{sanitise_line(text)}{after}" if matches else sanitise_line(text)
            for text, matches in each.snippet.pieces()
        )
        lines = f"{each.session}  {when}  {sanitise_line(title_of(each.title))}\n    {snippet}\n"
        environment.stdout.write(lines.encode(encoding, "replace"))
    environment.stdout.flush()


def head(session: Session) -> dict[str, Any]:
    return {
        "id": session.id,
        "title": session.title,
        "created": to_text(session.created),
        "updated": to_text(session.updated),
        "model": session.model,
        "preset": session.preset,
        "n_messages": session.n_messages,
        "one_shot": session.one_shot,
    }


def message(entry: Entry) -> dict[str, Any]:
    return {
        "id": entry.turn.number,
        "parent": entry.turn.parent,
        "role": str(entry.turn.message.role),
        "content": entry.turn.message.content,
        "state": str(entry.turn.state),
        "created": to_text(entry.created),
        "tokens": entry.n_tokens,
        "pinned": entry.pinned,
        "made": entry.made,
    }


def summary(kept: Summary) -> dict[str, Any]:
    return {
        "id": kept.number,
        "first": kept.first,
        "last": kept.last,
        "content": kept.content,
        "created": to_text(kept.created),
        "made": kept.made,
    }


def hit(found: Hit) -> dict[str, Any]:
    return {
        "session": found.session,
        "id": found.turn,
        "title": found.title,
        "role": found.role,
        "created": to_text(found.created),
        "snippet": found.snippet.text,
        "matches": found.snippet.marks,
    }
