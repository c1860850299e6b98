"""One line of the report."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from llamachat.errors import ExitCode, LlamachatError


class Status(StrEnum):
    """Fine; could be better, and a chat works all the same; wrong, and something does not work."""

    OK = "ok"
    WARN = "warn"
    BAD = "bad"


class Remedy(StrEnum):
    """What `doctor --fix` can do about it."""

    REBUILD = "rebuild"  # llama.cpp, with the flags for this machine


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found in a section. `hint` names the next command, `code` is what a chat would end with."""

    section: str
    status: Status
    text: str
    hint: str = ""
    remedy: Remedy | None = None
    code: ExitCode = ExitCode.DONE


def fine(section: str, text: str) -> Finding:
    return Finding(section, Status.OK, text)


def could_be_better(section: str, text: str, hint: str = "", remedy: Remedy | None = None) -> Finding:
    return Finding(section, Status.WARN, text, hint, remedy)


def wrong(section: str, error: LlamachatError, remedy: Remedy | None = None) -> Finding:
    """An error that a chat would meet, too."""
    return Finding(section, Status.BAD, error.message, error.hint, remedy, error.code)
