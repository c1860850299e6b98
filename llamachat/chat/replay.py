"""An answer made once more, from what is written down of how it was made: what for, and what came out differently.

Nothing here changes a conversation. With the seed, the prompt is evaluated on its fixed grid of batches: on the same
machine, build and file the same words come out, to the last bit.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from enum import Enum, auto
from itertools import takewhile
from typing import Any, TypeGuard

from llamachat.chat.conversation import Conversation, Made, State, Turn
from llamachat.chat.made import sha256_of_system
from llamachat.chat.summary import told
from llamachat.chat.turn import Settings, view_of
from llamachat.chat.window import PROBE
from llamachat.engine.base import Engine, Request
from llamachat.errors import UsageError
from llamachat.types import MOST_CANDIDATES, AnswerTokens, Message, ModelInfo, Role, Sampling

_WORDS = re.compile(r"\w+\s*|[^\w\s]\s*|\s+")
_SAMPLERS = frozenset(field.name for field in fields(Sampling)) - {"logit_bias"}
_N_SEEDS = 0xFFFF_FFFF  # and from it on none


@dataclass(frozen=True, slots=True)
class Plan:
    """The request that makes an answer again, which of its answers that is, the text that it has to be compared with,
    and in lines what is not as it was, or not known."""

    request: Request
    index: int
    said: str
    remarks: tuple[str, ...]


class Change(Enum):
    SAME = auto()
    REMOVED = auto()
    ADDED = auto()


def plan(conversation: Conversation, answer: Turn, info: ModelInfo) -> Plan:
    """How to make an answer of the current branch again with the model that is loaded.

    Raises UsageError where its record does not tell.
    """
    made = conversation.made_of(answer.number)
    if made is None:
        raise UsageError("what made this answer is not known.", "It is an imported one, or it broke off for good.")
    seed = made.get("seed")
    if not _is_whole(seed) or not 0 <= seed < _N_SEEDS:
        raise UsageError("the record of this answer has no seed.", "/why shows what it has.")
    before = _before(answer, made)
    seen, doubt = _seen(conversation, answer, made)
    head = () if conversation.system is None else (Message(Role.SYSTEM, conversation.system),)
    messages = (*head, *seen, *([before] if before else []))
    n, index = _place_among_candidates(made)
    request = Request(
        messages=messages,
        sampling={name: value for name, value in _mapping(made, "sampling").items() if _is_sampler(name, value)},
        seed=(seed - index) % _N_SEEDS,  # the first one's
        max_tokens=_limit(answer, made),
        stops=tuple(stop for stop in _list(made, "stop") if isinstance(stop, str)),
        open_answer=before is not None,
        raw_tags=True,  # what was sent then is sent now
        n=n,
    )
    remarks = (*_changes(made, info, messages), *doubt, *_limits(answer, made, before))
    return Plan(request, index, answer.message.content[len(before.content) if before else 0 :], remarks)


def warm(conversation: Conversation, engine: Engine, settings: Settings) -> None:
    """Let the engine have the conversation as it stands again, so that the next question does not wait."""
    if conversation.has_answer:
        view = view_of(conversation, engine, settings, ahead=True)
        engine.prefill(settings.request_for(replace(view, messages=(*view.messages, PROBE))))


def differences(before: str, after: str) -> Iterator[tuple[Change, str]]:
    """What becomes of one text on the way to the other, word by word."""
    old, new = _WORDS.findall(before), _WORDS.findall(after)
    for kind, start, end, new_start, new_end in difflib.SequenceMatcher(None, old, new).get_opcodes():
        if kind == "equal":
            yield Change.SAME, "".join(old[start:end])
            continue
        if start < end:
            yield Change.REMOVED, "".join(old[start:end])
        if new_start < new_end:
            yield Change.ADDED, "".join(new[new_start:new_end])


def common_length(before: str, after: str) -> int:
    """How many characters the two have in common at their beginning."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(before, after, strict=False)))


def _before(answer: Turn, made: Made) -> Message | None:
    """What stood of an answer before its last stretch, if it was continued. Raises UsageError if that is not known."""
    if made.get("continued") is None:
        if answer.number in _list(made, "turns"):
            raise UsageError("this answer was continued, and its record does not say where.", "/retry makes another.")
        return None
    continued = _mapping(made, "continued")
    length, n_tokens = continued.get("characters"), continued.get("tokens")
    if not _is_whole(length) or not 0 <= length <= len(answer.message.content):
        raise UsageError("the record of this answer does not fit its text.", "/why shows what it has.")
    tokens = answer.message.tokens
    known = AnswerTokens(tokens.vocabulary, tokens.ids[:n_tokens]) if tokens and _is_whole(n_tokens) else None
    return replace(answer.message, content=answer.message.content[:length], tokens=known)


def _seen(conversation: Conversation, answer: Turn, made: Made) -> tuple[tuple[Message, ...], tuple[str, ...]]:
    """The messages before the answer that its model saw, and what is doubtful about that."""
    path = tuple(takewhile(lambda turn: turn.number != answer.number, conversation.turns))
    numbers = {number for number in _list(made, "turns") if _is_whole(number) and number != answer.number}
    doubt = []
    if not numbers or not numbers <= {turn.number for turn in path}:
        doubt.append("which turns it saw is not known: it gets all that come before it")
        numbers = {turn.number for turn in path}
    messages = {turn.number: turn.message for turn in path if turn.number in numbers}
    if made.get("summary") is not None and not _put_summary(conversation, path, messages, made["summary"]):
        doubt.append("the summary that it saw is not here any more")
    return tuple(messages.values()), tuple(doubt)


def _put_summary(
    conversation: Conversation, path: Sequence[Turn], messages: dict[int, Message], number: object
) -> bool:
    """Put a summary before the first message that follows what it stands for, as it was then; whether it is there."""
    summary = next((each for each in conversation.summaries if each.number == number), None)
    places = {turn.number: place for place, turn in enumerate(path)}
    if summary is None or summary.last not in places:
        return False
    first = next((turn for turn in messages if places[turn] > places[summary.last]), None)
    if first is not None:
        messages[first] = replace(messages[first], content=told(summary.content) + messages[first].content)
    return True


def _changes(made: Made, info: ModelInfo, messages: Sequence[Message]) -> Iterator[str]:
    """What is not as it was when the answer was made."""
    model, sha256 = made.get("model"), made.get("sha256")
    if sha256 and info.sha256 and sha256 != info.sha256:
        yield f"another model file: {model} ({_short(sha256)}) then, {info.name} ({_short(info.sha256)}) now"
    elif model != info.name:
        yield _changed("model", model, info.name)
    elif not (sha256 and info.sha256):
        yield "whether the model's file is the same is not known: one of the two hashes is missing"
    for name, then, now in (
        ("quantisation", made.get("quantisation"), info.quantisation),
        ("llama.cpp", made.get("build"), info.build),
        ("format", made.get("format"), info.format),
        ("context", _mapping(made, "context").get("size"), info.n_ctx),
        ("threads", made.get("threads"), info.n_threads),
        ("layers on a GPU", made.get("gpu_layers"), info.n_gpu_layers),
        ("flash attention", made.get("flash_attention"), info.flash_attention),
        ("KV cache", made.get("kv_type"), info.kv_type),
        ("weights repacked", made.get("repacked"), info.repacked),
        ("tokens of a batch", made.get("batch"), info.n_batch),
    ):
        if then is None:
            yield f"{name}: not recorded"
        elif then != now:
            yield _changed(name, then, now)
    if made.get("system_sha256") != sha256_of_system(messages):
        yield "the system prompt is another than then"
    if strange := [name for name, value in _mapping(made, "sampling").items() if not _is_sampler(name, value)]:
        yield f"sampling that this version does not know: {', '.join(strange)}"


def _limits(answer: Turn, made: Made, before: Message | None) -> Iterator[str]:
    """What the record cannot promise."""
    if made.get("exact") is not True and _mapping(made, "usage").get("reused_tokens") != 0:
        yield "made without a fixed seed, on what the cache held already: the last bits, and so a word, may differ"
    if _mapping(made, "draft").get("proposed", 0):
        yield "made with guessed tokens: the last bits, and so a word, may differ"
    if before is not None:
        n_before = len(before.content)
        yield f"continued after {n_before:,} characters: they are taken as they stand, and the rest is made again"
    if answer.state in (State.INTERRUPTED, State.ERROR) and _n_generated(made):
        yield f"it broke off after {_n_generated(made):,} tokens, and so does this"


def _place_among_candidates(made: Made) -> tuple[int, int]:
    """How many answers were made together, and which of them this is, from 0: alone it might be another."""
    n, number = (_mapping(made, "candidate").get(key) for key in ("of", "number"))
    if _is_whole(n) and _is_whole(number) and 1 <= number <= n <= MOST_CANDIDATES:
        return n, number - 1
    return 1, 0


def _limit(answer: Turn, made: Made) -> int | None:
    """The most tokens to make: of an answer that is not complete, as many as there were."""
    if answer.state is not State.COMPLETE and (n_tokens := _n_generated(made)):
        return n_tokens
    limit = made.get("max_tokens")
    return limit if _is_whole(limit) and limit > 0 else None


def _n_generated(made: Made) -> int:
    count = _mapping(made, "usage").get("completion_tokens")
    return count if _is_whole(count) else 0


def _changed(name: str, then: object, now: object) -> str:
    return f"{name}: {then} then, {now} now"


def _short(sha256: object) -> str:
    return str(sha256)[:8]


# A record may be imported, so anything.


def _mapping(made: Made, key: str) -> Mapping[str, Any]:
    value = made.get(key)
    return value if isinstance(value, Mapping) else {}


def _list(made: Made, key: str) -> Sequence[Any]:
    value = made.get(key)
    return value if isinstance(value, list | tuple) else ()


def _is_whole(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_sampler(name: str, value: object) -> bool:
    return name in _SAMPLERS and isinstance(value, int | float) and not isinstance(value, bool)
