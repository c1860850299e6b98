"""What was measured of the models on this machine, and when."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from llamachat.doctor.finding import Finding, could_be_better, fine
from llamachat.doctor.subject import Subject
from llamachat.engine.tunings import Known, Tunings, in_words
from llamachat.errors import LlamachatError

_SECTION = "tuning"
_TUNE = "llamachat --tune"


def check(subject: Subject) -> Iterator[Finding]:
    """A line for each model that was measured with this build, and one for the usual model if it was not."""
    known = Tunings(subject.environment.paths.tunings).here()
    if not subject.valid_choices.switch("engine.tune"):
        yield fine(_SECTION, "off (engine.tune = false): models run by the defaults")
        return
    names = {str(model.path.absolute()): model.name for model in subject.library.installed()}
    for each in sorted(known, key=lambda each: -each.measured):
        yield _describe(each, names.get(each.path, Path(each.path).stem))
    try:
        usual = subject.model
    except LlamachatError:
        return  # its own section tells
    if str(usual.path.absolute()) not in {each.path for each in known}:
        in_a_chat = "" if subject.valid_choices.whole("threads") else "a chat does it while it waits, "
        yield fine(_SECTION, f"{usual.name} was not measured yet: {in_a_chat}{_TUNE} at once")


def _describe(known: Known, name: str) -> Finding:
    when = f"{datetime.fromtimestamp(known.measured, UTC):%Y-%m-%d}"
    if known.tuned is None:
        text = f"{name}: measuring it ended the engine ({known.fault}) on {when}, and the defaults stay"
        return could_be_better(_SECTION, text, f"{_TUNE} -m {name}")
    return fine(_SECTION, f"{name}: {in_words(known.tuned)} ({when})")
