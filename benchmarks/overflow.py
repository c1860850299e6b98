"""The turn before which others leave the context: what its first token takes, and what that costs in quality.

`python -m benchmarks.overflow [--model GGUF] [--quality GGUF] [--turns N]`. The first model is for the time: its
answers may be noise. The second, the starter where none is named, is for the quality.
"""

from __future__ import annotations

import argparse
import math
import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median

import numpy as np

from benchmarks.report import HEADER, Row
from benchmarks.starter import starter
from llamachat.chat.conversation import Conversation
from llamachat.chat.turn import Settings, ask, prepare
from llamachat.engine.base import Delta, Finished, Request
from llamachat.engine.ladder import Ladder
from llamachat.engine.process import EngineProcess
from llamachat.llama.lib import AbortFlag, C, Log
from llamachat.llama.model import Model
from llamachat.llama.session import Session
from llamachat.types import LoadOptions, Message, Role

SYSTEM = "You are a careful assistant. Answer in a few plain sentences, and say so when you do not know something."
_WORDS = ("river", "stone", "garden", "window", "letter", "morning", "paper", "engine", "silver", "question", "north")
_PAUSE = 3.0  # seconds between an answer and the next question, in which room is made
BAR = 1.5
_N_SAMPLES, _N_ANSWER = 6, 120  # conversations, and tokens of an answer in each
_STATES = ("all turns", "made anew", "moved", "moved twice")


@dataclass(frozen=True)
class Way:
    """How room is made."""

    name: str
    shift: bool
    ahead: bool


WAYS = (
    Way("the cache is moved", shift=True, ahead=False),
    Way("the cache is moved, ahead", shift=True, ahead=True),
    Way("evaluated anew", shift=False, ahead=False),
)


def measure(options: LoadOptions, n_turns: int) -> Iterator[Row]:
    """First tokens of overflowing turns against those of the usual turns between them."""
    for way in WAYS:
        usual, overflowing = _first_tokens(options, way, n_turns)
        figure = f"{1000 * median(overflowing):.0f} ms of {len(overflowing)}, usual {1000 * median(usual):.0f} ms"
        bar = BAR if way.shift else math.inf
        what = f"first token of an overflowing turn, {way.name}, {Path(options.path).stem}"
        yield Row(what, "a usual turn", median(overflowing) / median(usual), "<=", bar, figure)


def _first_tokens(options: LoadOptions, way: Way, n_turns: int) -> tuple[list[float], list[float]]:
    """Seconds from the question to the first word: of usual turns, and of those before which others leave."""
    usual, overflowing = [], []
    settings = Settings({"temperature": 0.7}, max_tokens=40, shift=way.shift)
    conversation, n_dropped, random_ = Conversation(SYSTEM), 0, random.Random(0)
    with tempfile.TemporaryDirectory() as folder:
        engine = EngineProcess(options, log=Path(folder) / "log", ladder=Ladder(Path(folder) / "ladder"))
        try:
            for _ in engine.wait_until_loaded():
                pass
            for _ in range(n_turns):
                seconds, finished = _turn(conversation, engine, settings, random_)
                dropped = finished.context.dropped_turns
                if dropped > n_dropped:
                    overflowing.append(seconds)
                elif dropped:
                    usual.append(seconds)
                n_dropped = dropped
                if way.ahead:
                    prepare(conversation, engine, settings)
                    time.sleep(_PAUSE)
        finally:
            engine.close()
    return usual, overflowing


def _turn(
    conversation: Conversation, engine: EngineProcess, settings: Settings, random_: random.Random
) -> tuple[float, Finished]:
    question = " ".join(random_.choices(_WORDS, k=60))
    started, first = time.perf_counter(), None
    for event in ask(conversation, question, engine, settings):
        if isinstance(event, Delta) and first is None:
            first = time.perf_counter() - started
    assert isinstance(event, Finished)
    return first or time.perf_counter() - started, event


# quality


@dataclass(frozen=True)
class Sample:
    """Prompts of one conversation before turns leave and after, and an answer that is known."""

    before: list[int]
    after: list[int]
    answer: list[int]


def quality(path: Path, threads: int | None) -> Iterator[str]:
    """Lines of a table: how likely a text is with the cache moved and with it made anew."""
    samples = list(_samples(path))
    log = Log(lambda _text: None)
    for kv_type in ("f16", "q8_0"):
        options = LoadOptions(path=str(path), kv_type=kv_type, n_threads=threads)
        model = Model.load(options, log, lambda _done, _total: None)
        found = [_compare(model, sample) for sample in samples]
        for name, figures in zip(
            ("all turns", "made anew", "moved", "moved twice"), zip(*found, strict=True), strict=True
        ):
            nll, divergence, agreement = (mean(each) for each in zip(*figures, strict=True))
            yield f"| {kv_type} | {name} | {nll:.3f} | {divergence:.4f} | {100 * agreement:.1f} % |"
        model.close()


def _samples(path: Path) -> Iterator[Sample]:
    """Questions about this project's docs, answered by them: each conversation loses its first four exchanges."""
    sections = [part for page in sorted(Path("docs").glob("*.md")) for part in page.read_text().split("\n## ")]
    sections = [part for part in sections if 400 < len(part) < 1600]
    with tempfile.TemporaryDirectory() as folder:
        engine = EngineProcess(
            LoadOptions(path=str(path), n_ctx=8192), log=Path(folder) / "log", ladder=Ladder(Path(folder) / "ladder")
        )
        try:
            for start in range(0, len(sections) - 8, (len(sections) - 8) // _N_SAMPLES + 1):
                yield _sample(engine, sections[start : start + 9])
        finally:
            engine.close()


def _sample(engine: EngineProcess, sections: Sequence[str]) -> Sample:
    def tokens(sections: Sequence[str], answer: str = "") -> list[int]:
        messages = [Message(Role.SYSTEM, SYSTEM)]
        for section in sections:
            title, _, text = section.partition("\n")
            messages += [Message(Role.USER, f"Tell me about: {title}"), Message(Role.ASSISTANT, text.strip())]
        messages = messages if answer else messages[:-1]
        return list(engine.render(Request(tuple(messages), open_answer=bool(answer), raw_tags=True)).tokens)

    before, after = tokens(sections), tokens(sections[4:])
    answer = tokens(sections[4:], answer="yes")[len(after) :][:_N_ANSWER]
    return Sample(before, after, answer)


def _compare(model: Model, sample: Sample) -> list[tuple[float, float, float]]:
    """Negative log-likelihood a token, divergence from "made anew" and agreement with it on the likeliest token."""
    session = model.session(8192, AbortFlag())
    halfway = [*sample.after[:40], *sample.before[len(sample.before) // 4 :]]
    found = []
    for steps in (
        [sample.before],
        [sample.after],
        [sample.before, sample.after],
        [sample.before, halfway, sample.after],
    ):
        session.sync([1])
        for tokens in steps:
            session.sync(tokens, shift=True)
        found.append(_predictions(model, session, sample.answer))
    session.close()
    anew = found[1]
    rows = np.arange(len(sample.answer))
    return [
        (
            float(-each[rows, sample.answer].mean()),
            float((np.exp(anew) * (anew - each)).sum(axis=1).mean()),
            float((each.argmax(axis=1) == anew.argmax(axis=1)).mean()),
        )
        for each in found
    ]


def _predictions(model: Model, session: Session, answer: Sequence[int]) -> np.ndarray:
    """The logarithms of the probabilities before each token of the answer."""
    predictions = []
    for token in answer:
        logits = np.ctypeslib.as_array(C.llama_get_logits_ith(session.context, -1), (model.vocabulary.n_tokens,))
        logits = logits.astype(np.float64)
        predictions.append(logits - logits.max() - np.log(np.exp(logits - logits.max()).sum()))
        session.append(token)
    return np.array(predictions)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.overflow", description=__doc__)
    parser.add_argument("--model", type=Path, default=starter())
    parser.add_argument("--quality", type=Path, default=starter())
    parser.add_argument("--ctx-size", type=int, default=2048)
    parser.add_argument("--threads", type=int, default=None, help="one for each fast core")
    parser.add_argument("--turns", type=int, default=40)
    arguments = parser.parse_args()
    options = LoadOptions(path=str(arguments.model), n_ctx=arguments.ctx_size, n_threads=arguments.threads)
    print(HEADER)
    for row in measure(options, arguments.turns) if arguments.turns else ():
        print(row.line(), flush=True)
    print("\n| KV cache | context | nats a token | divergence | same likeliest token |\n|---|---|---|---|---|")
    for line in quality(arguments.quality, arguments.threads):
        print(line, flush=True)


if __name__ == "__main__":
    main()
