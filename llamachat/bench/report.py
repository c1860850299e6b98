"""All that a run has to say, as one value, as JSON, and as a picture."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from llamachat.bench import svg
from llamachat.bench.bounds import Bounds
from llamachat.bench.trials import Trial
from llamachat.bench.values import Comparison, Point, Setup

_NOTE = 100  # characters of a line under the picture


@dataclass(frozen=True, slots=True)
class Figure:
    """One of the three things measured: what it is called, its unit, and how a value of it is written."""

    name: str
    unit: str
    of: Callable[[Point], Comparison | None]
    show: Callable[[float], str]

    @property
    def title(self) -> str:
        return f"{self.name}, {self.unit}"


def rate_in_words(rate: float) -> str:
    """Tokens a second, in three figures or more."""
    return f"{rate:,.0f}" if rate >= 100 else f"{rate:.1f}" if rate >= 10 else f"{rate:.2f}"


def milliseconds(seconds: float) -> str:
    """In whole milliseconds, in tenths where they matter."""
    return f"{1000 * seconds:,.0f}" if seconds >= 0.01 else f"{1000 * seconds:.1f}"


FIGURES = (
    Figure("prefill", "tokens/s", lambda point: point.prefill, rate_in_words),
    Figure("decode", "tokens/s", lambda point: point.decode, rate_in_words),
    Figure("first token", "ms", lambda point: point.first_token, milliseconds),
)


@dataclass(frozen=True, slots=True)
class Report:
    """`bounds` is None where they are not known: on a GPU, of a mixture of experts, before anything was measured.

    `takes_turns`: the two took turns; otherwise one came after the other. `skipped` are depths there was no time for.
    """

    setup: Setup
    points: tuple[Point, ...]
    skipped: tuple[int, ...]
    takes_turns: bool
    bounds: Bounds | None
    trials: tuple[Trial, ...]
    advice: tuple[str, ...]

    def as_json(self, *, is_interrupted: bool) -> dict[str, Any]:
        """Rates in tokens a second, times in seconds, bandwidths in bytes a second. What is not known is null."""
        setup = asdict(self.setup)
        model = {"name": setup.pop("model"), "path": setup.pop("path")}
        return {
            "model": model,
            **setup,
            "depths": [_point_as_json(point) for point in self.points],
            "skipped": list(self.skipped),
            "takes_turns": self.takes_turns,
            "interrupted": is_interrupted,
            "bounds": self.bounds and {**asdict(self.bounds), "memory_bound": self.bounds.is_memory_bound},
            "trials": [asdict(trial) for trial in self.trials],
            "advice": list(self.advice),
        }

    def as_svg(self) -> str:
        """The chart as a file's content."""
        setup = self.setup
        panels = [svg.Panel(figure.title, _bars(figure, self.points)) for figure in FIGURES]
        notes = [
            "By depth, the tokens that came before. Ratio: llamachat's speed ÷ raw llama.cpp's, the median of pairs.",
            *textwrap.wrap(setup_line(setup), _NOTE),
            *textwrap.wrap(setup.build, _NOTE),
        ]
        return svg.picture(f"{setup.model}: llamachat and raw llama.cpp", notes, [each for each in panels if each.bars])


def setup_line(setup: Setup) -> str:
    """What was measured on, in a line."""
    threads = "1 thread" if setup.n_threads == 1 else f"{setup.n_threads} threads"
    attention = "on" if setup.flash_attention else "off"
    return (
        f"{setup.model} {setup.quantisation} ({Path(setup.path).name}), {threads}, "
        f"{', '.join(setup.devices)}, context {setup.n_ctx:,}, KV cache {setup.kv_type}, flash attention {attention}."
    )


def _point_as_json(point: Point) -> dict[str, Any]:
    def compared(figure: Comparison | None, n_tokens: int) -> dict[str, Any] | None:
        if figure is None:
            return None
        return {"tokens": n_tokens, "llamachat": figure.ours, "raw": figure.raw, "ratio": figure.ratio}

    return {
        "depth": point.depth,
        "cached_tokens": point.n_reused,
        "rounds": point.n_rounds,
        "prefill": compared(point.prefill, point.n_read),
        "decode": compared(point.decode, point.n_written),
        "first_token": compared(point.first_token, point.n_question),
        "spread": point.spread,
    }


def _bars(figure: Figure, points: tuple[Point, ...]) -> tuple[svg.Bar, ...]:
    known = [(point, compared) for point in points if (compared := figure.of(point))]
    return tuple(
        svg.Bar(
            f"{point.depth:,}",
            compared.ours,
            compared.raw,
            figure.show(compared.ours),
            figure.show(compared.raw),
            f"ratio {compared.ratio:.2f}",
        )
        for point, compared in known
    )
