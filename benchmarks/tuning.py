"""What was measured to suit a model, against the plain default; ten words of a large one, repacked and not.

`python -m benchmarks.tuning [--model GGUF] [--large GGUF] [--rounds N]`. The model is tuned in this run. Then both ways
answer the same questions in turns, in engines that live side by side. Answers may be noise.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from statistics import median

from benchmarks.report import HEADER, Row
from benchmarks.starter import starter
from llamachat.engine.base import Finished, Request
from llamachat.engine.ladder import Ladder
from llamachat.engine.process import EngineProcess
from llamachat.engine.protocol import TuneDone
from llamachat.engine.tunings import Errand, Tunings, apply, in_words, repacks
from llamachat.types import LoadOptions, Message, Role, Tuned

BAR_NO_WORSE, BAR_WAIT = 1.02, 0.1
_N_PROMPT, _N_ANSWER, _N_WORDS, _N_TEN_WORDS = 400, 48, 6, 13
_WORDS = ("river", "stone", "garden", "window", "letter", "morning", "paper", "engine", "silver", "question", "north")


def measure(model: Path, rounds: int) -> Iterator[Row]:
    """Reading and writing as tuned, against the default; then what a request waits for that comes while measuring."""
    with tempfile.TemporaryDirectory() as folder:
        tunings = Tunings(Path(folder) / "tunings.json")
        found = tune(model, folder, tunings)
        assert found.tuned is not None
        print(f"{model.stem}: {in_words(found.tuned)}", file=sys.stderr, flush=True)
        options = LoadOptions(str(model), n_ctx=4096)
        plain, tuned = _in_turns([options, apply(options, tunings.known(str(model)))], folder, rounds)
    for what, index in (("reading", 0), ("writing", 1)):
        ratios = [after[index] / before[index] for before, after in zip(plain, tuned, strict=True)]
        rate = median(1 / each[index] for each in tuned)
        figure = f"{rate:.1f} tokens/s, ratios {min(ratios):.2f} to {max(ratios):.2f}"
        yield Row(f"{what} as tuned, {model.stem}", "the plain default", median(ratios), "<=", BAR_NO_WORSE, figure)
    yield _wait(model, rounds)


def one_shots(large: Path, rounds: int) -> Iterator[Row]:
    """Ten words from a fresh engine: its weights laid out anew, or as they lie in the file."""
    with tempfile.TemporaryDirectory() as folder:
        tuned = tune(large, folder, Tunings(Path(folder) / "tunings.json")).tuned
        options = LoadOptions(str(large), n_ctx=4096)
        seconds: dict[bool, list[float]] = {True: [], False: []}
        for number in range(rounds):
            for repack in (True, False) if number % 2 else (False, True):
                seconds[repack].append(_once(replace(options, use_extra_buffers=repack), folder, number))
    ratios = [plain / repacked for plain, repacked in zip(seconds[False], seconds[True], strict=True)]
    chosen = _choice(tuned)
    figure = f"{median(seconds[False]):.1f} s and {median(seconds[True]):.1f} s; llamachat {chosen}"
    yield Row(f"ten words, not repacked, {large.stem}", "repacked", median(ratios), "<=", 1.0, figure)


def _choice(tuned: Tuned | None) -> str:
    if tuned is None:
        return "does not know yet"
    return "repacks" if repacks(tuned, Errand(_N_WORDS, _N_TEN_WORDS)) else "does not repack"


def _engine(options: LoadOptions, folder: str, tunings: Tunings | None = None) -> EngineProcess:
    return EngineProcess(options, log=Path(folder) / "log", ladder=Ladder(Path(folder) / "ladder"), tunings=tunings)


def tune(model: Path, folder: str, tunings: Tunings) -> TuneDone:
    """Measure what suits a model, and remember it."""
    found = None
    with closing(_engine(LoadOptions(str(model), n_ctx=4096), folder, tunings)) as engine:
        for event in engine.tune():
            if isinstance(event, TuneDone):
                found = event
    assert found is not None
    return found


def _in_turns(
    ways: Sequence[LoadOptions], folder: str, rounds: int
) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
    """Of each way seconds a token, read and written, round for round."""
    found: tuple[list[tuple[float, float]], list[tuple[float, float]]] = ([], [])
    with ExitStack() as stack:
        engines = [stack.enter_context(closing(_engine(way, folder))) for way in ways]
        for number in range(rounds + 1):  # the first warms up
            for index in (0, 1) if number % 2 else (1, 0):
                pair = _ask(engines[index], _N_PROMPT, _N_ANSWER, number)
                if number:
                    found[index].append(pair)
    return found


def _ask(engine: EngineProcess, n_words: int, n_answer: int, seed: int) -> tuple[float, float]:
    """Seconds a token: reading a prompt of so many words, and writing."""
    question = " ".join(random.Random(seed).choices(_WORDS, k=n_words))
    request = Request((Message(Role.USER, question),), {"temperature": 0.7}, seed=seed, max_tokens=n_answer)
    *_, finished = engine.reply(request)
    assert isinstance(finished, Finished)
    n_read = finished.usage.prompt_tokens - finished.usage.reused_tokens
    return finished.timings.prefill / n_read, finished.timings.decode / max(1, finished.usage.completion_tokens)


def _once(options: LoadOptions, folder: str, seed: int) -> float:
    """Seconds of an engine from its start to ten words said."""
    started = time.perf_counter()
    with closing(_engine(options, folder)) as engine:
        _ask(engine, _N_WORDS, _N_TEN_WORDS, seed)
        return time.perf_counter() - started


def _wait(model: Path, rounds: int) -> Row:
    """What a request waits for that comes while a chat is being measured, at random moments."""
    waits = []
    with tempfile.TemporaryDirectory() as folder:
        options = LoadOptions(str(model), n_ctx=4096, measures=True)
        with closing(_engine(options, folder, Tunings(Path(folder) / "tunings.json"))) as engine:
            _ask(engine, _N_WORDS, _N_TEN_WORDS, 0)
            for number in range(rounds):
                time.sleep(1.2 + random.Random(number).random())
                asked = time.perf_counter()
                engine.count(f"hello {number}")
                waits.append(time.perf_counter() - asked)
    figure = f"worst in s, median {1000 * median(waits):.0f} ms of {rounds}"
    return Row(f"a request while a chat is being measured, {model.stem}", "-", max(waits), "<=", BAR_WAIT, figure)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tuning", description=__doc__)
    parser.add_argument("--model", type=Path, default=starter())
    parser.add_argument("--large", type=Path, default=None, help="a GGUF whose repacking takes seconds")
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    print(HEADER)
    for row in measure(arguments.model, arguments.rounds):
        print(row.line(), flush=True)
    if arguments.large:
        for row in one_shots(arguments.large, arguments.rounds):
            print(row.line(), flush=True)


if __name__ == "__main__":
    main()
