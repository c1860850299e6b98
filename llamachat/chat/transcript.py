"""A conversation as it is kept: its tree of turns, what made each answer, and the head that a list shows.

What `store/` loads, `export` writes and `imports` reads. Times are in UTC.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import MAXYEAR, MINYEAR, UTC, datetime

from llamachat.chat.conversation import Conversation, Made, State, Turn
from llamachat.chat.summary import Summary
from llamachat.types import Role

_TITLE_LENGTH = 60


@dataclass(frozen=True, slots=True)
class Session:
    """What there is to say of a conversation without its turns. `id` is empty for one that is not kept.

    `leaf` is the turn at which it stands, `n_messages` counts those of all branches, `path` is the model's file.
    """

    id: str
    title: str
    created: datetime
    updated: datetime
    model: str | None = None
    preset: str | None = None
    system: str | None = None
    one_shot: bool = False
    leaf: int | None = None
    n_messages: int = 0
    path: str | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """A turn, and what is known of it. `n_tokens` as the model that answered counted them."""

    turn: Turn
    created: datetime
    updated: datetime
    n_tokens: int | None = None
    made: Made | None = None
    pinned: bool = False


@dataclass(frozen=True, slots=True)
class Transcript:
    """A whole conversation. Each entry comes after the one that it follows."""

    session: Session
    entries: tuple[Entry, ...]
    summaries: tuple[Summary, ...] = field(default=())

    @property
    def branch(self) -> tuple[Entry, ...]:
        """From the first turn to the leaf."""
        by_number = {entry.turn.number: entry for entry in self.entries}
        path = []
        number = self.session.leaf
        while number is not None:
            path.append(by_number[number])
            number = by_number[number].turn.parent
        return tuple(path[::-1])

    def conversation(self) -> Conversation:
        """To talk on; its turns keep their numbers."""
        made = {entry.turn.number: entry.made for entry in self.entries if entry.made is not None}
        turns = [entry.turn for entry in self.entries]
        pinned = (entry.turn.number for entry in self.entries if entry.pinned)
        return Conversation.restore(self.session.system, turns, self.session.leaf, made, pinned, self.summaries)


def title_of(text: str) -> str:
    """A title from a first message: its first line that says something, shortened."""
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    line = " ".join(line[: 4 * _TITLE_LENGTH].split())
    return line if len(line) <= _TITLE_LENGTH else f"{line[: _TITLE_LENGTH - 1].rstrip()}…"


def title_of_turns(entries: tuple[Entry, ...]) -> str:
    """From the first thing that the user said."""
    return next((title_of(each.turn.message.content) for each in entries if each.turn.message.role is Role.USER), "")


def to_text(moment: datetime) -> str:
    """As ISO 8601, which sorts by time."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def to_moment(text: str) -> datetime:
    """Raises ValueError, also for a year at the calendar's ends, where zones have no room. Without a zone it is UTC."""
    moment = datetime.fromisoformat(text)
    if not MINYEAR < moment.year < MAXYEAR:
        raise ValueError(f"{text} is not a time that can be shown everywhere")
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def settled(state: State) -> State:
    """An answer that nobody goes on with."""
    return State.INTERRUPTED if state is State.STREAMING else state
