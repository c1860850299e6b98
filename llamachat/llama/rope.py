"""How a model knows where its tokens stand: whether that can be stretched, and whether keys can be moved."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from llamachat.llama.lib import C


@dataclass(frozen=True, slots=True)
class Rope:
    """The rotation of a loaded model's keys. `scaling` is what the file says of it, `head_size` numbers of a key."""

    handle: Any
    scaling: str | None
    head_size: int
    n_ctx_train: int

    @property
    def is_there(self) -> bool:
        return bool(C.llama_model_rope_type(self.handle) != C.LLAMA_ROPE_TYPE_NONE)

    def stretch(self, n_ctx: int) -> float:
        """How many times as long a context is as those of the training, if positions are to be stretched to fit.

        A file that says how to scale, or that has no rotation, is left alone: 1.
        """
        is_scaled = self.scaling not in (None, "none") or C.llama_model_rope_freq_scale_train(self.handle) != 1
        return n_ctx / self.n_ctx_train if self.is_there and not is_scaled and n_ctx > self.n_ctx_train else 1.0

    def prepare(self, params: Any, n_ctx: int) -> None:
        """Set what a context of so many tokens needs. YaRN and not linear scaling: docs/context.md has the figures."""
        if (stretch := self.stretch(n_ctx)) > 1:
            params.rope_scaling_type = C.LLAMA_ROPE_SCALING_TYPE_YARN
            params.rope_freq_scale, params.yarn_orig_ctx = 1 / stretch, self.n_ctx_train

    def can_move_keys(self, context: Any, kv_type: str) -> bool:
        """Whether a token's place is in its key alone, and llama.cpp can turn that key to another place.

        It says yes for quantised keys too, and crashes, where it has no rotation for the head's size
        (llama.cpp pull request 25636).
        """
        if not self.is_there or C.llama_model_is_recurrent(self.handle) or C.llama_model_is_hybrid(self.handle):
            return False
        is_rotated = self.head_size % 64 == 0 and not os.environ.get("LLAMA_ATTN_ROT_DISABLE")
        return (kv_type == "f16" or is_rotated) and bool(C.llama_memory_can_shift(C.llama_get_memory(context)))
