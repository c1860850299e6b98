"""A scripted engine process: `python worker.py SCENARIO STATE LOG`. It speaks the real frames.

STATE is a file that counts how often the process was started, for scenarios that change with it.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from llamachat.engine.base import Token
from llamachat.engine.pipe import FrameReader, pack
from llamachat.engine.protocol import (
    Cancel,
    Close,
    Done,
    Down,
    Failed,
    Hello,
    Load,
    Loaded,
    LoadProgress,
    Measure,
    MeasureDone,
    PrefillProgress,
    Reply,
    TextDelta,
    Tokenize,
    TokenizeDone,
    Tune,
    TuneDone,
    TuneStep,
)
from llamachat.types import AnswerTokens, ContextUse, FinishReason, ModelInfo, Sampling, Timings, Tried, Tuned, Usage

INFO = ModelInfo(
    name="fake",
    path="fake.gguf",
    format="plain",
    architecture="llama",
    quantisation="F16",
    n_params=1,
    size_bytes=1,
    n_ctx=512,
    n_ctx_train=512,
    n_threads=1,
    n_gpu_layers=0,
    flash_attention=False,
    vocabulary="fake",
    build="fake",
    devices=("CPU",),
    sampling=Sampling(temperature=0.5),
)


def send(frame) -> None:
    os.write(1, pack(frame))


def crash(number: int = signal.SIGSEGV) -> None:
    signal.signal(signal.SIGSEGV, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    time.sleep(10)


def done(number: int, reason: FinishReason = FinishReason.STOP, index: int = 0) -> Done:
    tokens, timings = AnswerTokens("fake", (1, 2)), Timings(prefill=0.5, decode=0.25)
    return Done(number, reason, tokens, Usage(3, 1, 2), timings, ContextUse(512, 5), index)


def starts(state: Path) -> int:
    """How often this process was started, this time included."""
    with state.open("a") as file:
        file.write("x")
    return state.stat().st_size


def main() -> None:
    scenario, count = sys.argv[1], starts(Path(sys.argv[2]))
    reader = FrameReader(lambda n: os.read(0, n), Down)
    if scenario == "garbage":
        os.write(1, b"Segmentation fault\n")
        time.sleep(10)
    send(Hello("fake", ("AMX", "CPU_REPACK"), has_gpu=False, flash_attention=False))
    while (frame := reader.next()) is not None:
        match frame:
            case Load(options):
                if scenario == "crash-at-load" or (scenario == "crash-with-amx" and options.use_amx):
                    crash()
                if scenario == "killed-at-load":
                    crash(signal.SIGKILL)
                if scenario == "killed-at-first-load" and count == 1:
                    crash(signal.SIGKILL)
                if scenario == "no-model":
                    send(Failed(0, 3, "there is no such model.", "Get one."))
                    continue
                if scenario == "slow-load":
                    time.sleep(2)
                send(LoadProgress(50, 100))
                send(Loaded(INFO, ("a notice",)))
            case Close():
                return
            case Measure(number, prompts):
                send(MeasureDone(number, tuple(map(len, prompts))))
            case Tokenize(number, text, only_count):
                if scenario == "deaf":
                    time.sleep(60)
                pieces = () if only_count else tuple(Token(ord(character), character) for character in text)
                send(TokenizeDone(number, len(text), pieces))
            case Reply():
                if scenario == "crash-at-first-token" and count == 1:
                    crash()
                reply(scenario, count, frame, reader)
                measure(scenario, count, 0)
            case Tune():
                measure(scenario, count, frame.id)


def reply(scenario: str, count: int, frame: Reply, reader: FrameReader) -> None:
    send(PrefillProgress(frame.id, 2, 2))
    if scenario == "die-in-every-prefill" or (scenario == "die-in-prefill" and count == 1):
        crash()
    if scenario == "unknown-frame":
        os.write(1, pack(Cancel(frame.id)))  # a frame, but never one that goes up
        time.sleep(10)
    if scenario == "half-a-frame":
        os.write(1, pack(TextDelta(frame.id, "half"))[:-2])
        os._exit(0)
    if len(frame.seeds) > 1:
        reply_many(scenario, count, frame, reader)
        return
    send(TextDelta(frame.id, "Hello"))
    if scenario == "die-once" and count == 1:
        crash()
    if scenario == "die-always":
        crash()
    if scenario == "deaf":
        time.sleep(60)
    if scenario == "wait-for-cancel":
        cancel = reader.next()
        assert cancel == Cancel(frame.id)
        send(done(frame.id, FinishReason.INTERRUPTED))
        return
    if frame.open_answer:
        send(TextDelta(frame.id, f" after {frame.messages[-1].content!r}"))
    send(TextDelta(frame.id, f" at {frame.sampling.temperature}"))
    send(done(frame.id))


def measure(scenario: str, count: int, number: int) -> None:
    """What is measured while nobody waits, or for a Tune."""
    if scenario == "measures" or number:
        send(TuneStep(number, "flash attention"))
        send(TuneDone(number, Tuned(2, chunk=256), (Tried("tokens of a batch", "256", 0.5, chosen=True),)))
    elif scenario == "die-while-measuring" and count == 1:
        send(TuneStep(0, "flash attention"))
        crash()
    elif scenario == "die-after-measuring" and count == 1:
        send(TuneStep(0, "flash attention"))
        send(TuneStep(0, ""))
        crash()


def reply_many(scenario: str, count: int, frame: Reply, reader: FrameReader) -> None:
    """The second answer is the first to end."""
    for index, seed in enumerate(frame.seeds):
        send(TextDelta(frame.id, f"seed {seed}", index))
    if scenario == "die-once" and count == 1:
        crash()
    send(done(frame.id, index=1))
    if scenario == "deaf":
        time.sleep(60)
    reason = FinishReason.STOP
    if scenario == "wait-for-cancel":
        assert reader.next() == Cancel(frame.id)
        reason = FinishReason.INTERRUPTED
    for index in range(len(frame.seeds)):
        if index != 1:
            send(done(frame.id, reason, index))


main()
