"""What bounds a machine: the bytes that each token has to be fetched for, and the arithmetic of a prompt.

To write a token all weights are read once, and the KV cache as far as it is filled. What a copy reaches is the measure
of the memory: `models/memory.py` takes it with all cores.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from llamachat.bench.values import Point
from llamachat.models.gguf import Checked

_EMBEDDING, _OUTPUT = "token_embd.weight", "output.weight"
_EXPERTS = "_exps."  # in the names of tensors of which a token uses only a part
_CACHED = 64 << 20  # bytes that a processor's caches may hold: of less, memory sees little
_BOUND_BY_MEMORY = 0.6  # of a copy's bandwidth; llama.cpp's kernels were seen to reach 0.85


@dataclass(frozen=True, slots=True)
class Weights:
    """`bytes_per_token` are read to write one; `n_multiplied` weights are multiplied by each token of a prompt.

    The vectors of the tokens are looked up, not read whole, unless they are the output matrix too; and the output
    matrix concerns only a prompt's last token.
    """

    bytes_per_token: int
    n_multiplied: int

    @classmethod
    def of(cls, checked: Checked) -> Weights | None:
        """None for a mixture of experts: how many of them a token uses is not looked at here."""
        tensors = {tensor.name: tensor for tensor in checked.tensors}
        if any(_EXPERTS in name for name in tensors):
            return None
        looked_up = {_EMBEDDING} if _OUTPUT in tensors else set()
        matrices = [each for name, each in tensors.items() if len(each.shape) > 1 and name not in (_EMBEDDING, _OUTPUT)]
        return cls(
            sum(each.n_bytes for name, each in tensors.items() if name not in looked_up),
            sum(math.prod(each.shape) for each in matrices),
        )


@dataclass(frozen=True, slots=True)
class Memory:
    """What decoding fetched at a depth: bytes a token of weights and of KV, bytes a second, as a share of a copy's."""

    depth: int
    weights: int
    kv: int
    bandwidth: float
    share: float


@dataclass(frozen=True, slots=True)
class Bounds:
    """`copy` in bytes a second. `flops` is of prefill, 2 to each weight and token; attention is not counted."""

    copy: float
    memory: tuple[Memory, ...]
    flops: float | None

    @property
    def is_memory_bound(self) -> bool:
        """Whether decoding after a short prompt is as fast as memory lets it be, about."""
        first = self.memory[0] if self.memory else None
        return first is not None and first.weights > _CACHED and first.share >= _BOUND_BY_MEMORY


def bounds(points: Sequence[Point], weights: Weights, kv_bytes_per_token: float, copy: float) -> Bounds:
    """From what was measured. `copy` is the memory's bandwidth while it is copied."""
    memory = []
    for point in points:
        if point.decode:
            n_kept = point.n_reused + point.n_question + point.n_written / 2
            kv = int(n_kept * kv_bytes_per_token)
            bandwidth = (weights.bytes_per_token + kv) * point.decode.ours
            memory.append(Memory(point.depth, weights.bytes_per_token, kv, bandwidth, bandwidth / copy))
    rate = next((point.prefill.ours for point in points if point.prefill), None)
    return Bounds(copy, tuple(memory), rate and 2 * weights.n_multiplied * rate)
