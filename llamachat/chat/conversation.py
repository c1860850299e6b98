"""A conversation: a system prompt and a tree of turns, each with how it ended.

One turn, the leaf, is where the conversation stands: it and the turns above it are what the model sees. Asking
again or editing an earlier message starts another branch; what was said on the old one stays in the tree.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Protocol

from llamachat.chat.summary import Summary
from llamachat.types import FinishReason, Message, Role

Made = Mapping[str, Any]  # what made an answer: JSON


class State(StrEnum):
    """How far an answer got. A user's message is complete."""

    COMPLETE = "complete"
    STREAMING = "streaming"
    INTERRUPTED = "interrupted"
    LENGTH = "length"
    ERROR = "error"

    @classmethod
    def of(cls, reason: FinishReason) -> State:
        return cls.COMPLETE if reason is FinishReason.STOP else cls(reason.value)


@dataclass(frozen=True, slots=True)
class Turn:
    """One message, its state, and the turn it follows: None for the first."""

    number: int
    parent: int | None
    message: Message
    state: State = State.COMPLETE


class Keeper(Protocol):
    """What keeps a conversation. It is told of each change when it has been made, in order.

    `session` is the id under which it does, once there is one.
    """

    session: str | None

    def added(self, turn: Turn) -> None:
        """A user's message is on the disk when this returns."""
        ...

    def grew(self, turn: Turn) -> None: ...

    def ended(self, turn: Turn, made: Made | None = None, n_tokens: int | None = None) -> None: ...

    def reopened(self, turn: Turn) -> None: ...

    def taken_back(self, turn: Turn) -> None: ...

    def moved(self, leaf: int | None) -> None: ...

    def described(self, turn: int, made: Made) -> None:
        """More is known of what made an answer."""
        ...

    def pinned(self, turn: int, *, pinned: bool) -> None: ...

    def summarised(self, summary: Summary) -> None: ...


class Nobody:
    """Keeps nothing."""

    session: str | None = None

    def added(self, turn: Turn) -> None: ...

    def grew(self, turn: Turn) -> None: ...

    def ended(self, turn: Turn, made: Made | None = None, n_tokens: int | None = None) -> None: ...

    def reopened(self, turn: Turn) -> None: ...

    def taken_back(self, turn: Turn) -> None: ...

    def moved(self, leaf: int | None) -> None: ...

    def described(self, turn: int, made: Made) -> None: ...

    def pinned(self, turn: int, *, pinned: bool) -> None: ...

    def summarised(self, summary: Summary) -> None: ...


class Conversation:
    """User and assistant by turns. `chat/turn.py` adds to it while they talk; anyone may move in it.

    `keeper` is told of every change.
    """

    def __init__(self, system: str | None = None, keeper: Keeper | None = None) -> None:
        self.system = system
        self.keeper = keeper or Nobody()
        self.leaf: int | None = None
        self.pinned: set[int] = set()  # turns that never leave the model's view
        self.summaries: list[Summary] = []  # of all branches, the oldest first
        self._turns: dict[int, Turn] = {}
        self._made: dict[int, Made] = {}
        self._next = 0

    @classmethod
    def of(cls, messages: tuple[Message, ...], keeper: Keeper | None = None) -> Conversation:
        """A conversation from a whole list of messages; a leading system message is its system prompt."""
        has_system = bool(messages) and messages[0].role is Role.SYSTEM
        conversation = cls(messages[0].content if has_system else None, keeper)
        for message in messages[has_system:]:
            conversation.add(message)
        return conversation

    @classmethod
    def restore(
        cls,
        system: str | None,
        turns: Iterable[Turn],
        leaf: int | None,
        made: Mapping[int, Made] | None = None,
        pinned: Iterable[int] = (),
        summaries: Iterable[Summary] = (),
    ) -> Conversation:
        """A conversation from its whole tree; new turns get numbers above those that are there."""
        conversation = cls(system)
        conversation._made = dict(made or {})
        conversation.pinned = set(pinned)
        conversation.summaries = list(summaries)
        conversation._turns = {turn.number: turn for turn in turns}
        conversation._next = max(conversation._turns, default=-1) + 1
        conversation.leaf = leaf
        return conversation

    @property
    def turns(self) -> tuple[Turn, ...]:
        """From the first turn to the leaf."""
        return tuple(self._path())[::-1]

    @property
    def last(self) -> Turn | None:
        """Where the conversation stands."""
        return None if self.leaf is None else self._turns[self.leaf]

    @property
    def questions(self) -> tuple[Turn, ...]:
        """The user's turns."""
        return tuple(turn for turn in self.turns if turn.message.role is Role.USER)

    @property
    def has_answer(self) -> bool:
        """Whether the last word is the assistant's."""
        return self.last is not None and self.last.message.role is Role.ASSISTANT

    @property
    def answer(self) -> Message | None:
        """The last message, if a model generated it."""
        return self.last.message if self.last and self.last.message.generated else None

    @property
    def made(self) -> Made | None:
        """What made the last answer, if that is known."""
        return None if self.leaf is None else self.made_of(self.leaf)

    def made_of(self, number: int) -> Made | None:
        """What made this answer, if that is known."""
        return self._made.get(number)

    @property
    def summary(self) -> Summary | None:
        """What stands for the beginning of the path, if anything does: the one that reaches furthest down."""
        places = {turn.number: place for place, turn in enumerate(self.turns)} if self.summaries else {}
        found = [each for each in self.summaries if each.last in places]
        last = max(found, key=lambda each: (places[each.last], each.number), default=None)
        return last if last and last.content else None

    def identify(self, numbers: Iterable[int], path: str, sha256: str) -> None:
        """The model's file that made these answers has this hash, which was not known then."""
        for number in numbers:
            made = self._made.get(number, {})
            if made.get("path") == path and made.get("sha256") is None:
                self._made[number] = {**made, "sha256": sha256}
                self.keeper.described(number, self._made[number])

    def children(self) -> dict[int | None, list[Turn]]:
        """The whole tree: the turns that follow each turn, in the order in which they came."""
        children: dict[int | None, list[Turn]] = {}
        for turn in self._turns.values():
            children.setdefault(turn.parent, []).append(turn)
        return children

    def end_of_exchange(self, number: int) -> int:
        """A question's newest answer, if it has one; else the turn itself."""
        turn = self._turns[number]
        answers = self.children().get(number, []) if turn.message.role is Role.USER else []
        return answers[-1].number if answers else number

    def messages(self) -> tuple[Message, ...]:
        """What the model is to see."""
        head = () if self.system is None else (Message(Role.SYSTEM, self.system),)
        return (*head, *(turn.message for turn in self.turns))

    def move(self, leaf: int | None) -> None:
        """Let the conversation stand at this turn; None is before the first."""
        assert leaf is None or leaf in self._turns
        if leaf != self.leaf:
            self.leaf = leaf
            self.keeper.moved(leaf)

    def pin(self, number: int) -> bool:
        """Let a turn never leave the model's view, or let it leave again; whether it is pinned now."""
        self.pinned ^= {number}
        self.keeper.pinned(number, pinned=number in self.pinned)
        return number in self.pinned

    def summarise(self, first: int, last: int, content: str, made: Made | None = None) -> Summary:
        """Let a text stand for turns of the path, from `first` to `last`; an empty one ends that."""
        number = max((each.number for each in self.summaries), default=0) + 1
        summary = Summary(number, first, last, content, datetime.now(UTC), made)
        self.summaries.append(summary)
        self.keeper.summarised(summary)
        return summary

    def forget_summaries(self) -> None:
        """Nothing stands for turns of the path any more."""
        path = {turn.number for turn in self.turns}
        newest = {each.last: each for each in self.summaries if each.last in path}
        for each in newest.values():
            if each.content:
                self.summarise(each.first, each.last, "")

    def step_back(self) -> str:
        """Stand before a question that has no answer; its text, which is to be asked again, or nothing."""
        if self.last is None or self.has_answer:
            return ""
        text = self.last.message.content
        self.move(self.last.parent)
        return text

    def add(self, message: Message, state: State = State.COMPLETE) -> int:
        """Add a turn after the leaf, and stand there; its number."""
        turn = Turn(self._next, self.leaf, message, state)
        self._turns[turn.number] = turn
        self.leaf = turn.number
        self._next += 1
        self.keeper.added(turn)
        return turn.number

    def begin_answers(self, count: int) -> tuple[int, ...]:
        """So many answers to the leaf, which stream side by side; stand at the first. Their numbers."""
        question, numbers = self.leaf, []
        for _ in range(count):
            self.leaf = question
            numbers.append(self.add(Message(Role.ASSISTANT, "", generated=True), State.STREAMING))
        self.move(numbers[0])
        return tuple(numbers)

    def turn(self, number: int) -> Turn:
        """The turn with this number, on whichever branch."""
        return self._turns[number]

    def grow_answer(self, text: str, number: int | None = None) -> None:
        """Append to an answer that is streaming: the leaf, or the one with this number."""
        turn = self._at(number)
        turn = replace(turn, message=replace(turn.message, content=turn.message.content + text))
        self._put(turn)
        self.keeper.grew(turn)

    def end_answer(
        self,
        message: Message,
        state: State,
        made: Made | None = None,
        n_tokens: int | None = None,
        number: int | None = None,
    ) -> None:
        """The answer is whole, or as whole as it will be. `made` is what made it, of so many tokens."""
        turn = replace(self._at(number), message=message, state=state)
        self._put(turn)
        if made is not None:
            self._made[turn.number] = made
        self.keeper.ended(turn, made, n_tokens)

    def reopen_answer(self) -> None:
        """The last answer goes on. Its token ids are not those of the longer text."""
        last = self._at(self.leaf)
        last = replace(last, message=replace(last.message, tokens=None), state=State.STREAMING)
        self._put(last)
        self.keeper.reopened(last)

    def take_back(self, number: int | None = None) -> Message:
        """Remove the leaf, or another turn that nothing follows: it was never answered, or never said anything."""
        turn = self._at(number)
        del self._turns[turn.number]
        self.leaf = turn.parent if turn.number == self.leaf else self.leaf
        self.keeper.taken_back(turn)
        return turn.message

    def _path(self) -> Iterator[Turn]:
        """From the leaf up."""
        number = self.leaf
        while number is not None:
            turn = self._turns[number]
            yield turn
            number = turn.parent

    def _at(self, number: int | None) -> Turn:
        """The turn with this number; without one, the leaf."""
        number = self.leaf if number is None else number
        assert number is not None
        return self._turns[number]

    def _put(self, turn: Turn) -> None:
        self._turns[turn.number] = turn
