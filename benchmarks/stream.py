"""`stream.py N_TOKENS RATE HOME`: shows a scripted answer on the terminal, and writes what it cost to HOME/cpu.

The engine is a child process of its own, as always; its text is the tests' corpus, over and over.
"""

from __future__ import annotations

import os
import resource
import sys
import threading
import time
from pathlib import Path

from llamachat.chat import turn
from llamachat.chat.conversation import Conversation
from llamachat.chat.turn import Settings
from llamachat.engine.base import Delta
from llamachat.engine.ladder import Ladder
from llamachat.engine.pipe import FrameReader, pack
from llamachat.engine.process import EngineProcess
from llamachat.engine.protocol import Done, Down, Hello, Load, Loaded, Reply, TextDelta
from llamachat.environment import Environment
from llamachat.types import ContextUse, FinishReason, LoadOptions, ModelInfo, Sampling, Timings, Usage
from llamachat.ui.screen import Screen
from llamachat.ui.theme import Background, theme

CORPUS = Path(__file__).parent.parent / "tests" / "ui" / "corpus"
TOKEN = 4  # characters
FLUSH = 0.02  # seconds, as the engine does
INFO = ModelInfo("fake", "fake.gguf", "plain", "llama", "F16", 1, 1, 1 << 20, 1 << 20, 1, 0, False, "fake", "fake",
                 ("CPU",), Sampling())  # fmt: skip


def main() -> None:
    n_tokens, rate, home = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    environment = Environment.of_process()
    look = theme(Background.DARK, colour=True, attributes=True, encoding="utf-8")
    screen = Screen(environment, lambda: look, quiet=True, plain=False, raw=False)
    engine = EngineProcess(
        LoadOptions(path="fake.gguf"), log=home / "log", ladder=Ladder(home / "ladder"),
        command=(sys.executable, __file__, "--engine", str(n_tokens), str(rate)),
    )  # fmt: skip
    costs, n_characters, before = [], 0, 0.0
    with screen.answering() as view:
        for event in turn.ask(Conversation(), "Go.", engine, Settings()):
            view.show(event)
            if isinstance(event, Delta):
                n_characters += len(event.text)
                if n_characters >= (len(costs) + 1) * 1000 * TOKEN:
                    costs.append(_cpu() - before)
                    before = _cpu()
    engine.close()
    (home / "cpu").write_text("\n".join(str(cost / 1000) for cost in costs[1:]))


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def run_engine(n_tokens: int, rate: int) -> None:
    """The child: text at a constant rate, flushed as the engine flushes it."""

    def send(frame) -> None:
        os.write(1, pack(frame))

    reader = FrameReader(lambda n: os.read(0, n), Down)
    send(Hello("fake", (), has_gpu=False, flash_attention=False))
    while (frame := reader.next()) is not None:
        if isinstance(frame, Load):
            send(Loaded(INFO, ()))
        elif isinstance(frame, Reply):
            for text in _paced(n_tokens, rate):
                send(TextDelta(frame.id, text))
            send(Done(frame.id, FinishReason.STOP, None, Usage(1, 0, n_tokens), Timings(), ContextUse(1 << 20, 1)))


def _paced(n_tokens: int, rate: int):
    text = "\n\n".join(path.read_text(encoding="utf-8") for path in sorted(CORPUS.iterdir()))
    text *= n_tokens * TOKEN // len(text) + 1
    started, sent = time.monotonic(), 0
    while sent < n_tokens:
        threading.Event().wait(FLUSH)
        due = min(n_tokens, int((time.monotonic() - started) * rate))
        yield text[sent * TOKEN : due * TOKEN]
        sent = due


if __name__ == "__main__":
    if sys.argv[1] == "--engine":
        run_engine(int(sys.argv[2]), int(sys.argv[3]))
    else:
        main()
