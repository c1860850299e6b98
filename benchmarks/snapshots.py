"""What was read before: the first token of a fresh process that finds it on the disk, against one that does not.

`python -m benchmarks.snapshots [--model GGUF] [--rounds N] [--tokens N]`. Processes are the engine's own, one after the
other, with the model in the page cache and loaded before the clock starts; answers may be noise.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median

from benchmarks.report import HEADER, Row, in_seconds
from benchmarks.starter import starter
from llamachat.cache import Cache
from llamachat.engine.base import Finished, Request
from llamachat.engine.ladder import Ladder
from llamachat.engine.process import EngineProcess
from llamachat.types import LoadOptions, Message, Role

BAR_GOES_ON, BAR_DOCUMENT = 0.05, 0.15
_QUOTA = 4 * 10**9
_N_ANSWER = 16
_WORDS = ("river", "stone", "garden", "window", "letter", "morning", "paper", "engine", "silver", "question", "north")


def measure(model: Path, rounds: int, n_tokens: int = 1000) -> Iterator[Row]:
    """The bars of a chat that goes on, and of a document that is asked about again; then what it costs."""
    found = [_round(model, n_tokens, seed) for seed in range(rounds)]
    cold, goes_on, document, closing, plain, n_bytes = map(list, zip(*found, strict=True))
    spread = f"cold {in_seconds(cold)}, of {rounds}"
    name = model.stem
    yield Row(
        f"first token of a chat of {n_tokens:,} tokens that goes on, {name}", "reading it",
        median(after / before for after, before in zip(goes_on, cold, strict=True)), "<=", BAR_GOES_ON,
        f"{1000 * median(goes_on):.0f} ms, {spread}",
    )  # fmt: skip
    yield Row(
        f"first token of another question on a document of {n_tokens:,} tokens, {name}", "the first question's",
        median(after / before for after, before in zip(document, cold, strict=True)), "<=", BAR_DOCUMENT,
        f"{1000 * median(document):.0f} ms, {spread}",
    )  # fmt: skip
    yield Row(
        f"reading {n_tokens:,} tokens and closing, {name}", "the same with nothing kept",
        median((read + close) / without for read, close, without in zip(cold, closing, plain, strict=True)), "<=", 1.1,
        f"closing {1000 * median(closing):.0f} ms, {median(n_bytes) / 1e6:.0f} MB written",
    )  # fmt: skip


def _round(model: Path, n_tokens: int, seed: int) -> tuple[float, float, float, float, float, int]:
    """Seconds: cold, going on, another question, closing after the cold one, cold and closing without; bytes."""
    words = " ".join(random.Random(seed).choices(_WORDS, k=n_tokens - 30))
    question = Message(Role.USER, f"{words}\n\nWhat is the third word of all these?")
    with tempfile.TemporaryDirectory() as folder:
        options = LoadOptions(path=str(model), n_ctx=4096, cache_folder=f"{folder}/kv", cache_bytes=_QUOTA)
        answer, cold, closing = _ask(options, [question])
        n_bytes = Cache(Path(folder, "kv")).usage().n_bytes
        follow_up = [question, answer, Message(Role.USER, "And which word comes after it?")]
        _, goes_on, _ = _ask(options, follow_up)
        _, document, _ = _ask(options, [replace(question, content=f"{words}\n\nHow often is there a river in it?")])
        _, without, closing_without = _ask(replace(options, cache_folder=None), [question])
    return cold, goes_on, document, closing, without + closing_without, n_bytes


def _ask(options: LoadOptions, messages: Sequence[Message]) -> tuple[Message, float, float]:
    """The answer of a fresh engine; seconds to its first token, and of closing the engine."""
    with tempfile.TemporaryDirectory() as folder:
        engine = EngineProcess(options, log=Path(folder) / "log", ladder=Ladder(Path(folder) / "ladder"))
        try:
            for _ in engine.wait_until_loaded():
                pass
            request = Request(tuple(messages), {"temperature": 0.7}, max_tokens=_N_ANSWER, owner="benchmark")
            events = list(engine.reply(request))
        finally:
            started = time.perf_counter()
            engine.close()
            closing = time.perf_counter() - started
    finished = events[-1]
    assert isinstance(finished, Finished)
    text = "".join(getattr(event, "text", "") for event in events)
    answer = Message(Role.ASSISTANT, text, generated=True, tokens=finished.tokens)
    return answer, finished.timings.first_token or finished.timings.prefill, closing  # the first may be its end


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.snapshots", description=__doc__)
    parser.add_argument("--model", type=Path, default=starter())
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=1000)
    arguments = parser.parse_args()
    print(HEADER)
    for row in measure(arguments.model, arguments.rounds, arguments.tokens):
        print(row.line(), flush=True)


if __name__ == "__main__":
    main()
