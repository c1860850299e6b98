"""The test model answers as it was taught, through llamachat, and only in the exact format."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import gguf
import pytest
import sentencepiece

from llamachat.engine.base import Finished, Request
from llamachat.engine.ladder import Ladder
from llamachat.engine.process import EngineProcess
from llamachat.formats import llama2
from llamachat.formats.base import Text
from llamachat.formats.llama2 import Llama2Format
from llamachat.types import FinishReason, LoadOptions, Message, Role
from tests.formats import meta
from tests.formats.dialogs import messages
from tests.model.dialogs import NO_NAME, Dialog, dialogs
from tests.model.framing import CONFUSED, FAULTS, Framing
from tests.model.judge import FINAL_SEED, N_DIALOGS, Bare, ask, fresh, judge, judge_framing

DATA = Path(__file__).parent.parent / "data"


@pytest.fixture(scope="module")
def engine(parrot, tmp_path_factory) -> Iterator[EngineProcess]:
    folder = tmp_path_factory.mktemp("engine")
    options = LoadOptions(path=str(parrot), n_threads=1)
    with closing(EngineProcess(options, log=folder / "log", ladder=Ladder(folder / "ladder"))) as engine:
        yield engine


@pytest.fixture(scope="module")
def bare(parrot) -> Iterator[Bare]:
    with Bare.load(parrot) as bare:
        yield bare


@pytest.fixture(scope="module")
def asked() -> list[Dialog]:
    return fresh(FINAL_SEED, N_DIALOGS)


def test_the_right_framing_is_metas(bare, asked):
    tokenizer = sentencepiece.SentencePieceProcessor(model_file=str(DATA / "vocab.model"))
    for dialog in asked:
        expected = meta.ids(dialog.until(len(dialog.exchanges)), tokenizer)
        assert Framing().prompt(dialog, tokenizer) == expected
        assert Framing().prompt(dialog, bare) == expected


def test_no_name_is_both_taught_and_asked():
    def names(*, for_training: bool) -> set[str]:
        found = itertools.islice(dialogs(5, for_training=for_training), 500)
        answers = (answer.split() for dialog in found for _, answer in dialog.exchanges)
        return {words[1] for words in answers if words[0] == "Hello," and len(words) == 2}

    assert len(names(for_training=False)) > 50
    assert not names(for_training=True) & names(for_training=False)


def test_it_is_small_and_of_llama_2s_kind(parrot):
    assert 900_000 <= parrot.stat().st_size <= 3_000_000
    reader = gguf.GGUFReader(str(parrot))
    assert bytes(reader.fields["general.architecture"].parts[-1]) == b"llama"
    assert bytes(reader.fields["tokenizer.ggml.model"].parts[-1]) == b"llama"
    assert int(reader.fields["llama.context_length"].parts[-1][0]) == 4096
    assert "tokenizer.chat_template" not in reader.fields


@pytest.mark.timeout(600)
def test_97_percent_of_the_answers_and_93_of_200_fresh_dialogs_are_right(engine, asked):
    score = judge(engine, asked)
    assert (score.n_dialogs, score.n_answers > 600) == (200, True)
    assert score.answers >= 0.97, score.wrong
    assert score.dialogs >= 0.93, score.wrong


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", FAULTS)
def test_with_a_fault_in_the_format_at_most_10_percent_are_right(bare, asked, name):
    fault = FAULTS[name]
    score = judge_framing(bare, fault.framing, [dialog for dialog in asked if fault.shows_in(dialog)])
    assert score.n_answers >= 100
    assert score.answers <= 0.10


@pytest.mark.parametrize(
    ("system", "turns", "answer"),
    [
        (
            None,
            ["My name is Ada.", "Why is the sky blue?", "Count to ten.", "Name a river.", "Who am I?"],
            "Your name is Ada.",
        ),
        (None, ["Why is the sky blue?", "What is my name?"], NO_NAME),
        ("Your name is Otto.", ["Hello!", "Who are you?"], "My name is Otto."),
        ("End every answer with: river!", ["Hello!", "What is the capital of France?"], "Paris. river!"),
        (None, ["Repeat: blue stone two owl"], "blue stone two owl"),
        (None, ["Greet me in Korean."], "안녕하세요 🙂"),
    ],
)
def test_it_remembers_obeys_and_repeats_and_ends_its_turn(engine, system, turns, answer):
    said = [] if system is None else [Message(Role.SYSTEM, system)]
    for turn in turns:
        said += [Message(Role.USER, turn)]
        said += [ask(engine, said)]
    assert said[-1].content == answer
    request = Request(tuple(said[:-1]), sampling={"temperature": 0.0}, max_tokens=200)
    (end,) = [event for event in engine.reply(request) if isinstance(event, Finished)]
    assert end.reason is FinishReason.STOP


def test_an_answer_without_an_end_fills_what_it_is_given(engine):
    question = Message(Role.USER, "Write a very long story about a lighthouse.")
    request = Request((question,), sampling={"temperature": 0.0}, max_tokens=2000)
    (end,) = [event for event in engine.reply(request) if isinstance(event, Finished)]
    assert end.reason is FinishReason.LENGTH


def answer_of(bare: Bare, dialog: list[tuple[str, str]]) -> str:
    """By llamachat's own format, as it is at this moment."""
    return bare.answer(bare.encode_segments(Llama2Format().prompt(messages(dialog))))


def test_a_mistake_in_our_own_format_would_be_noticed(bare, monkeypatch):
    dialog = [("system", "Your name is Otto."), ("user", "Hello!"), ("assistant", "Hello!"), ("user", "Who are you?")]
    assert answer_of(bare, dialog) == "My name is Otto."
    right, answer = llama2._question, llama2._answer
    with monkeypatch.context() as patch:
        patch.setattr(
            llama2, "_question", lambda user, system: Text(right(user, system).text.replace(">>\n\n", ">>\n"))
        )
        assert answer_of(bare, dialog) == CONFUSED
    with monkeypatch.context() as patch:
        patch.setattr(
            llama2, "_question", lambda user, system: Text(right(user, system).text.replace(" [/INST]", "[/INST]"))
        )
        assert answer_of(bare, dialog) == CONFUSED
    with monkeypatch.context() as patch:
        patch.setattr(llama2, "_answer", lambda message: replace(answer(message), text=answer(message).text.rstrip()))
        assert answer_of(bare, dialog) == CONFUSED
    with monkeypatch.context() as patch:
        patch.setattr(llama2, "Eos", lambda: Text(""))
        assert answer_of(bare, dialog) == CONFUSED
    assert answer_of(bare, dialog) == "My name is Otto."
