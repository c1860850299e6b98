"""What happens while a turn is answered: the engine's events, and what becomes of those that leave its view."""

from __future__ import annotations

from dataclasses import dataclass

from llamachat.engine import base


@dataclass(frozen=True, slots=True)
class Summarising:
    """A sign of life while a summary is made."""

    text: str


@dataclass(frozen=True, slots=True)
class Summarised:
    """There is a new summary: a line about it, and its text."""

    line: str
    text: str


@dataclass(frozen=True, slots=True)
class NotSummarised:
    """There is none this time, and a line says why; what does not fit leaves without. `stopped`: by the user."""

    line: str
    stopped: bool = False


Event = base.Event | Summarising | Summarised | NotSummarised
