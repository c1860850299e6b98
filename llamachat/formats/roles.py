"""Who may speak when: the rule of every format but a template, which states its own.

system?  user  assistant  user  …  user                what is answered next
system?  user  assistant  user  …  user  assistant     an open answer, to be taken up where it breaks off
"""

from __future__ import annotations

from collections.abc import Sequence

from llamachat.errors import UsageError
from llamachat.types import Message, Role

_TURNS = (Role.USER, Role.ASSISTANT)


def check_end(messages: Sequence[Message], *, open_answer: bool) -> None:
    """UsageError unless the last message is the one that is to be answered, or continued."""
    if not messages:
        raise UsageError("the conversation is empty.")
    wanted = Role.ASSISTANT if open_answer else Role.USER
    last = messages[-1].role
    if last != wanted:
        raise UsageError(f"the last message is from the {last}, and should be from the {wanted}.")


def check_order(messages: Sequence[Message], *, open_answer: bool) -> None:
    """UsageError unless user and assistant take turns, after at most one system message."""
    first = 1 if messages and messages[0].role == Role.SYSTEM else 0
    for index, message in enumerate(messages[first:]):
        wanted = _TURNS[index % 2]
        if message.role != wanted:
            number = first + index + 1
            raise UsageError(f"message {number} is from the {message.role}, and should be from the {wanted}.")
    check_end(messages, open_answer=open_answer)
