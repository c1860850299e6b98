"""Two llamachats at once on one machine: whether they take turns at the cores, or halve them.

`python -m benchmarks.turns [--model GGUF] [--rounds N]`. The same two one-shots are asked at the same moment, then one
after the other; for comparison at the same moment with `engine.take_turns` off, too.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from operator import truediv
from pathlib import Path
from statistics import median

from benchmarks.report import Row, in_seconds, print_measured

BAR = 1.0
_ONE_SHOT = (sys.executable, "-m", "llamachat", "-q", "--no-save", "-n", "100", "-t", "0")
_QUESTIONS = ("Tell a long story about a river.", "Tell a long story about a mountain.")


def measure(model: Path, rounds: int) -> Iterator[Row]:
    """Until both have ended: at once with turns, without, and one after the other."""
    with tempfile.TemporaryDirectory() as home:
        plain = {**os.environ, "LLAMACHAT_HOME": home, "LLAMACHAT_CACHE": "0"}
        halved = {**plain, "LLAMACHAT_ENGINE_TAKE_TURNS": "false"}
        found = [(_seconds(model, plain, at_once=True), _seconds(model, halved, at_once=True),
                  _seconds(model, plain, at_once=False)) for _ in range(rounds)]  # fmt: skip
    turns, halves, after = zip(*found, strict=True)
    ratio, halved_ratio = (median(map(truediv, seconds, after)) for seconds in (turns, halves))
    figure = (
        f"{in_seconds(turns)}, one after the other {in_seconds(after)}; without turns {halved_ratio:.2f}, of {rounds}"
    )
    yield Row(f"two one-shots at once, {model.stem}", "one after the other", ratio, "<=", BAR, figure)


def _seconds(model: Path, environment: Mapping[str, str], *, at_once: bool) -> float:
    """Until the answers to both questions are there."""
    started = time.perf_counter()
    processes = []
    for question in _QUESTIONS:
        command = [*_ONE_SHOT, "-m", str(model), question]
        process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        processes.append(process)
        if not at_once:
            process.wait()
    assert [process.wait() for process in processes] == [0, 0]
    return time.perf_counter() - started


def main() -> None:
    print_measured(measure, "python -m benchmarks.turns", __doc__)


if __name__ == "__main__":
    main()
