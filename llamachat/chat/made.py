"""What made an answer, as it is written down beside it: enough to say why it is so, and to make it again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from llamachat.chat.conversation import Made
from llamachat.engine.base import Finished, Request
from llamachat.types import ContextUse, ModelInfo


def context_of(made: Made | None, info: ModelInfo) -> ContextUse | None:
    """How full this model's context was after an answer, if that can be told: what was imported may say anything."""
    context = made.get("context") if made and made.get("path") == info.path else None
    if (
        not isinstance(context, Mapping)
        or context.get("size") != info.n_ctx
        or not isinstance(context.get("used"), int)
    ):
        return None
    return ContextUse(info.n_ctx, context["used"])


def made_by(info: ModelInfo | None, request: Request, seen: Sequence[int], finished: Finished) -> Made:
    """Model and build, format, sampling in force with the seed, the turns that were seen, tokens and seconds.

    `seen` are numbers of turns. `sha256` is None where nobody has computed it.
    """
    sampling = {**asdict(info.sampling), **request.sampling} if info else dict(request.sampling)
    sampling.pop("logit_bias", None)
    return {
        "model": info.name if info else None,
        "path": info.path if info else None,
        "sha256": info.sha256 if info else None,
        "quantisation": info.quantisation if info else None,
        "build": info.build if info else None,
        "format": info.format if info else None,
        "seed": finished.seed,
        "exact": request.seed is not None,
        "sampling": sampling,
        "max_tokens": request.max_tokens,
        "stop": list(request.stops),
        "turns": list(seen),
        "usage": asdict(finished.usage),
        "timings": asdict(finished.timings),
        "context": asdict(finished.context),
    }
