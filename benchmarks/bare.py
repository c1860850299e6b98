"""The yardstick: llama.cpp's C API with nothing around it. `python -m benchmarks.bare < job.json`.

The job names a model, a prompt in token ids, a follow-up in token ids and how many tokens to decode; the
result is seconds for each, as JSON on stdout. The loop is the one that `llamachat bench` measures against; of
llamachat nothing else is imported.
"""

from __future__ import annotations

import json
import os
import sys


def main() -> None:
    job = json.load(sys.stdin)
    sys.stdout.flush()
    keep = os.dup(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    result = json.dumps(measure(job))
    os.write(keep, result.encode())
    os._exit(0)


def measure(job: dict) -> dict:
    from llamachat.bench.raw import RawLoop, load  # noqa: PLC0415  loads llama.cpp, which may print
    from llamachat.bench.values import RawContext, RawModel  # noqa: PLC0415

    context = RawContext(job["n_ctx"], job["n_threads"], job["flash_attention"])
    loop = RawLoop(load(RawModel(job["model"])), context)
    prefill = loop.read(job["prompt"])
    decode, _, n_decoded = loop.write(job["n_decode"])
    loop.keep(len(job["prompt"]))
    follow_up = loop.read(job["follow_up"])
    return {"prefill": prefill, "decode": decode, "n_decoded": n_decoded, "follow_up": follow_up}


if __name__ == "__main__":
    main()
