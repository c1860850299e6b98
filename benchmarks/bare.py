"""The yardstick: llama.cpp's C API with nothing around it. `python -m benchmarks.bare < job.json`.

The job names a model, a prompt in token ids, a follow-up in token ids and how many tokens to decode; the
result is seconds for each, as JSON on stdout. Nothing of llamachat is imported.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
import time

CHUNK = 512


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
    import llama_cpp.llama_cpp as c  # noqa: PLC0415  timed by nobody here

    c.llama_backend_init()
    params = c.llama_model_default_params()
    params.n_gpu_layers = 0
    model = c.llama_model_load_from_file(job["model"].encode(), params)
    vocab = c.llama_model_get_vocab(model)
    settings = c.llama_context_default_params()
    settings.n_ctx = job["n_ctx"]
    settings.n_batch = settings.n_ubatch = CHUNK
    settings.n_threads = settings.n_threads_batch = job["n_threads"]
    settings.flash_attn_type = 1 if job["flash_attention"] else 0
    context = c.llama_init_from_model(model, settings)
    chain = c.llama_sampler_chain_init(c.llama_sampler_chain_default_params())
    c.llama_sampler_chain_add(chain, c.llama_sampler_init_greedy())

    def evaluate(tokens: list[int]) -> float:
        array = (ctypes.c_int32 * len(tokens))(*tokens)
        started = time.perf_counter()
        for start in range(0, len(tokens), CHUNK):
            count = min(CHUNK, len(tokens) - start)
            pointer = ctypes.cast(ctypes.byref(array, 4 * start), c.llama_token_p)
            assert c.llama_decode(context, c.llama_batch_get_one(pointer, count)) == 0
        return time.perf_counter() - started

    def decode(n: int) -> tuple[float, int]:
        one = (ctypes.c_int32 * 1)()
        batch = c.llama_batch_get_one(one, 1)
        started = time.perf_counter()
        for done in range(n):
            token = c.llama_sampler_sample(chain, context, -1)
            if c.llama_vocab_is_eog(vocab, token):
                return time.perf_counter() - started, done
            one[0] = token
            if done + 1 < n:
                assert c.llama_decode(context, batch) == 0
        return time.perf_counter() - started, n

    memory = c.llama_get_memory(context)
    prefill = evaluate(job["prompt"])
    decode_seconds, n_decoded = decode(job["n_decode"])
    c.llama_memory_seq_rm(memory, 0, len(job["prompt"]), -1)
    follow_up = evaluate(job["follow_up"])
    return {"prefill": prefill, "decode": decode_seconds, "n_decoded": n_decoded, "follow_up": follow_up}


if __name__ == "__main__":
    main()
