"""What Enter still has to wait for, when the draft was read while it was written: a paste, and five seconds of typing.

`python -m benchmarks.ahead [--model GGUF] [--rounds N]`.
"""

from __future__ import annotations

import argparse
import random
import re
import tempfile
import time
from pathlib import Path
from statistics import median

from benchmarks.report import HEADER, Row
from tests.e2e.terminal import Terminal

_N_TOKENS, _SECONDS, _BAR = 400, 5.0, 0.15
_WORDS = ("river", "stone", "garden", "window", "letter", "morning", "paper", "engine", "silver", "question", "north")
_TYPED = " and now say what is the most surprising of all that"
_FIRST_TOKEN = re.compile(r"first ([\d.]+) s")


def measure(model: Path, rounds: int) -> list[Row]:
    """First tokens, with the draft read ahead and without, by turns."""
    with tempfile.TemporaryDirectory() as home:
        ahead, cold = [], []
        for number in range(rounds):
            ahead.append(_first_token(model, Path(home), number, reads="true"))
            cold.append(_first_token(model, Path(home), number, reads="false"))
    figure = f"{median(ahead):.2f} s against {median(cold):.2f} s"
    what = f"Enter after a paste of {_N_TOKENS} tokens and {_SECONDS:.0f} s of typing, {model.stem}"
    return [Row(what, "read at Enter", median(ahead) / median(cold), "<=", _BAR, figure)]


def _first_token(model: Path, home: Path, number: int, *, reads: str) -> float:
    """Seconds from Enter to the first token, as `--verbose` says it, in a chat of its own."""
    words = random.Random(number)
    paste = " ".join(words.choice(_WORDS) for _ in range(_N_TOKENS))  # each is a token
    options = ("-m", str(model), "-n", "4", "-p", "none", "--no-save", "--verbose")
    terminal = Terminal(home, *options, columns=200, LLAMACHAT_PREFILL_TYPING=reads, LLAMACHAT_CACHE="0")
    try:
        terminal.wait_for_prompt()
        terminal.wait_for("0/")  # loaded
        terminal.type(f"\x1b[200~{paste}\x1b[201~")
        for key in _TYPED:
            terminal.type(key)
            terminal.read(0.001)
            time.sleep(_SECONDS / len(_TYPED))
        terminal.type("\r")
        found = None
        while not found:
            found = _FIRST_TOKEN.search(terminal.read(0.2))
        return float(found[1])
    finally:
        terminal.close()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ahead", description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="a GGUF; the bar is for the 1B shape of Llama 2")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    print(HEADER)
    for row in measure(arguments.model, arguments.rounds):
        print(row.line())


if __name__ == "__main__":
    main()
