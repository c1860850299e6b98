"""How long after an interrupt a running prefill has ended, at random moments of it."""

from __future__ import annotations

import random
import tempfile
import threading
import time
from pathlib import Path
from statistics import median

from benchmarks.report import Row
from llamachat.engine.base import Finished, Request
from llamachat.engine.ladder import Ladder
from llamachat.engine.process import EngineProcess
from llamachat.types import FinishReason, LoadOptions, Message, Role

N_WORDS = 1500


def measure(model: Path, rounds: int, bar: float) -> list[Row]:
    """`bar` in milliseconds."""
    waits = []
    with tempfile.TemporaryDirectory() as folder:
        engine = EngineProcess(
            LoadOptions(path=str(model)), log=Path(folder) / "log", ladder=Ladder(Path(folder) / "l")
        )
        try:
            for _ in engine.wait_until_loaded():
                pass
            waits = [_wait(engine, random.uniform(0.1, 2.5)) for _ in range(rounds)]
        finally:
            engine.close()
    figure = f"median {median(waits):.0f} ms of {rounds}"
    return [Row(f"interrupt to end in a prefill, worst in ms, {model.stem}", "-", max(waits), "<=", bar, figure)]


def _wait(engine: EngineProcess, seconds: float) -> float:
    """Milliseconds from an interrupt, so many seconds into a prefill, to its end."""
    text = " ".join(str(random.randrange(10**6)) for _ in range(N_WORDS // 3))
    pressed = 0.0

    def press() -> None:
        nonlocal pressed
        pressed = time.perf_counter()
        engine.interrupt()

    timer = threading.Timer(seconds, press)
    timer.start()
    *_, finished = engine.reply(Request((Message(Role.USER, text),)))
    ended = time.perf_counter()
    assert isinstance(finished, Finished)
    assert finished.reason is FinishReason.INTERRUPTED
    assert finished.usage.completion_tokens == 0, "the prefill had ended: take a longer prompt"
    return 1000 * (ended - pressed)
