"""How a model computes: threads, tokens of a batch, flash attention. Chosen by the user, measured, or by default."""

from __future__ import annotations

from dataclasses import dataclass

from llamachat.llama import machine
from llamachat.types import LoadOptions

_CHUNK = 512  # tokens a batch: what llama.cpp's matrix kernels are tuned for
_CHUNK_LARGE = 256  # of a large model on a CPU, so that an operation ends within 100 ms of an abort
LARGE_MODEL = 3 << 30  # bytes


@dataclass(frozen=True, slots=True)
class Knobs:
    """`n_threads` for decoding and for prefill, `chunk` tokens of a batch during prefill."""

    n_threads: int
    n_threads_prefill: int
    chunk: int
    flash_attention: bool


def default_knobs(options: LoadOptions, kv_type: str, size_bytes: int, n_gpu_layers: int) -> Knobs:
    """What holds where nothing was measured. Flash attention: where it pays, and where a quantised V cache needs it."""
    n_threads = options.n_threads or machine.thread_count()
    chunk = _CHUNK_LARGE if size_bytes > LARGE_MODEL and not n_gpu_layers else _CHUNK
    pays = n_gpu_layers > 0 or machine.flash_attention_pays()
    return Knobs(n_threads, n_threads, chunk, kv_type != "f16" or (pays and options.use_flash_attention))


def knobs_of(options: LoadOptions, kv_type: str, size_bytes: int, n_gpu_layers: int) -> Knobs:
    """What holds: what the user chose, then what was measured with as many cores and without a GPU."""
    default = default_knobs(options, kv_type, size_bytes, n_gpu_layers)
    tuned = options.tuned
    if tuned is None or n_gpu_layers or tuned.n_cores != machine.thread_count():
        return default
    flash = default.flash_attention if tuned.flash_attention is None else tuned.flash_attention
    return Knobs(
        options.n_threads or tuned.n_threads or default.n_threads,
        options.n_threads or tuned.n_threads_prefill or default.n_threads_prefill,
        min(tuned.chunk or default.chunk, default.chunk),
        kv_type != "f16" or (flash and options.use_flash_attention),
    )
