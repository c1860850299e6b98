"""The database of sessions."""

from __future__ import annotations

from collections.abc import Iterator

from llamachat.doctor.finding import Finding, could_be_better, fine
from llamachat.doctor.subject import Subject
from llamachat.models.sizes import size_in_words
from llamachat.store import health
from llamachat.store.faults import Damaged

_SECTION = "sessions"
_MEND = "What is readable is saved by the next command: llamachat sessions"


def check(subject: Subject) -> Iterator[Finding]:
    """Whether it is sound, and what lies beside it. Raises StorageError for one that cannot be used."""
    path = subject.environment.paths.sessions
    try:
        found = health.look(path)
    except Damaged as error:
        yield could_be_better(_SECTION, error.message.rstrip("."), _MEND)
    else:
        yield fine(_SECTION, _describe(found) if found else "none yet")
    if copies := health.damaged_copies(path):
        n_bytes = sum(copy.stat().st_size for copy in copies)
        text = f"damaged copies beside it: {len(copies)}"
        hint = f"If you miss nothing, remove {copies[0]}" + (" and the others" if len(copies) > 1 else "")
        yield could_be_better(_SECTION, f"{text} ({size_in_words(n_bytes)}); what was readable is saved", hint)


def _describe(found: health.Health) -> str:
    sessions, messages = _counted(found.n_sessions, "session"), _counted(found.n_turns, "message")
    return f"{sessions} with {messages} in {size_in_words(found.n_bytes)}, sound"


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
