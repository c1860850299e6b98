"""The JSON that scripts read from stdout."""

from __future__ import annotations

from typing import Any, BinaryIO

import msgspec

from llamachat.engine.base import Finished


def write_json(stdout: BinaryIO, value: Any) -> None:
    """One object on one line."""
    stdout.write(msgspec.json.encode(value) + b"\n")
    stdout.flush()


def encode_answer(text: str, finished: Finished, model: dict[str, str | None]) -> dict[str, Any]:
    """The contract's JSON object of an answer."""
    usage, timings, context = finished.usage, finished.timings, finished.context
    n_evaluated = usage.prompt_tokens - usage.reused_tokens
    return {
        "text": text,
        "finish_reason": str(finished.reason),
        "model": model,
        "session": None,
        "seed": finished.seed,
        "usage": {
            "prompt_tokens": usage.prompt_tokens,
            "reused_tokens": usage.reused_tokens,
            "completion_tokens": usage.completion_tokens,
        },
        "context": {"size": context.size, "used": context.used, "dropped_turns": context.dropped_turns},
        "timings": {
            "load": timings.load,
            "prefill": timings.prefill,
            "first_token": timings.first_token,
            "decode": timings.decode,
            "prefill_tps": n_evaluated / timings.prefill if n_evaluated and timings.prefill else None,
            "decode_tps": usage.completion_tokens / timings.decode if timings.decode else None,
        },
        "draft": None,
    }
