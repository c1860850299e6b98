"""Which turns the model sees: the context window is a budget, and whole exchanges leave it, the oldest first.

An exchange is a question and its answer. The system prompt, pinned exchanges and the question that is asked stay.
Nothing is remembered between turns: what has left follows from the sizes of all exchanges, so a chat that is taken
up again, or goes back to an earlier turn, sees what it saw then. Only the model's view shrinks; the conversation
is not touched.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import groupby

from llamachat.chat.conversation import Turn
from llamachat.engine.base import Engine
from llamachat.errors import ContextOverflow
from llamachat.types import Message, Role

_ANSWER = 256  # tokens that an answer finds room for; `max_tokens` may be less
_SHARE = 8  # and at most one part in so many of the context
_SEAM = 8  # tokens that a prompt may have more than its parts: they are not tokenised together
_KEPT, _OF = 3, 4  # when turns leave, the history shrinks to this share, so that not every turn moves it

PROBE = Message(Role.USER, "x")  # the shortest question: what any one needs


class Overflow(StrEnum):
    """What happens when the conversation does not fit."""

    DROP = "drop"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class Rules:
    """How the budget is spent. `pinned` are numbers of turns whose exchanges never leave."""

    overflow: Overflow = Overflow.DROP
    max_tokens: int | None = None
    pinned: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class View:
    """What the model is to see.

    `seen` are numbers of turns. `dropped` counts exchanges from 1: those that are out; `leaving` are those among them
    that the last answer still saw, and have `n_leaving` tokens. `places` says where each message stands in the whole
    conversation. `n_tokens` is the prompt's size, to within a few tokens; None where it was not asked for.
    """

    messages: tuple[Message, ...]
    seen: tuple[int, ...]
    places: tuple[int, ...]
    dropped: tuple[int, ...] = ()
    leaving: tuple[int, ...] = ()
    n_leaving: int = 0
    n_tokens: int | None = None

    @property
    def line(self) -> str:
        """What the user should know before the turn; empty when nothing leaves."""
        if not self.leaving:
            return ""
        many = len(self.leaving) > 1
        which = f"Turns {_ranges(self.leaving)} leave" if many else f"Turn {self.leaving[0]} leaves"
        keeps = "them" if many else "it"
        return f"{which} the model's view ({self.n_leaving:,} tokens); the transcript keeps {keeps}."


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
    return min(max_tokens or _ANSWER, n_ctx // _SHARE)


def view(system: str | None, turns: Sequence[Turn], engine: Engine, rules: Rules, *, ahead: bool = False) -> View:
    """What the model sees of `turns`, which end with a question, or with an answer that is to go on.

    With `ahead` they end with an answer that the next question will follow. Turns that are not by turns are passed on
    whole; what the format makes of them is the engine's to say. Raises ContextOverflow where turns would have to
    leave and may not; a last exchange that alone does not fit, the engine refuses.
    """
    exchanges = _exchanges(turns)
    history = exchanges if ahead else exchanges[:-1]
    if not history or engine.info is None:
        return _without(system, turns)
    sizes, n_ctx = _measure(engine, system, exchanges, len(history), ahead=ahead), engine.info.n_ctx
    out, leaving = _leavers(exchanges, sizes, rules, n_ctx)
    if rules.overflow is Overflow.REFUSE:
        _refuse(engine, _without(system, turns).messages, sizes.without(()), len(out))
        out = leaving = []
    n_tokens = sizes.without(out)
    if rules.pinned and n_tokens >= n_ctx:
        raise ContextOverflow(n_tokens, n_ctx, hint="Unpin a turn, or choose a larger context with --ctx-size.")
    seen = _without(system, turns, {turn.number for index in out for turn in history[index]})
    return replace(
        seen,
        dropped=tuple(index + 1 for index in out),
        leaving=tuple(index + 1 for index in leaving),
        n_leaving=sum(sizes.closed[index] for index in leaving),
        n_tokens=n_tokens,
    )


def first_kept(sizes: Sizes, pinned: Collection[int], limit: int) -> Iterator[int]:
    """For each step, the first exchange that is seen; of those before it, the pinned are seen, too.

    When the prompt would have more than `limit` tokens, the oldest leave until what is not pinned has shrunk to
    three quarters of what there is room for, and the question fits.
    """
    start = unpinned = held = 0
    for index, question in enumerate(sizes.asked):
        capacity, last = limit - sizes.system - held, min(index, len(sizes.closed))
        if unpinned + question > capacity:
            while start < last and (_OF * unpinned > _KEPT * capacity or unpinned + question > capacity):
                unpinned -= 0 if start in pinned else sizes.closed[start]
                start += 1
        yield start
        if index < len(sizes.closed):
            held += sizes.closed[index] if index in pinned else 0
            unpinned += sizes.closed[index] if index not in pinned else 0


def _leavers(
    exchanges: Sequence[Sequence[Turn]], sizes: Sizes, rules: Rules, n_ctx: int
) -> tuple[list[int], list[int]]:
    """The exchanges that are out, and those of them that the last answer given by a model still saw."""
    pinned = {index for index, turns in enumerate(exchanges) if any(turn.number in rules.pinned for turn in turns)}
    starts = list(first_kept(sizes, pinned, n_ctx - room(n_ctx, rules.max_tokens) - _SEAM))
    answered = [starts[index] for index, turns in enumerate(exchanges) if turns[-1].message.generated]
    out = [index for index in range(starts[-1]) if index not in pinned]
    return out, [index for index in out if index >= (answered[-1] if answered else 0)]


def _measure(
    engine: Engine, system: str | None, exchanges: Sequence[Sequence[Turn]], n_closed: int, *, ahead: bool
) -> Sizes:
    """The sizes by the model's own tokenizer. What a prompt has only once counts as part of what is asked."""
    asked: list[tuple[Message, ...]] = [(turns[0].message,) for turns in exchanges]
    if ahead or len(exchanges[-1]) > 1:
        asked.append((PROBE,) if ahead else _messages(exchanges[-1]))
    closed = [(*_messages(turns), PROBE) for turns in exchanges[:n_closed]]
    n_probe, n_head, *sizes = engine.measure([(PROBE,), (*_system(system), PROBE), *asked, *closed])
    return Sizes(n_head - n_probe, [size - n_probe for size in sizes[len(asked) :]], sizes[: len(asked)])


def _refuse(engine: Engine, messages: tuple[Message, ...], n_tokens: int, n_leaving: int) -> None:
    """ContextOverflow if the whole conversation does not fit: exactly, where it is close."""
    n_ctx = engine.info.n_ctx if engine.info else 0
    if n_tokens + _SEAM < n_ctx or (n_tokens := engine.measure([messages])[0]) < n_ctx:
        return
    many = "1 turn" if n_leaving == 1 else f"{n_leaving} turns"
    hint = f"{many} would have to leave: --overflow drop lets them, and --ctx-size makes more room."
    raise ContextOverflow(n_tokens, n_ctx, hint=hint)


def _exchanges(turns: Sequence[Turn]) -> list[Sequence[Turn]]:
    """Question and answer, the last perhaps without one; nothing where the roles are not by turns."""
    pairs = [turns[index : index + 2] for index in range(0, len(turns), 2)]
    roles = (Role.USER, Role.ASSISTANT)
    in_order = all(turn.message.role is role for pair in pairs for turn, role in zip(pair, roles, strict=False))
    return pairs if in_order else []


def _without(system: str | None, turns: Sequence[Turn], gone: Collection[int] = ()) -> View:
    """The view of all turns but some."""
    head = _system(system)
    kept = [(place, turn) for place, turn in enumerate(turns, len(head)) if turn.number not in gone]
    return View(
        messages=(*head, *(turn.message for _, turn in kept)),
        seen=tuple(turn.number for _, turn in kept),
        places=(*range(len(head)), *(place for place, _ in kept)),
    )


def _messages(turns: Sequence[Turn]) -> tuple[Message, ...]:
    return tuple(turn.message for turn in turns)


def _system(system: str | None) -> tuple[Message, ...]:
    return () if system is None else (Message(Role.SYSTEM, system),)


def _ranges(numbers: Sequence[int]) -> str:
    """`1-3, 5`."""
    runs = groupby(enumerate(numbers), lambda pair: pair[1] - pair[0])
    ends = [[number for _, number in run] for _, run in runs]
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in ends)
