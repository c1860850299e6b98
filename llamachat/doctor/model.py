"""The model that is used where none is named."""

from __future__ import annotations

from collections.abc import Iterator

from llamachat.doctor.finding import Finding, could_be_better, fine
from llamachat.doctor.subject import Subject
from llamachat.models.installed import Installed, size_of
from llamachat.models.sizes import size_in_words

_SECTION = "model"


def check(subject: Subject) -> Iterator[Finding]:
    """Whether there is one with a right header, and whether its bytes were ever compared. Raises ModelError."""
    model = subject.model
    installed = subject.library.installed()
    known = next((each for each in installed if each.path == model.path), None)
    chosen = subject.valid_choices.text("format") or model.format
    parts = [
        f"{model.name} ({size_in_words(size_of(model.path))})",
        "its header is right",
        _verified(known),
        f"format {chosen}" if chosen else "its own format",
    ]
    yield fine(_SECTION, ", ".join(parts))
    for each in installed:
        if each.is_gone:
            text = f"{each.title} was removed from outside ({each.path})"
            yield could_be_better(_SECTION, text, f"Forget it: llamachat models remove {each.title}")


def _verified(known: Installed | None) -> str:
    if known and known.is_starter:
        return "came with llamachat"
    if known and known.record.verified:
        return f"verified {known.record.verified.astimezone():%Y-%m-%d}"
    return "never verified"
