"""The yardstick: llama.cpp's C API with nothing around it. `python -P -m llamachat.bench.raw LOG`.

Requests come as lines of JSON on stdin, each is answered by one on stdout:

    {"load": {a RawModel}}                                          → {"done": true}
    {"open": NAME, "context": {a RawContext}}                       → {"done": true}
    {"measure": NAME, "tokens": [...], "n_write": N, "n_threads": T} → {"done": {a Sample}}

or `{"error": "…"}`. Contexts of one model stand side by side under their names. What is printed goes to LOG. The end
of stdin ends the process at once, whatever it computes. Nothing imports this module but `benchmarks/`: it loads
llama.cpp.
"""

from __future__ import annotations

import ctypes
import json
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from llamachat.bench.values import RawContext, RawModel, Sample
from llamachat.llama.lib import GGML_TYPES, C, ExtraBuffers

CHUNK = 512  # llama.cpp's own n_ubatch


class RawLoop:
    """One context, greedy. `tokens` is what its KV cache holds."""

    def __init__(self, model: Any, wanted: RawContext) -> None:
        """Raises RuntimeError when llama.cpp makes no such context."""
        params = C.llama_context_default_params()
        params.n_ctx = wanted.n_ctx
        params.n_batch = params.n_ubatch = CHUNK
        params.n_threads = params.n_threads_batch = wanted.n_threads
        params.flash_attn_type = 1 if wanted.flash_attention else 0
        params.type_k = params.type_v = GGML_TYPES[wanted.kv_type]
        self._context = C.llama_init_from_model(model, params)
        if not self._context:
            raise RuntimeError(f"llama.cpp made no context of {wanted.n_ctx} tokens")
        self._memory = C.llama_get_memory(self._context)
        self._vocabulary = C.llama_model_get_vocab(model)
        self._sampler = C.llama_sampler_chain_init(C.llama_sampler_chain_default_params())
        C.llama_sampler_chain_add(self._sampler, C.llama_sampler_init_greedy())
        self.tokens: list[int] = []

    def use_threads(self, count: int) -> None:
        C.llama_set_n_threads(self._context, count, count)

    def keep(self, length: int) -> None:
        """Forget what stands behind so many tokens."""
        C.llama_memory_seq_rm(self._memory, 0, length, -1)
        del self.tokens[length:]

    def read(self, tokens: Sequence[int]) -> float:
        """Evaluate more tokens; seconds. Raises RuntimeError."""
        array = (ctypes.c_int32 * len(tokens))(*tokens)
        started = time.perf_counter()
        for start in range(0, len(tokens), CHUNK):
            count = min(CHUNK, len(tokens) - start)
            self._decode(C.llama_batch_get_one(ctypes.cast(ctypes.byref(array, 4 * start), C.llama_token_p), count))
        seconds = time.perf_counter() - started
        self.tokens += tokens
        return seconds

    def write(self, count: int) -> tuple[float, float, int]:
        """Up to `count` tokens, the last of them not evaluated: seconds, seconds to the first, and their number."""
        one = (ctypes.c_int32 * 1)()
        batch = C.llama_batch_get_one(one, 1)
        started, first, n_written = time.perf_counter(), 0.0, 0
        while True:
            token = C.llama_sampler_sample(self._sampler, self._context, -1)
            first = first or time.perf_counter() - started
            if C.llama_vocab_is_eog(self._vocabulary, token):
                break
            n_written += 1
            if n_written == count:
                break
            one[0] = token
            self._decode(batch)
            self.tokens.append(token)
        return time.perf_counter() - started, first, n_written

    def measure(self, tokens: Sequence[int], n_write: int) -> Sample:
        """Read a prompt, but for what the cache has of it, and answer. At least the last token is evaluated."""
        n_reused = 0
        while n_reused < min(len(self.tokens), len(tokens) - 1) and self.tokens[n_reused] == tokens[n_reused]:
            n_reused += 1
        self.keep(n_reused)
        prefill = self.read(tokens[n_reused:])
        decode, first, n_written = self.write(n_write)
        return Sample(n_reused, len(tokens) - n_reused, n_written, prefill, decode, prefill + first)

    def _decode(self, batch: Any) -> None:
        if (status := C.llama_decode(self._context, batch)) != 0:
            raise RuntimeError(f"llama_decode returned {status}")


def load(wanted: RawModel) -> Any:
    """A model's handle. Raises RuntimeError."""
    C.llama_backend_init()
    if not wanted.use_amx:
        ExtraBuffers().drop("AMX")
    params = C.llama_model_default_params()
    params.n_gpu_layers = wanted.n_gpu_layers
    params.use_extra_bufts = wanted.use_extra_buffers
    path = wanted.path.encode() if sys.platform == "win32" else os.fsencode(wanted.path)
    model = C.llama_model_load_from_file(path, params)
    if not model:
        raise RuntimeError("llama.cpp cannot load the model")
    return model


class _Server:
    """Answers requests; holds what they made."""

    def __init__(self) -> None:
        self._model: Any = None
        self._loops: dict[str, RawLoop] = {}

    def answer(self, request: dict[str, Any]) -> Any:
        if "load" in request:
            self._model = load(RawModel(**request["load"]))
            return True
        if "open" in request:
            self._loops[request["open"]] = RawLoop(self._model, RawContext(**request["context"]))
            return True
        loop = self._loops[request["measure"]]
        loop.use_threads(request["n_threads"])
        return asdict(loop.measure(request["tokens"], request["n_write"]))


def main() -> None:
    """Serve until stdin ends. Ctrl-C is the parent's to handle."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    log = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(lines,), daemon=True).start()
    server = _Server()
    while True:
        try:
            answer: dict[str, Any] = {"done": server.answer(json.loads(lines.get()))}
        except RuntimeError as error:
            answer = {"error": str(error)}
        answers.write(f"{json.dumps(answer)}\n")
        answers.flush()


def _listen(lines: queue.SimpleQueue[str]) -> None:
    for line in sys.stdin:
        lines.put(line)
    os._exit(0)


if __name__ == "__main__":
    main()
