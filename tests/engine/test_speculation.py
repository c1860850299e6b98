"""Guessed tokens in a Reply: when they are used, what is told of them, and a draft model from load to answer."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import numpy as np
import pytest

from llamachat.engine.answering import reply
from llamachat.engine.protocol import Done, Reply, TextDelta
from llamachat.engine.ready import Ready
from llamachat.engine.turns import Turn
from llamachat.llama import pagecache
from llamachat.llama.lib import AbortFlag, C, Log
from llamachat.llama.speculative import Speculation
from llamachat.types import Drafted, FinishReason, LoadOptions, Message, Role, Sampling
from tests.llama.test_session import logits
from tests.llama.test_speculative import Free
from tests.model.judge import FINAL_SEED, fresh
from tests.model_files import write_tiny_model

LIST = "".join(f"{number}. Put {what} on the table.\n" for number, what in enumerate(
    ("apples", "bread", "milk", "butter", "eggs", "cheese", "rice", "pasta", "onions", "garlic"), start=1
))  # fmt: skip
FRAME = Reply(
    id=1,
    messages=(Message(Role.USER, f"Copy this list word for word.\n\n{LIST}"),),
    sampling=Sampling(temperature=0),
    seeds=(7,),
    exact=False,
    max_tokens=120,
    stops=(),
    open_answer=False,
    raw_tags=False,
    shift=False,
    speculate=True,
)
ALONE = Turn(lambda: None, long=0)


@pytest.fixture(scope="module")
def log() -> Log:
    C.llama_backend_init()
    return Log(lambda _text: None)


def load(log: Log, path, draft=None) -> Ready:
    options = LoadOptions(path=str(path), n_threads=1, n_ctx=1024, draft=str(draft) if draft else None)
    return Ready.load(options, AbortFlag(), log, lambda _done, _total: None)


def close(ready: Ready) -> None:
    assert ready.speculation is not None
    ready.speculation.close()
    ready.session.close()
    ready.model.close()


@pytest.fixture(scope="module")
def ready(starter, log) -> Iterator[Ready]:
    ready = load(log, starter)
    yield ready
    close(ready)


@pytest.fixture(scope="module")
def parrot_twice(parrot, log) -> Iterator[Ready]:
    """The test model, and itself to draft."""
    ready = load(log, parrot, draft=parrot)
    yield ready
    close(ready)


def answered(ready: Ready, frame: Reply) -> tuple[str, list[Done]]:
    frames: list = []
    reply(frame, ready, frames.append, ALONE)
    text = "".join(frame.text for frame in frames if isinstance(frame, TextDelta))
    return text, [frame for frame in frames if isinstance(frame, Done)]


def freely(ready: Ready) -> Ready:
    """The same on a machine where batches cost nothing, so that all is guessed that can be."""
    assert ready.speculation is not None
    model, size = ready.speculation.model, 1000 * ready.model.size_bytes
    return Ready(
        ready.model,
        ready.session,
        ready.format,
        ready.vocabulary_print,
        speculation=Speculation(ready.model.vocabulary, size, model, Free()),
    )


def test_a_copied_list_is_guessed_right_and_every_token_is_the_models_own(ready):
    """Replayed one by one, within what batching does to the last bits."""
    _, (done,) = answered(freely(ready), FRAME)
    assert done.draft is not None
    assert done.draft.accepted > 40
    assert done.draft.accepted >= 0.5 * done.draft.proposed
    assert done.tokens is not None
    _, prompt = ready.prompt(FRAME.messages, open_answer=False, raw_tags=False)
    ready.session.sync(prompt)
    gaps = []
    for token in done.tokens.ids:
        row = logits(ready.session)
        gaps.append(row.max() - row[token])
        ready.session.append(token)
    assert max(gaps) <= 0.5
    assert np.count_nonzero(gaps) <= 0.02 * len(gaps)


@pytest.mark.parametrize("temperature", [0, 1])
def test_the_test_model_says_the_same_text_with_and_without(parrot_twice, temperature):
    ready, n_right = freely(parrot_twice), 0
    for dialog in fresh(FINAL_SEED, 20):
        messages = tuple(Message(Role(role), text) for role, text in dialog.until(len(dialog.exchanges)))
        frame = msgspec.structs.replace(FRAME, messages=messages, sampling=Sampling(temperature=temperature))
        text, (done,) = answered(ready, frame)
        assert (text, done.tokens) == _without(ready, frame)
        n_right += done.draft.accepted
    assert n_right > 100


def _without(ready: Ready, frame: Reply):
    text, (done,) = answered(ready, msgspec.structs.replace(frame, speculate=False))
    assert done.draft is None
    return text, done.tokens


@pytest.mark.parametrize("changes", [{"speculate": False}, {"exact": True}, {"seeds": (7, 8)}], ids=str)
def test_without_the_wish_with_a_seed_and_for_several_answers_nothing_is_guessed(parrot_twice, changes):
    _, dones = answered(freely(parrot_twice), msgspec.structs.replace(FRAME, max_tokens=8, **changes))
    assert {done.draft for done in dones} == {None}


def test_an_answer_with_a_seed_is_what_it_was_before_guesses_were_made(parrot_twice):
    ready = freely(parrot_twice)
    messages = (Message(Role.USER, "Who are you?"),)
    exact = msgspec.structs.replace(FRAME, messages=messages, exact=True, sampling=Sampling(temperature=1))
    before = answered(ready, exact)[1][0].tokens
    answered(ready, msgspec.structs.replace(exact, exact=False))
    assert answered(ready, exact)[1][0].tokens == before


def test_a_stop_string_inside_a_draft_ends_the_text_before_it(ready):
    text, (done,) = answered(freely(ready), msgspec.structs.replace(FRAME, stops=("eggs",)))
    assert done.reason is FinishReason.STOP
    assert text.endswith("5. Put ")
    assert done.draft.accepted > 0
    _, prompt = ready.prompt(FRAME.messages, open_answer=False, raw_tags=False)
    assert ready.session.tokens[: len(prompt)] == prompt
    assert len(ready.session.tokens) == len(prompt) + done.usage.completion_tokens - 1


def test_an_interrupted_answer_tells_what_was_guessed_until_then(ready):
    frames: list = []

    def hear(frame) -> None:
        frames.append(frame)
        if isinstance(frame, TextDelta) and len(frames) > 8:
            ready.session.abort.raise_()

    reply(FRAME, freely(ready), hear, ALONE)
    ready.session.abort.lower()
    assert frames[-1].reason is FinishReason.INTERRUPTED
    assert isinstance(frames[-1].draft, Drafted)


def test_a_draft_models_context_is_not_stretched_beyond_its_training(tiny_model, log, tmp_path):
    ready = load(log, tiny_model, draft=write_tiny_model(tmp_path / "short.gguf", n_ctx=512))
    assert ready.session.n_ctx == 1024
    assert ready.speculation.model.n_ctx == 512
    assert ready.speculation.model_cost(496) is not None
    assert ready.speculation.model_cost(497) is None
    close(ready)


def test_loading_counts_the_bytes_of_both_models(parrot, log, monkeypatch):
    monkeypatch.setattr(pagecache, "_resident_fraction", lambda *_: 0.0)
    seen: list[tuple[int, int]] = []
    options = LoadOptions(path=str(parrot), n_threads=1, draft=str(parrot))
    close(Ready.load(options, AbortFlag(), log, lambda done, total: seen.append((done, total))))
    size = parrot.stat().st_size
    assert {total for _, total in seen} == {2 * size}
    assert any(done > size for done, _ in seen)
