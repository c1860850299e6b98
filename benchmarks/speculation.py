"""Decode with guessed tokens against decode without: copying a list, and free text, in interleaved pairs.

`python -m benchmarks.speculation [--model GGUF] [--draft GGUF] [--rounds N] [--threads N]`. A model of
noise has nothing to copy; the starter does.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from benchmarks.report import HEADER, Row
from benchmarks.starter import starter
from llamachat.engine.base import Finished, Request
from llamachat.engine.ladder import Ladder
from llamachat.engine.process import EngineProcess
from llamachat.types import Drafted, LoadOptions, Message, Role

BAR_COPY, BAR_ACCEPTANCE, BAR_FREE = 1.3, 0.7, 0.95  # the first is 1.5 on a build with AMX
_ITEMS = (
    "apples", "bread", "whole milk", "butter", "a dozen eggs", "cheddar cheese", "brown rice", "pasta", "red onions",
    "garlic", "olive oil", "tomatoes", "black pepper", "chicken stock", "lemons", "green tea", "honey", "oats",
    "paper towels", "dish soap",
)  # fmt: skip
_LIST = "\n".join(f"{number}. {item}" for number, item in enumerate(_ITEMS, start=1))
_COPY = f"Copy this list word for word, all twenty lines, and nothing else.\n\n{_LIST}"
_FREE = (
    "Tell me a story about a lighthouse keeper who finds a letter.",
    "Explain why the sky is blue to a child.",
    "Write a letter to a friend about a trip to the mountains.",
    "What should one know before adopting a dog?",
    "How did people keep time before clocks?",
)
_GREEDY, _USUAL = {"temperature": 0.0}, {"temperature": 0.8}
_N_TOKENS = 256


def measure(options: LoadOptions, rounds: int) -> Iterator[Row]:
    """The list, greedily, so often; the five questions once. The first pair is not counted but shown.

    Until then no cost is known, as in a one-shot.
    """
    name = Path(options.path).stem
    with tempfile.TemporaryDirectory() as folder:
        engine = EngineProcess(options, log=Path(folder) / "log", ladder=Ladder(Path(folder) / "ladder"))
        try:
            first, _ = _pair(engine, _COPY, _GREEDY)
            copies = [_pair(engine, _COPY, _GREEDY) for _ in range(rounds)]
            free = [_pair(engine, question, _USUAL) for question in _FREE]
        finally:
            engine.close()
    ratios, drafts = [ratio for ratio, _ in copies], [draft for _, draft in copies]
    yield Row(
        f"decode, copying a list of {len(_ITEMS)}, {name}", "without guesses", median(ratios), ">=", BAR_COPY,
        f"{min(ratios):.2f} to {max(ratios):.2f} of {rounds}; the first answer of the process {first:.2f}",
    )  # fmt: skip
    yield Row(
        f"guesses that were right there, {name}", "all guesses", median(map(_acceptance, drafts)), ">=",
        BAR_ACCEPTANCE, f"{median(draft.accepted for draft in drafts):.0f} an answer",
    )  # fmt: skip
    ratios, drafts = [ratio for ratio, _ in free], [draft for _, draft in free]
    yield Row(
        f"decode, free text, {name}", "without guesses", median(ratios), ">=", BAR_FREE,
        f"{min(ratios):.2f} to {max(ratios):.2f}; {sum(draft.accepted for draft in drafts)} of "
        f"{sum(draft.proposed for draft in drafts)} guesses right",
    )  # fmt: skip


def _pair(engine: EngineProcess, question: str, sampling: dict[str, float]) -> tuple[float, Drafted]:
    """How many times as fast an answer is made with guesses as one without; and what was guessed."""
    guessed = _answer(engine, question, sampling, speculate=True)
    plain = _answer(engine, question, sampling, speculate=False)
    return _rate(guessed) / _rate(plain), guessed.draft or Drafted()


def _answer(engine: EngineProcess, question: str, sampling: dict[str, float], *, speculate: bool) -> Finished:
    request = Request((Message(Role.USER, question),), sampling, max_tokens=_N_TOKENS, speculate=speculate)
    *_, finished = engine.reply(request)
    assert isinstance(finished, Finished)
    return finished


def _rate(finished: Finished) -> float:
    return finished.usage.completion_tokens / finished.timings.decode


def _acceptance(draft: Drafted) -> float:
    return draft.accepted / draft.proposed if draft.proposed else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speculation", description=__doc__)
    parser.add_argument("--model", type=Path, default=None, help="a GGUF; the starter model")
    parser.add_argument("--draft", type=Path, default=None, help="a GGUF that guesses for it")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=None, help="one for each fast core")
    arguments = parser.parse_args()
    options = LoadOptions(
        path=str(arguments.model or starter()),
        n_ctx=2048,
        n_threads=arguments.threads,
        draft=str(arguments.draft) if arguments.draft else None,
    )
    print(HEADER)
    for row in measure(options, arguments.rounds):
        print(row.line(), flush=True)


if __name__ == "__main__":
    main()
