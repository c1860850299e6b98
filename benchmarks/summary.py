"""What a turn takes before which others become a summary, against one before which they are dropped, and a usual one.

`python -m benchmarks.summary [--model GGUF] [--ctx-size N] [--threads N] [--turns N]`. The model's words may be noise.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from pathlib import Path
from statistics import median

from benchmarks.overflow import _WORDS, SYSTEM
from benchmarks.starter import starter
from llamachat.chat.budget import Overflow
from llamachat.chat.conversation import Conversation
from llamachat.chat.events import Summarised
from llamachat.chat.turn import Settings, ask
from llamachat.engine.base import Delta, Finished
from llamachat.engine.ladder import Ladder
from llamachat.engine.process import EngineProcess
from llamachat.types import LoadOptions


def measure(options: LoadOptions, overflow: Overflow, n_turns: int) -> str:
    """A row: medians over the turns before which others leave, and over the usual ones."""
    usual, leaving, summaries = [], [], []
    conversation, dice = Conversation(SYSTEM), random.Random(0)
    settings = Settings({"temperature": 0.7}, max_tokens=40, overflow=overflow)
    with tempfile.TemporaryDirectory() as folder:
        engine = EngineProcess(options, log=Path(folder) / "log", ladder=Ladder(Path(folder) / "ladder"))
        try:
            for _ in engine.wait_until_loaded():
                pass
            n_seen = 0
            for _ in range(n_turns):
                started, first, n_evaluated = time.perf_counter(), None, 0
                for event in ask(conversation, " ".join(dice.choices(_WORDS, k=60)), engine, settings):
                    if isinstance(event, Summarised):
                        summaries.append(conversation.summary.made)
                    elif isinstance(event, Delta) and first is None:
                        first = time.perf_counter() - started
                    elif isinstance(event, Finished):
                        n_evaluated = event.usage.prompt_tokens - event.usage.reused_tokens
                n_now = len(conversation.made["turns"])
                (leaving if n_now < n_seen else usual).append((first or 0.0, n_evaluated))
                n_seen = n_now
        finally:
            engine.close()
    parts = [f"{median(each):,.1f}" for group in (usual, leaving) for each in zip(*group, strict=True)]
    read = [made["usage"]["prompt_tokens"] - made["usage"]["reused_tokens"] for made in summaries]
    written = [made["usage"]["completion_tokens"] for made in summaries]
    asked = f"{median(read):,.0f} read, {median(written):,.0f} written" if summaries else "none"
    return f"| {overflow} | {parts[0]} s, {parts[1]} | {parts[2]} s, {parts[3]} of {len(leaving)} | {asked} |"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.summary", description=__doc__)
    parser.add_argument("--model", type=Path, default=starter())
    parser.add_argument("--ctx-size", type=int, default=1024)
    parser.add_argument("--threads", type=int, default=None, help="one for each fast core")
    parser.add_argument("--turns", type=int, default=30)
    arguments = parser.parse_args()
    options = LoadOptions(path=str(arguments.model), n_ctx=arguments.ctx_size, n_threads=arguments.threads)
    print("| policy | usual turn: first word, tokens evaluated | leaving | tokens of the summary's request |")
    print("|---|---|---|---|")
    for overflow in (Overflow.DROP, Overflow.SUMMARISE):
        print(measure(options, overflow, arguments.turns), flush=True)


if __name__ == "__main__":
    main()
