"""Three answers in one batch against three one after another, and how soon Ctrl-C ends the batch.

`python -m benchmarks.candidates [--model GGUF] [--rounds N]`.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import threading
import time
from pathlib import Path
from statistics import median

from benchmarks.report import HEADER, Row
from benchmarks.starter import starter
from llamachat.engine.base import Finished, Request
from llamachat.engine.ladder import Ladder
from llamachat.engine.process import EngineProcess
from llamachat.types import FinishReason, LoadOptions, Message, Role

_N, _N_TOKENS = 3, 64
_EOS = 2  # of the starter and of Llama 2: kept out, so that every answer is as long
_SAMPLING = {"temperature": 0.8, "logit_bias": ((_EOS, -1e9),)}
_QUESTION = Message(Role.USER, "Tell me what the children saw from the harbour wall, in many small details. " * 8)


def measure(model: Path, rounds: int) -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        options = LoadOptions(path=str(model), n_ctx=2048)
        engine = EngineProcess(options, log=Path(folder) / "log", ladder=Ladder(Path(folder) / "ladder"))
        try:
            _seconds(engine, 1, 1)  # loads, and reads the prompt
            pairs = [(_seconds(engine, _N, _N_TOKENS), _seconds_apart(engine)) for _ in range(rounds)]
            waits = [_wait(engine, random.uniform(0.1, 1.0)) for _ in range(2 * rounds)]
        finally:
            engine.close()
    together, apart = (median(each) for each in zip(*pairs, strict=True))
    ratio = median(one / other for one, other in pairs)
    what = f"{_N} answers of {_N_TOKENS} tokens in one batch, {model.stem}"
    stopped = f"median {median(waits):.0f} ms of {len(waits)}"
    return [
        Row(what, "one after another", ratio, "<=", 1, f"{together:.2f} and {apart:.2f} s"),
        Row(f"interrupt to the end of all, worst in ms, {model.stem}", "-", max(waits), "<=", 200, stopped),
    ]


def _seconds_apart(engine: EngineProcess) -> float:
    return sum(_seconds(engine, 1, _N_TOKENS) for _ in range(_N))


def _seconds(engine: EngineProcess, n: int, n_tokens: int) -> float:
    started = time.perf_counter()
    events = list(engine.reply(Request((_QUESTION,), _SAMPLING, max_tokens=n_tokens, n=n)))
    ends = [event for event in events if isinstance(event, Finished)]
    assert [end.usage.completion_tokens for end in ends] == [n_tokens] * n
    return time.perf_counter() - started


def _wait(engine: EngineProcess, seconds: float) -> float:
    """Milliseconds from an interrupt, so many seconds into a series, to the end of all its answers."""
    pressed = 0.0

    def press() -> None:
        nonlocal pressed
        pressed = time.perf_counter()
        engine.interrupt()

    timer = threading.Timer(seconds, press)
    timer.start()
    ends = [event for event in engine.reply(Request((_QUESTION,), _SAMPLING, n=_N)) if isinstance(event, Finished)]
    assert [end.reason for end in ends] == [FinishReason.INTERRUPTED] * _N
    return 1000 * (time.perf_counter() - pressed)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.candidates", description=__doc__)
    parser.add_argument("--model", type=Path, default=None, help="a GGUF; the starter model")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    print(HEADER)
    for row in measure(arguments.model or starter(), arguments.rounds):
        print(row.line())


if __name__ == "__main__":
    main()
