"""A long answer as a user gets it, against a script on llama-cpp-python's high-level class, first byte to last.

`python -m benchmarks.high_level [--model GGUF] [--rounds N] [--tokens N]`. Both are processes that write the answer
into a pipe as it comes, with the same library, samplers and prompt; nothing is guessed (`--no-speculate`),
since answers that repeat themselves would flatter it.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

from benchmarks.report import HEADER, Row
from benchmarks.starter import starter

_QUESTION = "Tell me a very long story about a lighthouse, the people in the village and the sea. Do not stop early."
_SAMPLING = {"temperature": 0.8, "top_k": 40, "top_p": 0.95, "min_p": 0.05}
_WRITTEN = re.compile(r"([\d,]+) written")  # of tokens; the script says it as llamachat -v does

_SCRIPT = """
import sys
import llama_cpp
model, n_tokens, question, seed, threads = sys.argv[1:]
n_threads = int(threads) if threads else None
llama = llama_cpp.Llama(model, n_ctx=4096, n_threads=n_threads, n_threads_batch=n_threads, verbose=False)
answer = llama.create_chat_completion(
    [{{"role": "user", "content": question}}], stream=True, max_tokens=int(n_tokens), seed=int(seed), **{sampling}
)
n_before = None
for piece in answer:
    n_before = llama.n_tokens if n_before is None else n_before
    sys.stdout.write(piece["choices"][0]["delta"].get("content", ""))
    sys.stdout.flush()
print(llama.n_tokens - n_before, "written", file=sys.stderr)
"""


def measure(model: Path, rounds: int, n_tokens: int = 1000) -> list[Row]:
    """Tokens a second by turns: against the class as it comes, with half of the cores, and with as many threads."""
    sampling = [word for key, value in _SAMPLING.items() for word in (f"--{key.replace('_', '-')}", str(value))]
    ours = [
        sys.executable, "-m", "llamachat", "-m", str(model), "-p", "none", "--no-save", "--no-speculate", "--raw", "-v",
        "--ctx-size", "4096", "-n", str(n_tokens), *sampling, _QUESTION,
    ]  # fmt: skip
    script = [sys.executable, "-c", _SCRIPT.format(sampling=_SAMPLING), str(model), str(n_tokens), _QUESTION]
    rates = []
    for seed in map(str, range(rounds)):
        mine = _rate([*ours, "--seed", seed])
        rates.append((mine, *(_rate([*script, seed, threads]) for threads in ("", str(os.cpu_count())))))
    what, figure = (
        f"an answer of {n_tokens:,} tokens, {model.stem}",
        f"{median(mine for mine, *_ in rates):.1f} tokens/s",
    )
    as_it_comes = median(mine / other for mine, other, _ in rates)
    as_many = median(mine / other for mine, _, other in rates)
    return [
        Row(what, "create_chat_completion", as_it_comes, ">=", 1.15, figure),
        Row(what, "the same with as many threads as llamachat", as_many, ">=", 1.0, figure),
    ]


def _rate(command: list[str]) -> float:
    """Tokens a second, from the first byte of the answer to its last."""
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
    ) as process:
        assert process.stdout.read(1), process.stderr.read().decode()
        began = ended = time.perf_counter()
        while process.stdout.read(1 << 16):
            ended = time.perf_counter()
        found = _WRITTEN.search(process.stderr.read().decode())
    assert found, "it did not say how many tokens it wrote"
    return int(found[1].replace(",", "")) / (ended - began)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.high_level", description=__doc__)
    parser.add_argument("--model", type=Path, default=None, help="a GGUF; the starter model")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=1000)
    arguments = parser.parse_args()
    model = arguments.model or starter()
    print(HEADER)
    for row in measure(model, arguments.rounds, arguments.tokens):
        print(row.line())


if __name__ == "__main__":
    main()
