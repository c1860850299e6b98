"""Two hundred turns with a real model in a small window: what it gets is right each time, and nothing fails."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import sentencepiece

from llamachat.chat.conversation import Conversation, State
from llamachat.chat.turn import Settings, ask, continue_answer, prepare
from llamachat.engine.base import Event, Finished, Notice, Request
from llamachat.engine.ladder import Ladder
from llamachat.engine.process import EngineProcess
from llamachat.engine.protocol import PrefillDone
from llamachat.types import FinishReason, LoadOptions, Message, Role
from tests.formats import meta
from tests.model.dialogs import FACTS

N_TURNS, N_CTX = 200, 512
SYSTEM = "End every answer with: river!"
STORY = "Write a very long story about a lighthouse."


class Recording(EngineProcess):
    """An engine that remembers what it was asked, and can wait for what it does in the background."""

    waits = False

    def __init__(self, *arguments, **options) -> None:
        super().__init__(*arguments, **options)
        self.requests: list[Request] = []

    def reply(self, request: Request) -> Iterator[Event]:
        self.requests.append(request)
        return super().reply(request)

    def prefill(self, request: Request) -> None:
        super().prefill(request)
        if self.waits:
            assert isinstance(self._inbox.next(time.monotonic() + 60), PrefillDone)


@pytest.fixture
def start(parrot, tmp_path) -> Iterator[Callable[..., Recording]]:
    engines: list[Recording] = []

    def make(n_ctx: int = N_CTX) -> Recording:
        options = LoadOptions(path=str(parrot), n_ctx=n_ctx, n_threads=1)
        engines.append(Recording(options, log=tmp_path / "log", ladder=Ladder(tmp_path / "ladder")))
        for _ in engines[-1].wait_until_loaded():
            pass
        return engines[-1]

    yield make
    for engine in engines:
        engine.close()


@pytest.fixture(scope="module")
def tokenizer() -> sentencepiece.SentencePieceProcessor:
    path = Path(__file__).parent.parent / "data" / "vocab.model"
    return sentencepiece.SentencePieceProcessor(model_file=str(path))


def reference(messages: tuple[Message, ...], tokenizer) -> list[int]:
    """What Meta's code would send, but for the ids of answers that have their own."""
    head = [(messages[0].role.value, messages[0].content)] if messages[0].role is Role.SYSTEM else []
    turns, tokens = messages[len(head) :], []
    for question, answer in zip(turns[::2], turns[1::2], strict=False):
        tokens += meta.ids([*head, ("user", question.content)], tokenizer)
        own = answer.tokens.ids if answer.tokens else tokenizer.encode(answer.content.strip())
        closing = [] if own[-1:] == (tokenizer.piece_to_id("▁"),) else [tokenizer.piece_to_id("▁")]
        tokens += [*own, *closing, tokenizer.eos_id()]
        head = []
    return [*tokens, *meta.ids([*head, ("user", turns[-1].content)], tokenizer)]


def settings_for(conversation: Conversation, pinned: int) -> Settings:
    return Settings(sampling={"temperature": 0}, pinned=frozenset({conversation.turns[pinned].number}))


def test_two_hundred_turns(start, tokenizer):
    engine, conversation, random_ = start(), Conversation(SYSTEM), random.Random(1)
    questions = ["Hello!", "My name is Ada.", *random_.choices([*FACTS, STORY], k=N_TURNS - 3), "What is my name?"]
    settings, lines, n_filled = Settings(sampling={"temperature": 0}), [], 0
    for number, question in enumerate(questions):
        events = list(ask(conversation, question, engine, settings))
        finished = events[-1]
        assert isinstance(finished, Finished)
        lines += [event.text for event in events if isinstance(event, Notice)]
        request = engine.requests[-1]
        assert finished.usage.prompt_tokens == len(reference(request.messages, tokenizer))
        assert list(engine.render(request).tokens) == reference(request.messages, tokenizer)
        assert request.messages[0] == Message(Role.SYSTEM, SYSTEM)
        assert number < 2 or any(message.content == "My name is Ada." for message in request.messages)
        n_seen = (len(request.messages) - 2) // 2
        assert finished.context.dropped_turns == number - n_seen
        if number == 1:
            settings = settings_for(conversation, 2)
        if finished.reason is FinishReason.LENGTH:
            n_filled += 1
            more = list(continue_answer(conversation, engine, replace(settings, max_tokens=20)))
            assert more[-1].usage.completion_tokens == 20
            assert conversation.last.state is State.LENGTH
        if number % 2:
            prepare(conversation, engine, settings)
    assert len(conversation.turns) == 2 * N_TURNS
    assert n_filled > 2, "the story has to fill the window now and then"
    assert len(lines) > 20
    assert all("leave" in line for line in lines)
    assert "Ada" in conversation.answer.content


def evaluated_at_overflow(engine: Recording, settings: Settings, *, is_prepared: bool = False) -> list[int]:
    """Tokens of the prompt that had to be evaluated, of each turn of a chat before which others left."""
    conversation, n_dropped, found = Conversation(SYSTEM), 0, []
    for number in range(40):
        *_, finished = ask(conversation, f"Repeat: {number} {100 - number} boats.", engine, settings)
        if finished.context.dropped_turns > n_dropped:
            n_dropped = finished.context.dropped_turns
            found.append(finished.usage.prompt_tokens - finished.usage.reused_tokens)
        if is_prepared:
            prepare(conversation, engine, settings)
    return found


def test_a_shift_saves_the_evaluation_of_what_stays(start):
    """The overflowing turn evaluates about as much as any other; where the cache is made anew, it evaluates all."""
    moved = evaluated_at_overflow(start(), Settings({"temperature": 0}))
    anew = evaluated_at_overflow(start(), Settings({"temperature": 0}, shift=False))
    assert min(len(moved), len(anew)) > 2
    assert max(moved) < 80
    assert min(anew) > 200


def test_what_was_made_anew_ahead_is_there_when_the_question_comes(start):
    engine = start()
    engine.waits = True
    assert min(evaluated_at_overflow(engine, Settings({"temperature": 0}, shift=False), is_prepared=True)) < 60


@pytest.mark.parametrize("seed", [1, 2])
def test_a_seeded_chat_says_the_same_whether_room_was_made_before_or_not(start, seed):
    said = []
    for is_prepared in (True, False):
        engine, conversation = start(), Conversation(SYSTEM)
        settings = Settings({"temperature": 1}, seed=seed, max_tokens=30)
        for _ in range(20):
            list(ask(conversation, "Tell me about rivers.", engine, settings))
            if is_prepared:
                prepare(conversation, engine, settings)
        said.append([turn.message.content for turn in conversation.turns])
    assert said[0] == said[1]
