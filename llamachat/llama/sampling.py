"""The sampler chain: from logits to one token, in llama.cpp's own order.

logit bias → penalties → DRY → top-k → typical → top-p → min-p → XTC → temperature → draw; with mirostat,
logit bias → temperature → mirostat (common/sampling.cpp). Samplers that would change nothing are left out.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from llamachat.llama.lib import C
from llamachat.llama.vocabulary import Vocabulary
from llamachat.types import Sampling

_DRY_BREAKERS = (b"\n", b":", b'"', b"*")
_MIROSTAT_M = 100  # tokens that mirostat 1 estimates its exponent from; the value in llama.cpp
_KEEP_ONE = 1  # no filter may leave nothing to choose from


class Sampler:
    """A sampler chain with the state of one answer (penalties, seed). It owns its C chain."""

    def __init__(self, chain: Any, look_back: int) -> None:
        self.chain = chain
        self._look_back = look_back

    @classmethod
    @contextmanager
    def build(cls, sampling: Sampling, seed: int, vocabulary: Vocabulary) -> Iterator[Sampler]:
        """A chain for one answer, freed at the end of the block."""
        params = C.llama_sampler_chain_default_params()
        chain = C.llama_sampler_chain_init(params)
        try:
            for stage in _stages(sampling, seed, vocabulary):
                C.llama_sampler_chain_add(chain, stage)  # the chain owns it from here
            yield cls(chain, _look_back(sampling))
        finally:
            C.llama_sampler_free(chain)

    def see(self, tokens: Sequence[int]) -> None:
        """Tell the penalties what stands before the answer."""
        if self._look_back:
            for token in tokens[-self._look_back :]:
                C.llama_sampler_accept(self.chain, token)

    def sample(self, context: Any, row: int = -1) -> int:
        """Choose a token by one row of the context's logits, the last, and accept it into the chain."""
        return int(C.llama_sampler_sample(self.chain, context, row))


def _look_back(sampling: Sampling) -> int:
    """How many tokens of the prompt the penalties want to see."""
    penalties = sampling.repeat_last_n if _has_penalties(sampling) else 0
    dry = sampling.dry_penalty_last_n if sampling.dry_multiplier else 0
    return max(penalties, dry, 0)


def _has_penalties(sampling: Sampling) -> bool:
    changed = sampling.repeat_penalty != 1 or sampling.frequency_penalty != 0 or sampling.presence_penalty != 0
    return changed and sampling.repeat_last_n != 0


def _stages(sampling: Sampling, seed: int, vocabulary: Vocabulary) -> Iterator[Any]:
    if sampling.logit_bias:
        yield _logit_bias(sampling.logit_bias, vocabulary)
    if sampling.mirostat and sampling.temperature > 0:
        yield from _mirostat(sampling, seed, vocabulary)
        return
    yield from _penalties(sampling, vocabulary)
    if sampling.temperature <= 0:
        yield C.llama_sampler_init_greedy()
        return
    yield from _filters(sampling, seed)
    yield C.llama_sampler_init_temp(sampling.temperature)
    yield C.llama_sampler_init_dist(seed)


def _logit_bias(pairs: Sequence[tuple[int, float]], vocabulary: Vocabulary) -> Any:
    known = [C.llama_logit_bias(token, bias) for token, bias in pairs if 0 <= token < vocabulary.n_tokens]
    array = (C.llama_logit_bias * len(known))(*known)
    return C.llama_sampler_init_logit_bias(vocabulary.n_tokens, len(known), array)


def _mirostat(sampling: Sampling, seed: int, vocabulary: Vocabulary) -> Iterator[Any]:
    yield C.llama_sampler_init_temp(sampling.temperature)
    tau, eta = sampling.mirostat_tau, sampling.mirostat_eta
    if sampling.mirostat == 1:
        yield C.llama_sampler_init_mirostat(vocabulary.n_tokens, seed, tau, eta, _MIROSTAT_M)
    else:
        yield C.llama_sampler_init_mirostat_v2(seed, tau, eta)


def _penalties(sampling: Sampling, vocabulary: Vocabulary) -> Iterator[Any]:
    if _has_penalties(sampling):
        yield C.llama_sampler_init_penalties(
            vocabulary.n_tokens,
            sampling.repeat_last_n,
            sampling.repeat_penalty,
            sampling.frequency_penalty,
            sampling.presence_penalty,
        )
    if sampling.dry_multiplier:
        breakers = (ctypes.c_char_p * len(_DRY_BREAKERS))(*_DRY_BREAKERS)
        yield C.llama_sampler_init_dry(
            vocabulary.handle,
            sampling.dry_multiplier,
            sampling.dry_base,
            sampling.dry_allowed_length,
            sampling.dry_penalty_last_n,
            breakers,
            len(breakers),
        )


def _filters(sampling: Sampling, seed: int) -> Iterator[Any]:
    if sampling.top_k > 0:
        yield C.llama_sampler_init_top_k(sampling.top_k)
    if sampling.typical_p < 1:
        yield C.llama_sampler_init_typical(sampling.typical_p, _KEEP_ONE)
    if sampling.top_p < 1:
        yield C.llama_sampler_init_top_p(sampling.top_p, _KEEP_ONE)
    if sampling.min_p > 0:
        yield C.llama_sampler_init_min_p(sampling.min_p, _KEEP_ONE)
    if sampling.xtc_probability > 0:
        yield C.llama_sampler_init_xtc(sampling.xtc_probability, sampling.xtc_threshold, _KEEP_ONE, seed)
