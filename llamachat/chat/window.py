"""What a conversation takes of the context window: its exchanges, their sizes, and the first that still fits.

An exchange is a question and its answer. Sizes are the model's own counts.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from llamachat.chat.conversation import Turn
from llamachat.chat.summary import Summary
from llamachat.engine.base import Engine
from llamachat.types import Message, Role

_ANSWER = 256  # tokens that an answer finds room for; `max_tokens` may be less
SHARE = 8  # and at most one part in so many of the context
SEAM = 8  # tokens that a prompt may have more than its parts: they are not tokenised together
KEPT, OF = 3, 4  # when turns leave, the history shrinks to this share, so that not every turn moves it

PROBE = Message(Role.USER, "x")  # the shortest question: what any one needs


@dataclass(frozen=True, slots=True)
class Sizes:
    """Tokens with their framing: the system prompt, each exchange that is over, and what was asked, step by step.

    That is the question of each exchange and, at the end, what the prompt is for now.
    """

    system: int
    closed: Sequence[int]
    asked: Sequence[int]

    def without(self, out: Collection[int]) -> int:
        """Tokens of the prompt when some exchanges are out."""
        return self.system + sum(self.closed) - sum(self.closed[index] for index in out) + self.asked[-1]


def room(n_ctx: int, max_tokens: int | None) -> int:
    """Tokens of the context that are kept for an answer."""
    return min(max_tokens or _ANSWER, n_ctx // SHARE)


def first_kept(sizes: Sizes, pinned: Collection[int], limit: int) -> Iterator[int]:
    """For each step, the first exchange that is seen; of those before it, the pinned are seen, too.

    When the prompt would have more than `limit` tokens, the oldest leave until what is not pinned has shrunk to
    three quarters of what there is room for, and the question fits.
    """
    start = unpinned = held = 0
    for index, question in enumerate(sizes.asked):
        capacity, last = limit - sizes.system - held, min(index, len(sizes.closed))
        if unpinned + question > capacity:
            while start < last and (OF * unpinned > KEPT * capacity or unpinned + question > capacity):
                unpinned -= 0 if start in pinned else sizes.closed[start]
                start += 1
        yield start
        if index < len(sizes.closed):
            held += sizes.closed[index] if index in pinned else 0
            unpinned += sizes.closed[index] if index not in pinned else 0


def pinned_of(exchanges: Sequence[Sequence[Turn]], pinned: Collection[int]) -> set[int]:
    """Which of the exchanges never leave, because one of their turns is pinned."""
    return {index for index, turns in enumerate(exchanges) if any(turn.number in pinned for turn in turns)}


def summed_of(history: Sequence[Sequence[Turn]], pinned: Collection[int], summary: Summary | None) -> list[int]:
    """The exchanges for which the summary stands, but for those that are pinned."""
    if summary is None:
        return []
    covered, kept = summary.covered([turn.number for turns in history for turn in turns]), pinned_of(history, pinned)
    return [
        index
        for index, turns in enumerate(history)
        if index not in kept and all(turn.number in covered for turn in turns)
    ]


def sizes_of(
    engine: Engine,
    system: str | None,
    exchanges: Sequence[Sequence[Turn]],
    n_closed: int,
    before: str,
    summed: Collection[int],
    *,
    ahead: bool,
) -> Sizes:
    """The sizes by the model's own tokenizer. What a prompt has only once counts as part of what is asked.

    `before` is the summary as it is told, which counts as part of the system prompt. The exchanges for which it stands
    take no room.
    """
    asked: list[tuple[Message, ...]] = [(turns[0].message,) for turns in exchanges]
    if ahead or len(exchanges[-1]) > 1:
        asked.append((PROBE,) if ahead else _messages(exchanges[-1]))
    closed = [(*_messages(turns), PROBE) for turns in exchanges[:n_closed]]
    head = (*system_of(system), replace(PROBE, content=before + PROBE.content))
    n_probe, n_head, *sizes = engine.measure([(PROBE,), head, *asked, *closed])
    n_closed_each = [0 if index in summed else size - n_probe for index, size in enumerate(sizes[len(asked) :])]
    n_asked = [0 if index in summed else size for index, size in enumerate(sizes[: len(asked)])]
    return Sizes(n_head - n_probe, n_closed_each, n_asked)


def exchanges_of(turns: Sequence[Turn]) -> list[Sequence[Turn]]:
    """Question and answer, the last perhaps without one; nothing where the roles are not by turns."""
    pairs = [turns[index : index + 2] for index in range(0, len(turns), 2)]
    roles = (Role.USER, Role.ASSISTANT)
    in_order = all(turn.message.role is role for pair in pairs for turn, role in zip(pair, roles, strict=False))
    return pairs if in_order else []


def _messages(turns: Sequence[Turn]) -> tuple[Message, ...]:
    return tuple(turn.message for turn in turns)


def system_of(system: str | None) -> tuple[Message, ...]:
    """The system prompt as the messages that it is: one, or none."""
    return () if system is None else (Message(Role.SYSTEM, system),)
