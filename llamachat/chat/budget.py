"""Which turns the model sees: the context window is a budget, and whole exchanges leave it, the oldest first.

An exchange is a question and its answer. The system prompt, pinned exchanges and the question that is asked stay.
Nothing is remembered between turns but summaries: what has left follows from the sizes of all exchanges, so a chat
that is taken up again, or goes back to an earlier turn, sees what it saw then. A summary takes the place of the
exchanges for which it stands, but of pinned ones. Only the model's view shrinks; the conversation is not touched.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import groupby

from llamachat.chat.conversation import Turn
from llamachat.chat.summary import Summary, place, told
from llamachat.chat.window import (
    KEPT,
    OF,
    SEAM,
    SHARE,
    Sizes,
    exchanges_of,
    first_kept,
    pinned_of,
    room,
    sizes_of,
    summed_of,
    system_of,
)
from llamachat.engine.base import Engine
from llamachat.errors import ContextOverflow
from llamachat.types import Message

_LEAST = 16  # tokens of a summary; with room for fewer there is none


class Overflow(StrEnum):
    """What happens when the conversation does not fit."""

    DROP = "drop"
    SUMMARISE = "summarise"
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

    `summary` stands for the exchanges `summed`. It is the first `n_told` characters of the message at `told_at`.
    """

    messages: tuple[Message, ...]
    seen: tuple[int, ...]
    places: tuple[int, ...]
    dropped: tuple[int, ...] = ()
    leaving: tuple[int, ...] = ()
    n_leaving: int = 0
    n_tokens: int | None = None
    summary: Summary | None = None
    summed: tuple[int, ...] = ()
    told_at: int | None = None
    n_told: int = 0

    @property
    def line(self) -> str:
        """What the user should know before the turn; empty when nothing leaves."""
        if not self.leaving:
            return ""
        many = len(self.leaving) > 1
        keeps = "them" if many else "it"
        leave = f"{named(self.leaving)} {'leave' if many else 'leaves'}"
        return f"{leave} the model's view ({self.n_leaving:,} tokens); the transcript keeps {keeps}."


@dataclass(frozen=True, slots=True)
class Leaving:
    """Exchanges that are to become a summary, with what there is of one: their numbers from 1, turns and tokens.

    `summed` are those for which the earlier summary stands. The new one finds room for `n_most` tokens.
    """

    exchanges: tuple[int, ...]
    turns: tuple[Turn, ...]
    summed: tuple[int, ...]
    n_tokens: int
    n_most: int


def view(
    system: str | None,
    turns: Sequence[Turn],
    engine: Engine,
    rules: Rules,
    *,
    summary: Summary | None = None,
    ahead: bool = False,
) -> View:
    """What the model sees of `turns`, which end with a question, or with an answer that is to go on.

    With `ahead` they end with an answer that the next question will follow. Turns that are not by turns are passed on
    whole; what the format makes of them is the engine's to say. Raises ContextOverflow where turns would have to
    leave and may not; a last exchange that alone does not fit, the engine refuses.
    """
    exchanges = exchanges_of(turns)
    history = exchanges if ahead else exchanges[:-1]
    summed = summed_of(history, rules.pinned, summary)
    gone = {turn.number for index in summed for turn in history[index]}
    if not history or engine.info is None:
        return _without(system, turns, gone, summary)
    before = told(summary.content) if summary and summed else ""
    sizes = sizes_of(engine, system, exchanges, len(history), before, summed, ahead=ahead)
    n_ctx = engine.info.n_ctx
    out, leaving = _leavers(exchanges, sizes, rules, n_ctx, summed)
    if rules.overflow is Overflow.REFUSE:
        _refuse(engine, _without(system, turns, gone, summary).messages, sizes.without(()), len(out))
        out = leaving = []
    n_tokens = sizes.without(out)
    if n_tokens >= n_ctx and (rules.pinned or summed):
        what = "Unpin a turn" if rules.pinned else "Shorten the summary with /compact edit"
        raise ContextOverflow(n_tokens, n_ctx, hint=f"{what}, or choose a larger context with --ctx-size.")
    seen = _without(system, turns, gone | {turn.number for index in out for turn in history[index]}, summary)
    return replace(
        seen,
        summed=tuple(index + 1 for index in summed),
        dropped=tuple(index + 1 for index in out),
        leaving=tuple(index + 1 for index in leaving),
        n_leaving=sum(sizes.closed[index] for index in leaving),
        n_tokens=n_tokens,
    )


def to_sum_up(
    system: str | None,
    turns: Sequence[Turn],
    engine: Engine,
    rules: Rules,
    summary: Summary | None,
    *,
    everything: bool = False,
) -> Leaving | None:
    """The oldest exchanges, until the rest has three quarters of what a summary of all others leaves it.

    `everything`: all but the last and the pinned ones. None where there are none, or no room for a summary.
    """
    exchanges = exchanges_of(turns)
    history = exchanges[:-1]
    if not history or engine.info is None:
        return None
    pinned, summed = pinned_of(history, rules.pinned), summed_of(history, rules.pinned, summary)
    sizes = sizes_of(engine, system, exchanges, len(history), told(""), summed, ahead=False)
    question, n_ctx = sizes.asked[-1], engine.info.n_ctx
    capacity = n_ctx - room(n_ctx, rules.max_tokens) - SEAM - sizes.system - sum(sizes.closed[i] for i in pinned)
    n_most = min(n_ctx // SHARE, capacity - question)
    free = [index for index in range(len(history)) if index not in pinned and index not in summed]
    out, rest, capacity = [], sum(sizes.closed[index] for index in free), capacity - n_most
    for index in free:
        if not everything and OF * rest <= KEPT * capacity and rest + question <= capacity:
            break
        out.append(index)
        rest -= sizes.closed[index]
    if not out or n_most < _LEAST:
        return None
    n_tokens = sum(sizes.closed[index] for index in out) + (engine.count(summary.content) if summary else 0)
    return Leaving(
        exchanges=tuple(index + 1 for index in out),
        turns=tuple(turn for index in out for turn in history[index]),
        summed=tuple(index + 1 for index in summed),
        n_tokens=n_tokens,
        n_most=max(_LEAST, min(n_most, n_tokens // 2)),
    )


def _leavers(
    exchanges: Sequence[Sequence[Turn]], sizes: Sizes, rules: Rules, n_ctx: int, summed: Collection[int]
) -> tuple[list[int], list[int]]:
    """The exchanges that are out without a summary, and those of them that a model's last answer still saw."""
    pinned = pinned_of(exchanges, rules.pinned)
    starts = list(first_kept(sizes, pinned, n_ctx - room(n_ctx, rules.max_tokens) - SEAM))
    answered = [starts[index] for index, turns in enumerate(exchanges) if turns[-1].message.generated]
    out = [index for index in range(starts[-1]) if index not in pinned and index not in summed]
    return out, [index for index in out if index >= (answered[-1] if answered else 0)]


def _refuse(engine: Engine, messages: tuple[Message, ...], n_tokens: int, n_leaving: int) -> None:
    """ContextOverflow if the whole conversation does not fit: exactly, where it is close."""
    n_ctx = engine.info.n_ctx if engine.info else 0
    if n_tokens + SEAM < n_ctx or (n_tokens := engine.measure([messages])[0]) < n_ctx:
        return
    many = "1 turn" if n_leaving == 1 else f"{n_leaving} turns"
    hint = f"{many} would have to leave: --overflow drop lets them, and --ctx-size makes more room."
    raise ContextOverflow(n_tokens, n_ctx, hint=hint)


def _without(
    system: str | None, turns: Sequence[Turn], gone: Collection[int] = (), summary: Summary | None = None
) -> View:
    """The view of all turns but some. A summary stands before the first question that follows what it stands for."""
    head = system_of(system)
    kept = [(index, turn) for index, turn in enumerate(turns, len(head)) if turn.number not in gone]
    seen = View(
        messages=(*head, *(turn.message for _, turn in kept)),
        seen=tuple(turn.number for _, turn in kept),
        places=(*range(len(head)), *(index for index, _ in kept)),
    )
    return _with_summary(seen, turns, len(head), summary) if summary and gone else seen


def _with_summary(seen: View, turns: Sequence[Turn], n_head: int, summary: Summary) -> View:
    """Put the summary where it belongs. Where no question follows yet, the next one will have it."""
    found = place([turn.number for turn in turns], seen.seen, summary.last)
    if found is None:
        return replace(seen, summary=summary)
    at = n_head + found
    before, messages = told(summary.content), list(seen.messages)
    messages[at] = replace(messages[at], content=before + messages[at].content)
    return replace(seen, messages=tuple(messages), summary=summary, told_at=at, n_told=len(before))


def named(numbers: Sequence[int]) -> str:
    """`Turns 1-3, 5`."""
    runs = groupby(enumerate(numbers), lambda pair: pair[1] - pair[0])
    ends = [[number for _, number in run] for _, run in runs]
    ranges = ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in ends)
    return f"Turn{'s' * (len(numbers) > 1)} {ranges}"
