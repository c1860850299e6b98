"""A conversation that is kept, as the chat sees it: `store/journal.py` does it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from llamachat.chat.conversation import Keeper


@dataclass(frozen=True, slots=True)
class Head:
    """What a session begins with. `path` is the model's file."""

    title: str
    model: str | None = None
    preset: str | None = None
    system: str | None = None
    one_shot: bool = False
    path: str | None = None


class Keeping(Keeper, Protocol):
    """`trouble` says in a line why nothing is written at the moment."""

    trouble: str | None

    @property
    def is_removed(self) -> bool:
        """Whether the session was removed meanwhile."""
        ...

    def begin(self, head: Head) -> None:
        """The session of what follows. Once, before the first turn."""
        ...

    def renamed(self, title: str) -> None: ...

    def reframed(self, *, model: str | None, preset: str | None, system: str | None, path: str | None = None) -> None:
        """The conversation goes on with these."""
        ...

    def catch_up(self) -> None:
        """Write what waits, if that is possible now."""
        ...

    def withdraw(self) -> None:
        """What was added came to nothing: it is removed, and a session that began with it. Raises StorageError."""
        ...

    def take_remark(self) -> str:
        """What the user should know of where this is kept, once."""
        ...

    def number(self, turn: int) -> int | None:
        """The store's number of a turn; None while it waits to be written."""
        ...
