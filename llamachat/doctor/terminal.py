"""What the terminal can show."""

from __future__ import annotations

import codecs
from collections.abc import Iterator

from llamachat.doctor.finding import Finding, could_be_better, fine
from llamachat.doctor.subject import Subject
from llamachat.environment import Environment

_SECTION = "terminal"
_NARROW = 40  # columns; below it, prompts and tables break badly


def check(subject: Subject) -> Iterator[Finding]:
    """Its kind, its width, colours and characters."""
    environment = subject.environment
    if not environment.stdout_is_terminal:
        yield fine(_SECTION, "none here: the output goes elsewhere")
        return
    yield fine(_SECTION, ", ".join(_parts(environment)))
    if not _is_utf8(environment):
        text = f"it takes {environment.stdout_encoding}: characters outside it are shown as ?"
        yield could_be_better(_SECTION, text, "export LC_ALL=C.UTF-8 (or PYTHONUTF8=1)")
    if environment.columns < _NARROW:
        yield could_be_better(_SECTION, f"{environment.columns} columns are few", f"Make it {_NARROW} or more")


def _parts(environment: Environment) -> Iterator[str]:
    yield environment.variables.get("TERM") or "of an unknown kind (TERM is not set)"
    if environment.variables.get("TMUX"):
        yield "in tmux"
    yield f"{environment.columns} columns"
    if _is_utf8(environment):
        yield "UTF-8"
    if environment.wants_plain:
        yield "plain: nothing moves, no colours"
    elif not environment.wants_colour:
        yield "no colours (NO_COLOR)"
    else:
        yield "colours"


def _is_utf8(environment: Environment) -> bool:
    try:
        return codecs.lookup(environment.stdout_encoding).name == "utf-8"
    except LookupError:
        return False
