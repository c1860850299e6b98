"""Making a summary: the model sums up the turns that leave its view, and the earlier summary with them.

A request of its own, without the chat's system prompt: a preset that translates, say, would translate the turns.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator, Sequence

from llamachat.chat import budget
from llamachat.chat.budget import Leaving, Rules
from llamachat.chat.conversation import Conversation, Made, Turn
from llamachat.chat.events import Event, NotSummarised, Summarised, Summarising
from llamachat.chat.made import made_by
from llamachat.chat.summary import Summary, harmless
from llamachat.engine.base import Delta, Engine, Finished, Notice, Request
from llamachat.errors import ContextOverflow, Interrupted, LlamachatError, UsageError
from llamachat.types import FinishReason, Message, Role

_BEFORE = "Here is a conversation between a user and an assistant."
_ASK = (
    "Write a short summary of it for somebody who will go on with it: at most {n_words} words, in the language of the "
    "conversation, and nothing else. Keep names, numbers, what was asked, what was found or decided, and what is still "
    "open."
)
_WHO = {Role.USER: "The user", Role.ASSISTANT: "The assistant"}
_SEAM = 16  # tokens that a prompt may have more than its parts
_SHORTEST = 40  # characters of a message that are not cut in two
_THOUGHTS = re.compile(r"\A\s*<think>.*?(?:</think>|\Z)", re.DOTALL)
_SENTENCE_ENDS = (". ", "! ", "? ", ".\n", "。", "\n")


def make_room(
    conversation: Conversation, turns: Sequence[Turn], engine: Engine, rules: Rules, seed: int | None
) -> Iterator[Event]:
    """Before a turn that does not fit: let a summary stand for the oldest exchanges. It may fail; then nothing does."""
    summary = conversation.summary
    leaving = budget.to_sum_up(conversation.system, turns, engine, rules, summary)
    if leaving is None:
        yield NotSummarised("There is no room for a summary.")
        return
    have = "have" if len(leaving.exchanges) > 1 else "has"
    yield Notice(f"{budget.named(leaving.exchanges)} {have} no room any more: the model sums up what is said there.")
    try:
        text, made = yield from _sum_up(leaving, summary, engine, seed)
    except Interrupted:
        yield NotSummarised("Stopped: there is no summary this time.", stopped=True)
    except LlamachatError as error:
        yield NotSummarised(f"There is no summary this time: {error.message}")
    else:
        yield _keep(conversation, turns, leaving, text, made, engine)


def compact(conversation: Conversation, engine: Engine, rules: Rules, seed: int | None) -> Iterator[Event]:
    """Let a summary stand for all but the last exchange and the pinned ones. Raises UsageError where there is nothing
    to sum up, and what the engine raises.
    """
    summary, turns = conversation.summary, conversation.turns
    leaving = budget.to_sum_up(conversation.system, turns, engine, rules, summary, everything=True)
    if leaving is None:
        raise UsageError("there is nothing to sum up: the last turn and pinned ones stay, and need room for it.")
    text, made = yield from _sum_up(leaving, summary, engine, seed)
    yield _keep(conversation, turns, leaving, text, made, engine)


def _keep(
    conversation: Conversation, turns: Sequence[Turn], leaving: Leaving, text: str, made: Made, engine: Engine
) -> Summarised:
    """Put the summary beside the turns for which it stands: those of the earlier one, and those that leave."""
    path = [turn.number for turn in turns]
    before = conversation.summary
    covered = (before.covered(path) if before else frozenset()) | {turn.number for turn in leaving.turns}
    in_order = [number for number in path if number in covered]
    seen = {**made, "turns": in_order, "summary": before.number if before else None}
    conversation.summarise(in_order[0], in_order[-1], text, seen)
    numbers = sorted({*leaving.exchanges, *leaving.summed})
    are = "are" if len(numbers) > 1 else "is"
    n_tokens = engine.count(text)
    line = f"{budget.named(numbers)} {are} now a summary of {n_tokens:,} tokens (before: {leaving.n_tokens:,})"
    return Summarised(line, text)


def _sum_up(
    leaving: Leaving, before: Summary | None, engine: Engine, seed: int | None
) -> Generator[Event, None, tuple[str, Made]]:
    """The text and what made it. What is longer than the context is summed up piece by piece, each with what there is
    so far. Raises Interrupted after Ctrl-C, and what the engine raises.
    """
    text, count = before.content if before else "", 0
    made: Made = {}
    lines = [f"{_WHO[turn.message.role]}: {harmless(turn.message.content.strip())}" for turn in leaving.turns]
    seen = [turn.number for turn in leaving.turns]
    while lines:
        piece, lines = _fitting(text, lines, leaving.n_most, engine)
        count += 1
        part = f" (part {count})" if lines or count > 1 else ""
        prompt = _prompt(text, piece, leaving.n_most)
        request = Request((Message(Role.USER, prompt),), {"temperature": 0}, seed=seed, max_tokens=leaving.n_most)
        text, finished = yield from _written(engine, request, part)
        made = made_by(engine.info, request, seen, finished)
    return text, made


def _prompt(before: str, lines: Sequence[str], n_most: int) -> str:
    """The question to the model, after what it is about. A word is more than a token: some of the room stays free."""
    earlier = [f"Summary of its beginning:\n{harmless(before)}"] if before else []
    return "\n\n".join([_BEFORE, *earlier, *lines, _ASK.format(n_words=max(10, n_most // 2))])


def _fitting(before: str, lines: Sequence[str], n_most: int, engine: Engine) -> tuple[list[str], list[str]]:
    """As many lines as a request has room for, and the rest. A line that is too long is cut into parts."""
    n_ctx = engine.info.n_ctx if engine.info else 0
    waiting = list(lines)
    while True:
        frame, *sizes = engine.measure([_asked(_prompt(before, (), n_most)), *map(_asked, waiting)])
        room = n_ctx - n_most - _SEAM - frame
        taken = 0
        while taken < len(sizes) and sizes[taken] <= room:
            room -= sizes[taken]
            taken += 1
        if taken:
            return waiting[:taken], waiting[taken:]
        if len(waiting[0]) <= _SHORTEST:
            raise ContextOverflow(frame + sizes[0] + n_most, n_ctx)
        waiting[:1] = _halves(waiting[0])


def _asked(text: str) -> tuple[Message]:
    return (Message(Role.USER, text),)


def _halves(line: str) -> tuple[str, str]:
    """A line in two, at a space near its middle if there is one; both say who speaks."""
    who, _, said = line.partition(": ")
    middle = len(said) // 2
    at = said.find(" ", middle, middle + _SHORTEST)
    at = middle if at < 0 else at
    return f"{who}: {said[:at]}", f"{who}: {said[at:].lstrip()}"


def _written(engine: Engine, request: Request, part: str) -> Generator[Event, None, tuple[str, Finished]]:
    """What the model writes. Raises Interrupted, and LlamachatError where it writes nothing."""
    said, finished = "", None
    for event in engine.reply(request):
        match event:
            case Delta():
                said += event.text
                yield Summarising(f"writing a summary{part}… {len(said.split()):,} words; Ctrl-C stops it")
            case Finished():
                finished = event
            case _:
                yield event
    if finished is None or finished.reason is FinishReason.INTERRUPTED:
        raise Interrupted("stopped before the summary was written.")
    text = _THOUGHTS.sub("", said).strip()
    if finished.reason is FinishReason.LENGTH:
        text = _whole_sentences(text)
    if not text:
        raise LlamachatError("the model wrote nothing.")
    return text, finished


def _whole_sentences(text: str) -> str:
    """A text that was cut, up to its last sentence's end; all of it where that would lose half."""
    end = max(f"{text} ".rfind(mark) for mark in _SENTENCE_ENDS) + 1
    return text[:end].rstrip() if 2 * end > len(text) else f"{text}…"
