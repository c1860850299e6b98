"""What made an answer, as it is written down beside it: enough to say why it is so, and to make it again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from llamachat.chat.conversation import Made
from llamachat.engine.base import Finished, Request
from llamachat.types import ContextUse, Message, ModelInfo, Role


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


def opens_thought(made: Made | None) -> bool:
    """Whether the text of an answer begins inside a thought, whose opening tag was in the prompt."""
    return made is not None and made.get("opens_thought") is True


def made_by(info: ModelInfo | None, request: Request, seen: Sequence[int], finished: Finished) -> Made:
    """Model and build, format, sampling in force with the seed, the turns that were seen, tokens and seconds.

    `seen` are numbers of turns. `sha256` is None where nobody has computed it. Of an answer that was continued the last
    stretch is described: `continued` says where it begins. `candidate` is which of how many it was that were made
    together. `draft` is there where tokens could be guessed.
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
        "threads": info.n_threads if info else None,
        "gpu_layers": info.n_gpu_layers if info else None,
        "flash_attention": info.flash_attention if info else None,
        "kv_type": info.kv_type if info else None,
        "repacked": info.repacked if info else None,
        "batch": info.n_batch if info else None,
        "system_sha256": sha256_of_system(request.messages),
        "seed": finished.seed,
        "exact": request.seed is not None,
        "sampling": sampling,
        "max_tokens": request.max_tokens,
        "stop": list(request.stops),
        "opens_thought": bool(info and info.opens_thought),
        "turns": list(seen),
        "continued": _beginning(request),
        **({"candidate": {"number": finished.index + 1, "of": request.n}} if request.n > 1 else {}),
        "usage": asdict(finished.usage),
        "timings": asdict(finished.timings),
        **({"draft": asdict(finished.draft)} if finished.draft else {}),
        "context": asdict(finished.context),
    }


def sha256_of_system(messages: Sequence[Message]) -> str | None:
    """Tells one system prompt from another; None where there is none."""
    if not messages or messages[0].role is not Role.SYSTEM:
        return None
    import hashlib  # noqa: PLC0415  2 ms that the first prompt does not wait for

    return hashlib.sha256(messages[0].content.encode("utf-8", "replace")).hexdigest()


def _beginning(request: Request) -> dict[str, Any] | None:
    """What stood already when an answer went on: characters, and token ids where all are known."""
    if not request.open_answer:
        return None
    before = request.messages[-1]
    return {"characters": len(before.content), "tokens": len(before.tokens.ids) if before.tokens else None}
