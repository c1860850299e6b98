"""A tree of turns out of foreign messages: user and assistant by turns, as every chat format wants it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from llamachat.chat.conversation import Made, Turn
from llamachat.chat.transcript import Entry
from llamachat.types import Message, Role


@dataclass(frozen=True, slots=True)
class Seed:
    """One message, and the place in the list of the one it follows."""

    parent: int | None
    role: Role
    content: str
    created: datetime
    made: Made | None = None


@dataclass(frozen=True, slots=True)
class Grown:
    """The turns; `number_of` is the turn that each message became, or became part of."""

    entries: tuple[Entry, ...]
    number_of: tuple[int, ...]


def grown(seeds: Sequence[Seed]) -> Grown:
    """Parents come before those who follow them.

    A message after one of the same role says both, in the place of the first: assistants that used a tool
    in between speak several times. Where all that follow a message have taken it in, it is not kept by itself.
    """
    merged = _merged(seeds)
    followers: dict[int, list[int]] = {}
    for index, seed in enumerate(seeds):
        if seed.parent is not None:
            followers.setdefault(seed.parent, []).append(index)
    taken_in = {
        index for index, after in followers.items() if all(seeds[each].role is seeds[index].role for each in after)
    }
    kept = [index for index in range(len(seeds)) if index not in taken_in]
    numbers = {index: number for number, index in enumerate(kept, start=1)}
    entries = tuple(_entry(merged[index], numbers[index], numbers) for index in kept)
    return Grown(entries, tuple(numbers[_heir(index, taken_in, followers)] for index in range(len(seeds))))


def _merged(seeds: Sequence[Seed]) -> list[Seed]:
    """Each with what those of the same role right before it said."""
    merged: list[Seed] = []
    for seed in seeds:
        before = None if seed.parent is None else merged[seed.parent]
        if before is not None and before.role is seed.role:
            content = f"{before.content}\n\n{seed.content}"
            merged.append(replace(seed, parent=before.parent, content=content))
        else:
            merged.append(seed)
    return merged


def _heir(index: int, taken_in: set[int], followers: dict[int, list[int]]) -> int:
    """The message that says what this one said."""
    while index in taken_in:
        index = followers[index][-1]
    return index


def _entry(seed: Seed, number: int, numbers: Mapping[int, int]) -> Entry:
    parent = None if seed.parent is None else numbers[seed.parent]
    return Entry(Turn(number, parent, Message(seed.role, seed.content)), seed.created, seed.created, made=seed.made)
