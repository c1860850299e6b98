"""A conversation: a system prompt and the turns so far, each with how it ended."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum

from llamachat.types import FinishReason, Message, Role


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
    """One message and its state."""

    message: Message
    state: State = State.COMPLETE


@dataclass(slots=True)
class Conversation:
    """The turns in order, user and assistant by turns. Only `chat/turn.py` adds to it."""

    system: str | None = None
    turns: list[Turn] = field(default_factory=list)

    @classmethod
    def of(cls, messages: tuple[Message, ...]) -> Conversation:
        """A conversation from a whole list of messages; a leading system message is its system prompt."""
        if messages and messages[0].role is Role.SYSTEM:
            return cls(messages[0].content, [Turn(message) for message in messages[1:]])
        return cls(None, [Turn(message) for message in messages])

    def messages(self) -> tuple[Message, ...]:
        """What the model is to see."""
        head = () if self.system is None else (Message(Role.SYSTEM, self.system),)
        return (*head, *(turn.message for turn in self.turns))

    @property
    def last_user_text(self) -> str | None:
        users = [turn.message.content for turn in self.turns if turn.message.role is Role.USER]
        return users[-1] if users else None

    @property
    def has_answer(self) -> bool:
        """Whether the last word is the assistant's."""
        return bool(self.turns) and self.turns[-1].message.role is Role.ASSISTANT

    @property
    def answer(self) -> Message | None:
        """The last message, if a model generated it."""
        last = self.turns[-1].message if self.turns else None
        return last if last and last.generated else None

    def add(self, message: Message, state: State = State.COMPLETE) -> None:
        self.turns.append(Turn(message, state))

    def grow_answer(self, text: str) -> None:
        """Append to the answer that is streaming."""
        last = self.turns[-1]
        self.turns[-1] = replace(last, message=replace(last.message, content=last.message.content + text))

    def end_answer(self, message: Message, state: State) -> None:
        self.turns[-1] = Turn(message, state)

    def drop_answer(self) -> None:
        """Take the last answer away, for another in its place."""
        if self.has_answer:
            self.turns.pop()

    def drop_question(self) -> str:
        """Take the last message, a user's, away and return its text."""
        return self.turns.pop().message.content
