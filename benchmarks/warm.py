"""One-shots with an engine that stayed: the first byte of `llamachat "ten words"`, against one that starts cold.

`python -m benchmarks.warm [--model GGUF] [--rounds N]`. Whole processes, from their start to the first byte on stdout,
cold and warm in turn with other words each time; the model is in the page cache, and nothing is kept on the disk. No
limit is set, so that a cold one loads a large model as for an answer of the usual length.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import median

from benchmarks.report import Row, in_seconds, print_measured

BAR = 0.1
_WORDS = ("river", "stone", "garden", "window", "letter", "morning", "paper", "engine", "silver", "question", "north")
_LLAMACHAT = (sys.executable, "-m", "llamachat")


def measure(model: Path, rounds: int) -> Iterator[Row]:
    """The bar."""
    with tempfile.TemporaryDirectory() as home:
        plain = {**os.environ, "LLAMACHAT_CACHE": "0"}
        cold = {**plain, "LLAMACHAT_HOME": f"{home}/cold", "LLAMACHAT_ENGINE_KEEP_WARM": "0"}
        warm = {**plain, "LLAMACHAT_HOME": f"{home}/warm", "LLAMACHAT_ENGINE_KEEP_WARM": "10 min"}
        words = random.Random(0)
        _first_byte(model, words, warm)  # leaves the engine
        try:
            found = [(_first_byte(model, words, cold), _first_byte(model, words, warm)) for _ in range(rounds)]
        finally:
            subprocess.run([*_LLAMACHAT, "doctor", "--stop-engines"], env=warm, check=True, stdout=subprocess.DEVNULL)
    before, after = zip(*found, strict=True)
    yield Row(
        f"first byte of a one-shot of 10 words, warm engine, {model.stem}", "cold",
        median(warm / cold for cold, warm in found), "<=", BAR,
        f"{in_seconds(after)}, cold {in_seconds(before)}, of {rounds}",
    )  # fmt: skip


def _first_byte(model: Path, words: random.Random, environment: Mapping[str, str]) -> float:
    """Seconds from the start of the process."""
    question = " ".join(words.choices(_WORDS, k=10))
    command = [*_LLAMACHAT, "-q", "-m", str(model), question]
    started = time.perf_counter()
    with subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        os.read(process.stdout.fileno(), 1)
        seconds = time.perf_counter() - started
        process.send_signal(signal.SIGINT)
        process.stdout.read()
    return seconds


def main() -> None:
    print_measured(measure, "python -m benchmarks.warm", __doc__)


if __name__ == "__main__":
    main()
