"""Prefill, decode and the first token of a second turn: llamachat's engine against the bare loop."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from benchmarks.report import Row
from benchmarks.tuning import tune
from llamachat.engine.base import Finished, Request
from llamachat.engine.ladder import Ladder
from llamachat.engine.process import EngineProcess
from llamachat.engine.tunings import Tunings, apply
from llamachat.types import LoadOptions, Message, Role

_SENTENCE = "The tide came in over the grey stones while the children counted boats from the harbour wall. "
_QUESTION = "Now tell me, in a long story with many details, what the children saw on the water that evening. "
N_PROMPT, N_DECODE, N_FOLLOW_UP = 1000, 256, 50


def measure(model: Path, rounds: int) -> list[Row]:
    """Rows of ratios for one model, each the median over interleaved rounds. It is tuned first, as in a user's chat."""
    ours, theirs = [], {True: [], False: []}
    with tempfile.TemporaryDirectory() as folder:
        tunings = Tunings(Path(folder) / "tunings.json")
        tune(model, folder, tunings)
        options = apply(LoadOptions(path=str(model)), tunings.known(str(model)))
        for _ in range(rounds):
            result, job = _ours(options, Path(folder))
            ours.append(result)
            for flash_attention, results in theirs.items():
                results.append(_bare({**job, "flash_attention": flash_attention}))
    # The bare loop's best settings are one configuration: the faster at both together, as a chat uses them.
    best = min(theirs.values(), key=lambda results: median(r["prefill"] + r["decode"] for r in results))
    pairs = list(zip(ours, best, strict=True))
    decode = [mine["decode_tps"] / (bare["n_decoded"] / bare["decode"]) for mine, bare in pairs]
    prefill = [bare["prefill"] / mine["prefill"] for mine, bare in pairs]
    second = [mine["follow_up"] / bare["follow_up"] for mine, bare in pairs]
    name = model.stem
    tokens = f"{median(o['decode_tps'] for o in ours):.1f} tokens/s"
    reading = f"{N_PROMPT / median(o['prefill'] for o in ours):.0f} tokens/s"
    waiting = f"{1000 * median(o['follow_up'] for o in ours):.0f} ms"
    return [
        Row(f"decode at {N_PROMPT} tokens, {name}", "bare loop", median(decode), ">=", 0.97, tokens),
        Row(f"prefill of {N_PROMPT} tokens, {name}", "bare loop", median(prefill), ">=", 0.97, reading),
        Row(
            f"first token of a second turn, {name}",
            f"bare prefill of {N_FOLLOW_UP}",
            median(second),
            "<=",
            1.3,
            waiting,
        ),
    ]


def _ours(options: LoadOptions, folder: Path) -> tuple[dict, dict]:
    """One conversation of two turns through the engine; and the job that makes the bare loop do the same."""
    engine = EngineProcess(options, log=folder / "log", ladder=Ladder(folder / "ladder"))
    try:
        for _ in engine.wait_until_loaded():
            pass
        first = _prompt(engine)
        answer, text = _run(engine, Request((first,), {"temperature": 0}, max_tokens=N_DECODE))
        reply = Message(Role.ASSISTANT, text, generated=True, tokens=answer.tokens)
        second = Request((first, reply, _follow_up(engine, first, reply)), {"temperature": 0}, max_tokens=1)
        waited, _ = _run(engine, second)
        prompt = engine.render(Request((first,))).tokens
        whole = engine.render(second).tokens
        n_new = waited.usage.prompt_tokens - waited.usage.reused_tokens
        info = engine.info
    finally:
        engine.close()
    result = {
        "decode_tps": answer.usage.completion_tokens / answer.timings.decode,
        "prefill": answer.timings.prefill,
        "follow_up": waited.timings.first_token,
    }
    job = {
        "model": options.path,
        "n_ctx": info.n_ctx,
        "n_threads": info.n_threads,
        "prompt": list(prompt),
        "n_decode": answer.usage.completion_tokens,
        "follow_up": list(whole[-n_new:]),
    }
    return result, job


def _prompt(engine: EngineProcess) -> Message:
    """A user's message that makes a prompt of about N_PROMPT tokens."""
    text = _QUESTION
    while len(engine.render(Request((Message(Role.USER, text),))).tokens) < N_PROMPT:
        text = _SENTENCE + text
    return Message(Role.USER, text)


def _follow_up(engine: EngineProcess, first: Message, reply: Message) -> Message:
    """A user's message that adds about N_FOLLOW_UP tokens to what is in the cache."""
    before = len(engine.render(Request((first,))).tokens) + len(reply.tokens.ids)
    words = _SENTENCE.split()
    for n_words in range(5, 200):
        message = Message(Role.USER, " ".join((words * 20)[:n_words]))
        if len(engine.render(Request((first, reply, message))).tokens) - before >= N_FOLLOW_UP:
            break
    return message


def _run(engine: EngineProcess, request: Request) -> tuple[Finished, str]:
    events = list(engine.reply(request))
    text = "".join(getattr(event, "text", "") for event in events if type(event).__name__ == "Delta")
    return events[-1], text


def _bare(job: dict) -> dict:
    command = [sys.executable, "-m", "benchmarks.bare"]
    done = subprocess.run(command, input=json.dumps(job), capture_output=True, text=True, check=True)
    return json.loads(done.stdout)
