"""Engines that one-shots have left in memory."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from llamachat import settings
from llamachat.doctor.finding import Finding, fine
from llamachat.doctor.subject import Subject
from llamachat.engine.protocol import Staying
from llamachat.engine.warm import find
from llamachat.models.sizes import size_in_words

_SECTION = "warm engines"


def check(subject: Subject) -> Iterator[Finding]:
    """Each with its model, its memory and its end."""
    found = [engine.says for engine in find(subject.environment.paths.warm)]
    for says in found:
        yield fine(_SECTION, _describe(says))
    if not found:
        kept = subject.valid_choices.text("engine.keep_warm") or "0"
        yield fine(_SECTION, "none" if settings.n_seconds(kept) else "off (engine.keep_warm = 0)")


def _describe(says: Staying) -> str:
    until = datetime.now().astimezone() + timedelta(seconds=says.seconds)
    end = "answering now" if says.is_busy else f"until {until:%H:%M}"
    return f"{says.model}: {size_in_words(says.n_bytes)} of memory, {end} (process {says.pid})"
