"""Prefill, decode and the first token of a second turn: llamachat's engine against the bare loop."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.report import Row
from benchmarks.tuning import tune
from llamachat.engine.base import Finished, Request
from llamachat.engine.ladder import Ladder
from llamachat.engine.process import EngineProcess
from llamachat.engine.tunings import Tunings, apply, in_words
from llamachat.llama.pace import Pace
from llamachat.types import LoadOptions, Message, Role

_SENTENCE = "The tide came in over the grey stones while the children counted boats from the harbour wall. "
_QUESTION = "Now tell me, in a long story with many details, what the children saw on the water that evening. "
N_FOLLOW_UP = 50
_LARGE = 3 << 30  # bytes of a model that reads so slowly that it is given less


@dataclass(frozen=True, slots=True)
class Lengths:
    """Tokens of the first prompt, about, and of the answer to it."""

    prompt: int
    answer: int

    @classmethod
    def of(cls, model: Path) -> Lengths:
        return cls(300, 48) if model.stat().st_size > _LARGE else cls(1000, 256)


@dataclass(frozen=True, slots=True)
class Conversation:
    """How fast the first turn was, and seconds to the first token of the second."""

    pace: Pace
    follow_up: float


def measure(model: Path, rounds: int) -> list[Row]:
    """Rows of ratios for one model, each the median over interleaved rounds. It is tuned first, as in a user's chat."""
    lengths = Lengths.of(model)
    ours: list[Conversation] = []
    theirs: dict[bool, list[Conversation]] = {True: [], False: []}
    with tempfile.TemporaryDirectory() as folder:
        tunings = Tunings(Path(folder) / "tunings.json")
        tuned = tune(model, folder, tunings).tuned
        assert tuned is not None
        print(f"{model.stem}: {in_words(tuned)}", file=sys.stderr, flush=True)
        options = apply(LoadOptions(path=str(model)), tunings.known(str(model)))
        job: dict = {}
        for number in range(rounds):
            for way in (None, True, False) if number % 2 == 0 else (False, True, None):
                if way is None:
                    result, job = _ours(options, Path(folder), lengths)
                    ours.append(result)
                else:
                    theirs[way].append(_bare({**job, "flash_attention": way}))
    # The bare loop's best settings are one configuration, the best for a chat: its usual turn is the quickest.
    best = min(theirs, key=lambda way: median(each.pace.turn for each in theirs[way]))
    print(f"{model.stem}: best by hand {'with' if best else 'without'} flash attention", file=sys.stderr, flush=True)
    pairs = list(zip(ours, theirs[best], strict=True))
    decode = median(bare.pace.decode / mine.pace.decode for mine, bare in pairs)
    prefill = median(bare.pace.prefill / mine.pace.prefill for mine, bare in pairs)
    second = median(mine.follow_up / bare.follow_up for mine, bare in pairs)
    writing = f"{1 / median(each.pace.decode for each in ours):.1f} tokens/s"
    reading = f"{1 / median(each.pace.prefill for each in ours):.0f} tokens/s"
    waiting = f"{1000 * median(each.follow_up for each in ours):.0f} ms"
    name, against = model.stem, f"bare prefill of {N_FOLLOW_UP}"
    return [
        Row(f"decode at {lengths.prompt} tokens, {name}", "bare loop", decode, ">=", 0.97, writing),
        Row(f"prefill of {lengths.prompt} tokens, {name}", "bare loop", prefill, ">=", 0.97, reading),
        Row(f"first token of a second turn, {name}", against, second, "<=", 1.3, waiting),
    ]


def _ours(options: LoadOptions, folder: Path, lengths: Lengths) -> tuple[Conversation, dict]:
    """One conversation of two turns through the engine; and the job that makes the bare loop do the same."""
    engine = EngineProcess(options, log=folder / "log", ladder=Ladder(folder / "ladder"))
    try:
        for _ in engine.wait_until_loaded():
            pass
        first = _prompt(engine, lengths.prompt)
        answer, text = _run(engine, Request((first,), {"temperature": 0}, max_tokens=lengths.answer))
        reply = Message(Role.ASSISTANT, text, generated=True, tokens=answer.tokens)
        second = Request((first, reply, _follow_up(engine, first, reply)), {"temperature": 0}, max_tokens=1)
        waited, _ = _run(engine, second)
        prompt = engine.render(Request((first,))).tokens
        whole = engine.render(second).tokens
        n_new = waited.usage.prompt_tokens - waited.usage.reused_tokens
        info = engine.info
    finally:
        engine.close()
    pace = Pace(answer.timings.prefill / len(prompt), answer.timings.decode / answer.usage.completion_tokens)
    job = {
        "model": options.path,
        "n_ctx": info.n_ctx,
        "n_threads": info.n_threads,
        "prompt": list(prompt),
        "n_decode": answer.usage.completion_tokens,
        "follow_up": list(whole[-n_new:]),
    }
    return Conversation(pace, waited.timings.first_token), job


def _prompt(engine: EngineProcess, n_tokens: int) -> Message:
    """A user's message that makes a prompt of about so many tokens."""
    text = _QUESTION
    while len(engine.render(Request((Message(Role.USER, text),))).tokens) < n_tokens:
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


def _bare(job: dict) -> Conversation:
    command = [sys.executable, "-m", "benchmarks.bare"]
    done = subprocess.run(command, input=json.dumps(job), capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    return Conversation(
        Pace(found["prefill"] / len(job["prompt"]), found["decode"] / found["n_decoded"]), found["follow_up"]
    )
