"""A GGUF file in memory: loading it, what it says of itself, and the context it computes in."""

from __future__ import annotations

import ctypes
import re
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from llamachat.errors import ModelError
from llamachat.formats.choose import ModelFacts
from llamachat.llama import machine, pagecache, weights
from llamachat.llama.knobs import Knobs, knobs_of
from llamachat.llama.lib import GGML_TYPES, AbortFlag, C, Device, ExtraBuffers, Log, devices
from llamachat.llama.rope import Rope
from llamachat.llama.session import N_SEQUENCES, Aborted, Session
from llamachat.llama.vocabulary import Vocabulary
from llamachat.llama.weights import OnProgress
from llamachat.types import MOST_CANDIDATES, LoadOptions, Sampling

_FLASH_AUTO, _FLASH_OFF, _FLASH_ON = -1, 0, 1
_Q8_BLOCK = 32  # numbers of a block of q8_0
_TILE = 16  # tokens that llama.cpp's kernels for repacked weights take at once: 16 cost less than 14
_SMALLEST_CONTEXT = 256  # llama.cpp rounds up to this, and ends the process when asked for much less
_SAMPLING_KEYS = {  # llama_model_meta_key → our name; what a model recommends for itself
    "general.sampling.temp": "temperature",
    "general.sampling.top_k": "top_k",
    "general.sampling.top_p": "top_p",
    "general.sampling.min_p": "min_p",
    "general.sampling.xtc_probability": "xtc_probability",
    "general.sampling.xtc_threshold": "xtc_threshold",
    "general.sampling.penalty_last_n": "repeat_last_n",
    "general.sampling.penalty_repeat": "repeat_penalty",
    "general.sampling.mirostat": "mirostat",
    "general.sampling.mirostat_tau": "mirostat_tau",
    "general.sampling.mirostat_eta": "mirostat_eta",
}
_LLAMA2_SAMPLING = Sampling(temperature=0.6, top_p=0.9)  # Meta's, llama/example_chat_completion.py
_USUAL_SAMPLING = Sampling(temperature=0.8, top_k=40, top_p=0.95, min_p=0.05)  # llama.cpp's


class Model:
    """A loaded model. `close` frees it, after its sessions."""

    def __init__(self, handle: Any, options: LoadOptions, gpus: list[Device], n_gpu_layers: int) -> None:
        self.handle = handle
        self.options = options
        self.gpus = gpus
        self.n_gpu_layers = n_gpu_layers
        self.vocabulary = Vocabulary(C.llama_model_get_vocab(handle))
        self.size_bytes: int = C.llama_model_size(handle)
        self.n_params: int = C.llama_model_n_params(handle)
        self.n_ctx_train: int = C.llama_model_n_ctx_train(handle)
        self.n_layers: int = C.llama_model_n_layer(handle)
        self.quantisation = _quantisation(handle)
        self.load_seconds = 0.0  # of laying out the weights, once they were in the page cache
        self.is_repacked = False  # whether any of them was laid out anew

    @classmethod
    def load(cls, options: LoadOptions, log: Log, on_progress: OnProgress) -> Model:
        """Load the weights. `on_progress(done, total)` counts bytes, first read, then laid out.

        Raises ModelError with llama.cpp's own reason.
        """
        path = Path(options.path)
        weights.check_file(path)
        pagecache.warm(path, machine.available_memory(), on_progress)
        gpus = [device for device in devices() if device.is_gpu] if options.use_gpu else []
        n_gpu_layers = _gpu_layers(options, gpus)
        log.buffers.clear()
        started = time.perf_counter()
        handle = weights.load(options, n_gpu_layers, on_progress)
        while not handle and n_gpu_layers and options.gpu_layers is None:
            n_gpu_layers //= 2  # the estimate was too high: another program may hold the GPU's memory
            handle = weights.load(options, n_gpu_layers, on_progress)
        if not handle:
            reason = log.errors[-1] if log.errors else "llama.cpp gave no reason"
            raise ModelError(
                f"{path.name} cannot be loaded: {reason}.", "Download it again, or choose another with -m."
            )
        model = cls(handle, options, gpus, n_gpu_layers)
        model.load_seconds = time.perf_counter() - started
        model.is_repacked = not set(log.buffers).isdisjoint(ExtraBuffers().names())
        return model

    def laid_out_plainly(self, abort: AbortFlag) -> Model:
        """The same model once more, its weights as they lie in the file. Raises Aborted, ModelError.

        The file is in the page cache, or read into it first: llama.cpp could not be stopped while it waits for a disk.
        """

        def give_way(_done: int, _total: int) -> None:
            if abort:
                raise Aborted

        options = replace(self.options, use_extra_buffers=False)
        path = Path(options.path)
        pagecache.warm(path, machine.available_memory(), give_way)
        started = time.perf_counter()
        handle = weights.load(options, 0, lambda _done, _total: None)
        if not handle:
            raise ModelError(f"{path.name} cannot be loaded a second time.")
        model = Model(handle, options, [], 0)
        model.load_seconds = time.perf_counter() - started
        return model

    def close(self) -> None:
        C.llama_model_free(self.handle)

    def metadata(self, key: str) -> str | None:
        """A value of the GGUF's header as text; None when it is not there."""
        size = C.llama_model_meta_val_str(self.handle, key.encode(), None, 0)
        if size < 0:
            return None
        buffer = ctypes.create_string_buffer(size + 1)
        C.llama_model_meta_val_str(self.handle, key.encode(), buffer, len(buffer))
        return buffer.value.decode("utf-8", "replace")

    @property
    def architecture(self) -> str:
        return self.metadata("general.architecture") or ""

    @property
    def facts(self) -> ModelFacts:
        """What the choice of a chat format needs to know."""
        return ModelFacts(
            architecture=self.architecture,
            tokenizer_model=self.metadata("tokenizer.ggml.model") or "",
            context_length=self.n_ctx_train,
            chat_template=self.metadata("tokenizer.chat_template"),
            file_name=Path(self.options.path).name,
            name=self.metadata("general.name") or "",
            declared_format=self.metadata("llamachat.format"),
        )

    @property
    def rope(self) -> Rope:
        scaling = self.metadata(f"{self.architecture}.rope.scaling.type")
        return Rope(self.handle, scaling, self._head_size("key"), self.n_ctx_train)

    def sampling(self, format_name: str) -> Sampling:
        """The model's own defaults: what its file recommends, else the catalogue, else its family's."""
        base = _LLAMA2_SAMPLING if format_name == "llama2" else _USUAL_SAMPLING
        values = {field: self.metadata(key) for key, field in _SAMPLING_KEYS.items()}
        told = {field: type(getattr(base, field))(float(value)) for field, value in values.items() if value}
        if told:
            return Sampling(**told)
        return self.options.sampling or base

    @property
    def kv_bytes_per_token(self) -> int:
        """Of all layers, K and V. 7B Llama 2 in f16: 512 KiB."""
        n_heads_kv = C.llama_model_n_head_kv(self.handle)
        block = {"f16": 2.0, "q8_0": 34 / 32}[self.kv_type]
        return int(self.n_layers * n_heads_kv * (self._head_size("key") + self._head_size("value")) * block)

    def _head_size(self, what: str) -> int:
        """Numbers of one head's key or value."""
        size = C.llama_model_n_embd(self.handle) // max(1, C.llama_model_n_head(self.handle))
        return int(self.metadata(f"{self.architecture}.attention.{what}_length") or size)

    @property
    def kv_type(self) -> str:
        return self.options.kv_type or "f16"

    @property
    def knobs(self) -> Knobs:
        """How it computes."""
        return knobs_of(self.options, self.kv_type, self.size_bytes, self.n_gpu_layers)

    def settle_kv_type(self, beside: Model | None = None) -> bool:
        """Take q8_0 if nobody chose a type and f16 would cut the context that was trained; whether that is so.

        Not where the crash of an earlier process forbids the flash attention that it needs, nor for heads that cannot
        be cut into its blocks.
        """
        options = self.options
        self.options = replace(options, kv_type=options.kv_type or "f16")
        fits_blocks = all(self._head_size(what) % _Q8_BLOCK == 0 for what in ("key", "value"))
        if options.kv_type or options.n_ctx or not (options.use_flash_attention and fits_blocks and self.can_forget):
            return False
        if (n_ctx := self.context_size(beside)) >= self.n_ctx_train:
            return False
        self.options = replace(options, kv_type="q8_0")
        if self.context_size(beside) > n_ctx:
            return True
        self.options = replace(options, kv_type="f16")
        return False

    def context_size(self, beside: Model | None = None) -> int:
        """The context in tokens: asked for, or what the model was trained on, or what memory allows.

        `beside` is another model with a context of the same size.
        """
        if self.options.n_ctx:
            return self.options.n_ctx
        on_cpu = 1 - self.n_gpu_layers / (self.n_layers + 1)
        if on_cpu <= 0:
            available, share = sum(gpu.free for gpu in self.gpus), 1.0
        else:
            available, share = machine.available_memory(), on_cpu
        kv_bytes, weight_bytes = int(self.kv_bytes_per_token * share), int(self.size_bytes * share)
        if beside:
            kv_bytes, weight_bytes = kv_bytes + beside.kv_bytes_per_token, weight_bytes + beside.size_bytes
        return machine.fit_context(self.n_ctx_train, kv_bytes, weight_bytes, available)

    @property
    def is_on_gpu(self) -> bool:
        """Whether all of it is, so that it leaves the CPU to others."""
        return self.n_gpu_layers > self.n_layers

    @property
    def can_forget(self) -> bool:
        """Whether its context can go back to an earlier token: a recurrent model has one state, after the last."""
        return not (C.llama_model_is_recurrent(self.handle) or C.llama_model_is_hybrid(self.handle))

    @property
    def _n_branches(self) -> int:
        """Answers that can grow side by side. A recurrent model has a state of many megabytes for each: there, none."""
        return MOST_CANDIDATES if self.can_forget else 0

    def session(self, n_ctx: int, abort: AbortFlag, knobs: Knobs | None = None) -> Session:
        """A context of `n_ctx` tokens and its KV cache. Raises ModelError when memory does not allow it.

        `knobs` are others than the model's own, to be measured. Memory is checked first: llama.cpp ends the process
        when an allocation is absurd.
        """
        n_bytes = n_ctx * self.kv_bytes_per_token
        too_much = ModelError(
            f"there is no memory for a context of {n_ctx:,} tokens ({n_bytes / 2**30:.1f} GiB).",
            "Try a smaller --ctx-size, or --kv-type q8_0.",
        )
        if n_bytes > machine.available_memory() + sum(gpu.free for gpu in self.gpus):
            raise too_much
        knobs = knobs or self.knobs
        params = C.llama_context_default_params()
        params.n_ctx = max(n_ctx, _SMALLEST_CONTEXT)
        params.n_batch = params.n_ubatch = knobs.chunk
        params.n_threads, params.n_threads_batch = knobs.n_threads, knobs.n_threads_prefill
        self.rope.prepare(params, n_ctx)
        params.type_k = params.type_v = GGML_TYPES[self.kv_type]
        params.n_seq_max, params.kv_unified = N_SEQUENCES + self._n_branches, True
        params.flash_attn_type = _FLASH_ON if knobs.flash_attention else _FLASH_OFF
        params.abort_callback, params.abort_callback_data = abort.callback, abort.data
        context = C.llama_init_from_model(self.handle, params)
        if not context:
            raise too_much
        can_shift = self.rope.can_move_keys(context, self.kv_type)
        tile = _TILE if self.is_repacked and self.can_forget else 1
        return Session(
            context, knobs.chunk, abort, n_ctx, can_shift=can_shift, n_branches=self._n_branches, tile=tile
        )  # fmt: skip


def _quantisation(handle: Any) -> str:
    """As file names have it: `Q4_K_M`, where llama.cpp says `Q4_K - Medium`."""
    name = (C.llama_ftype_name(C.llama_model_ftype(handle)) or b"").decode()
    return re.sub(r" - (\w)\w*$", r"_\1", name)


def _gpu_layers(options: LoadOptions, gpus: list[Device]) -> int:
    """Layers to put on the GPUs, the output layer counted as one; 0 without a GPU."""
    if not gpus or options.gpu_layers == 0:
        return 0
    params = C.llama_model_default_params()
    params.vocab_only = True
    handle = C.llama_model_load_from_file(weights.encoded(Path(options.path)), params)
    if not handle:
        return 0  # the real load says why
    header = Model(handle, options, gpus, 0)
    try:
        if options.gpu_layers is not None:
            return header.n_layers + 1 if options.gpu_layers < 0 else min(options.gpu_layers, header.n_layers + 1)
        kv_bytes = header.kv_bytes_per_token * (options.n_ctx or header.n_ctx_train)
        weight_bytes = Path(options.path).stat().st_size
        return machine.fit_gpu_layers(header.n_layers, weight_bytes, kv_bytes, [gpu.free for gpu in gpus])
    finally:
        header.close()
