"""How fast tokens are evaluated and blocks loaded, as measured; and what follows: whether a block is worth its file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_FEWEST = 16  # tokens whose evaluation says something of the rate
_NOTICEABLE = 0.1  # seconds that somebody waits for
_DRIFT = 1.1  # what was slower once is tried again after a while
_NEW = 0.5  # what the latest measurement counts


@dataclass(slots=True)
class Rates:
    """Tokens evaluated and bytes loaded a second; None until they were measured, here or in an earlier process."""

    prefill: float | None = None
    load: float | None = None

    @classmethod
    def remembered(cls, known: Mapping[str, Any]) -> Rates:
        """What `known` has of them."""

        def rate(name: str) -> float | None:
            value = known.get(name)
            return float(value) if isinstance(value, int | float) and value > 0 else None

        return cls(rate("prefill"), rate("load"))

    def evaluated(self, n_tokens: int, seconds: float) -> None:
        if n_tokens >= _FEWEST and seconds > 0:
            self.prefill = _mixed(self.prefill, n_tokens / seconds)

    def loaded(self, n_bytes: int, seconds: float) -> None:
        if n_bytes and seconds > 0:
            self.load = _mixed(self.load, n_bytes / seconds)

    def is_noticed(self, n_tokens: int) -> bool:
        """Whether evaluating so many tokens takes a time that somebody notices."""
        return self.prefill is None or n_tokens / self.prefill >= _NOTICEABLE

    def pays(self, n_tokens: int, n_bytes: int) -> bool:
        """Whether loading so many bytes beats evaluating the tokens that they hold."""
        if self.prefill is None or self.load is None:
            return True
        if n_bytes / self.load < n_tokens / self.prefill:
            return True
        self.load *= _DRIFT
        return False


def _mixed(known: float | None, measured: float) -> float:
    return measured if known is None else (1 - _NEW) * known + _NEW * measured
