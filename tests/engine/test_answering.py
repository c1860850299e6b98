"""A Reply with several seeds, by a real model in this process: the frames that come of it."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from pathlib import Path

import msgspec
import pytest

from llamachat.engine.answering import reply
from llamachat.engine.protocol import Done, PrefillProgress, Reply, TextDelta
from llamachat.engine.ready import Ready
from llamachat.engine.turns import Turns
from llamachat.llama.branches import Branches
from llamachat.llama.lib import AbortFlag, C, Log
from llamachat.types import FinishReason, LoadOptions, Message, Role, Sampling

EOS = 2
FRAME = Reply(
    id=1,
    messages=(Message(Role.USER, "Tell me of the sea."),),
    sampling=Sampling(logit_bias=((EOS, -1e9),)),
    seeds=(7, 8, 9),
    exact=True,
    max_tokens=12,
    stops=(),
    open_answer=False,
    raw_tags=False,
    shift=False,
)
ALONE = Turns(None, AbortFlag())


@pytest.fixture(scope="module")
def ready(tiny_model) -> Ready:
    log = Log(lambda _text: None)
    C.llama_backend_init()
    ready = Ready.load(LoadOptions(path=str(tiny_model), n_threads=1, n_ctx=256), AbortFlag(), log, lambda *_: None)
    yield ready
    ready.session.close()
    ready.model.close()


def answered(ready: Ready, frame: Reply = FRAME, hear=None, turns: Turns = ALONE) -> list:
    frames = []

    def send(sent) -> None:
        frames.append(sent)
        if hear:
            hear(sent)

    with turns.taken(print) as turn:
        reply(frame, ready, send, turn)
    return frames


def texts(frames) -> dict[int, str]:
    found: dict[int, str] = defaultdict(str)
    for frame in frames:
        if isinstance(frame, TextDelta):
            found[frame.index] += frame.text
    return dict(found)


def ends(frames) -> dict[int, Done]:
    return {frame.index: frame for frame in frames if isinstance(frame, Done)}


def test_there_is_an_answer_for_each_seed_and_one_prefill(ready):
    frames = answered(ready)
    assert sorted(texts(frames)) == sorted(ends(frames)) == [0, 1, 2]
    assert len(set(texts(frames).values())) == 3
    assert all(end.reason is FinishReason.LENGTH for end in ends(frames).values())
    assert all(end.usage.completion_tokens == len(end.tokens.ids) == 12 for end in ends(frames).values())
    reading = [frame for frame in frames if isinstance(frame, PrefillProgress)]
    assert reading == frames[: len(reading)]


def test_the_same_seeds_in_the_same_number_repeat(ready):
    frames = answered(ready)
    answered(ready, msgspec.structs.replace(FRAME, seeds=(3,), max_tokens=30))
    assert texts(answered(ready)) == texts(frames)


def test_no_text_comes_after_the_end_of_its_answer(ready):
    ended: set[int] = set()
    for frame in answered(ready):
        if isinstance(frame, TextDelta):
            assert frame.index not in ended
        elif isinstance(frame, Done):
            ended.add(frame.index)
    assert ended == {0, 1, 2}


def test_a_stop_string_ends_the_answer_that_says_it(ready):
    whole = texts(answered(ready))
    others = whole[0] + whole[2]
    stop = next(piece for start in range(2, 40) if (piece := whole[1][start : start + 4]) not in others)
    frames = answered(ready, msgspec.structs.replace(FRAME, stops=(stop,)))
    assert texts(frames)[1] == whole[1][: whole[1].index(stop)]
    assert ends(frames)[1].reason is FinishReason.STOP
    assert ends(frames)[1].tokens is None
    assert texts(frames)[0] == whole[0]


def test_the_next_prompt_reuses_the_answer_that_was_picked(ready):
    frames = answered(ready, msgspec.structs.replace(FRAME, exact=False))
    picked = ends(frames)[2]
    messages = (
        *FRAME.messages,
        Message(Role.ASSISTANT, texts(frames)[2], generated=True, tokens=picked.tokens),
        Message(Role.USER, "Go on."),
    )
    following = answered(ready, msgspec.structs.replace(FRAME, messages=messages, seeds=(1,), exact=False))
    usage = ends(following)[0].usage
    assert usage.reused_tokens == picked.usage.prompt_tokens + picked.usage.completion_tokens - 1


def test_an_abort_ends_those_that_go_on_with_what_they_said(ready):
    def hear(frame) -> None:
        if isinstance(frame, TextDelta) and frame.index == 2:
            ready.session.abort.raise_()

    frames = answered(ready, hear=hear)
    ready.session.abort.lower()
    assert {end.reason for end in ends(frames).values()} == {FinishReason.INTERRUPTED}
    assert sorted(ends(frames)) == [0, 1, 2]
    assert all(0 < end.usage.completion_tokens < 12 for end in ends(frames).values())


def test_an_abort_before_the_prompt_is_evaluated_ends_all_without_a_word(ready):
    ready.session.abort.raise_()
    frames = answered(ready)
    ready.session.abort.lower()
    assert texts(frames) == {}
    assert [end.reason for end in ends(frames).values()] == [FinishReason.INTERRUPTED] * 3


def test_a_model_that_cannot_branch_answers_one_after_another(ready, monkeypatch):
    alone = {seed: texts(answered(ready, msgspec.structs.replace(FRAME, seeds=(seed,))))[0] for seed in FRAME.seeds}
    monkeypatch.setattr(Branches, "open", lambda *_: pytest.fail("it branched"))
    monkeypatch.setattr(ready.session._branches, "most", 0)
    frames = answered(ready)
    assert texts(frames) == {0: alone[7], 1: alone[8], 2: alone[9]}
    order = [frame.index for frame in frames if isinstance(frame, TextDelta | Done)]
    assert order == sorted(order)


class Other:
    """Another llamachat, which waits for its turn once it is told, and then has it for a second."""

    def __init__(self, place: Path) -> None:
        self.had: tuple[float, float] | None = None
        self._turns = Turns(place, AbortFlag())
        self._waits = threading.Event()
        self._thread = threading.Thread(target=self._take)

    def queue(self) -> None:
        self._thread.start()
        self._waits.wait()

    def join(self) -> None:
        self._thread.join()

    def _take(self) -> None:
        with self._turns.taken(lambda _seconds: self._waits.set()):
            since = time.monotonic()
            time.sleep(1)
            self.had = since, time.monotonic()


@pytest.mark.parametrize("kind", [PrefillProgress, TextDelta])
def test_what_takes_long_lets_another_have_a_turn_and_does_not_count_it(ready, tmp_path, monkeypatch, kind):
    monkeypatch.setattr(ready.session, "chunk", 16)  # several batches
    frame = msgspec.structs.replace(FRAME, seeds=(7,), max_tokens=100)
    ready.session.forget()
    whole = texts(answered(ready, frame))
    ready.session.forget()
    other, arrived = Other(tmp_path / "turns"), []

    def hear(sent) -> None:
        if isinstance(sent, kind):
            if not arrived:
                other.queue()
            arrived.append(time.monotonic())

    started = time.monotonic()
    frames = answered(ready, frame, hear, Turns(tmp_path / "turns", AbortFlag(), long=0))
    elapsed = time.monotonic() - started
    other.join()
    since, until = other.had
    assert arrived[0] < since
    assert until <= arrived[-1]  # it went on, when the other had ended
    assert not any(since < at < until for at in arrived)
    assert texts(frames) == whole
    timings = ends(frames)[0].timings
    assert timings.prefill + timings.decode < elapsed - 1
    assert (timings.prefill if kind is PrefillProgress else timings.decode) < elapsed - 1
