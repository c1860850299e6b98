"""The engine, tried with a few tokens, and what the ladder remembers of crashes here."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from llamachat.doctor.finding import Finding, Remedy, could_be_better, fine, wrong
from llamachat.doctor.subject import Subject
from llamachat.engine.base import Finished, Request
from llamachat.engine.ladder import COSTS, Ladder, Rung
from llamachat.errors import EngineDied, LlamachatError
from llamachat.models.gguf import FILE_TYPES
from llamachat.models.library import starter_file
from llamachat.types import FinishReason, Message, Role

_SECTION = "engine"
_SMALL = 1_000_000_000  # bytes of a model that is loaded in a second or two
_N_TOKENS = 2
_SECONDS = 60.0


def check(subject: Subject) -> Iterator[Finding]:
    """Whether it answers, then what is switched off."""
    _ = subject.hello  # one that cannot even start is told of already
    yield _try(subject)
    ladder = Ladder(subject.environment.paths.ladder)
    for family, rung in ladder.remembered().items():
        yield _switched_off(family, rung)


def _try(subject: Subject) -> Finding:
    path = _small_model(subject)
    if path is None:
        return fine(
            _SECTION, 'starts; no model here is small enough to try it in passing (llamachat -n 1 "hello" does)'
        )
    began = time.monotonic()
    try:
        reason = _answer(subject, path)
    except LlamachatError as error:
        return wrong(_SECTION, error, Remedy.REBUILD if isinstance(error, EngineDied) else None)
    if reason is FinishReason.INTERRUPTED:
        log = f"Its log: {subject.environment.paths.engine_log}"
        return wrong(_SECTION, EngineDied(f"it did not answer within {_SECONDS:.0f} seconds.", log))
    return fine(_SECTION, f"starts, loads {path.name} and answers, in {time.monotonic() - began:.1f} s")


def _answer(subject: Subject, path: Path) -> FinishReason:
    """Have the model say a word; how that ended. Raises EngineDied, ModelError."""
    request = Request((Message(Role.USER, "Hello"),), max_tokens=_N_TOKENS)
    with closing(subject.make_engine(path)) as engine:
        timer = threading.Timer(_SECONDS, engine.interrupt)
        timer.start()
        try:
            finished = next(event for event in engine.reply(request) if isinstance(event, Finished))
        finally:
            timer.cancel()
    return finished.reason


def _small_model(subject: Subject) -> Path | None:
    """The usual model if it is small, else the starter."""
    try:
        usual = subject.model.path
        if usual.stat().st_size <= _SMALL:
            return usual
    except (LlamachatError, OSError):
        pass  # its own section tells
    return starter_file()


def _switched_off(family: str, rung: Rung) -> Finding:
    architecture, _, number = family.partition(" ")
    quantisation = FILE_TYPES.get(int(number), "") if number.isdigit() else ""
    models = f"{architecture} models{f' in {quantisation}' if quantisation else ''}"
    text = f"this build crashes here with {models} and runs them {COSTS[rung]}"
    return could_be_better(_SECTION, text, "llamachat doctor --fix", Remedy.REBUILD)
