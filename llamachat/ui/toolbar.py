"""The line below the prompt: the model, the preset, how full the context is, how fast the last answer came."""

from __future__ import annotations

from dataclasses import dataclass

from llamachat.types import ContextUse
from llamachat.ui.sanitise import sanitise_line

Fragments = list[tuple[str, str]]

_CELLS = 10  # of the gauge
_TIGHT, _FULL = 0.75, 0.9  # of the context, where the gauge warns
_SEPARATOR = " · "


@dataclass(frozen=True, slots=True)
class State:
    """What there is to show; empty and None where nothing is known. `remark` takes the place of all but the context.

    `gauge` are the characters of the bar: full and empty.
    """

    model: str = ""
    quantisation: str = ""
    preset: str = ""
    context: ContextUse | None = None
    tokens_per_second: float | None = None
    remark: str = ""
    mode: str = ""
    gauge: tuple[str, str] = ("█", "░")


def toolbar(state: State, columns: int) -> Fragments:
    """The line, without what there is no room for: the least needed goes first."""
    for line in _from_full_to_brief(state):
        if sum(len(text) for _, text in line) < columns:
            return line
    return [("", "".join(text for _, text in line)[: columns - 1])]


def _from_full_to_brief(state: State) -> list[Fragments]:
    remark = sanitise_line(state.remark)
    model, long_model = sanitise_line(state.model), sanitise_line(f"{state.model} {state.quantisation}".strip())
    preset, speed = sanitise_line(state.preset), _speed(state.tokens_per_second)
    gauge, used = _context(state, with_bar=True), _context(state, with_bar=False)
    if remark:
        return [_join(state.mode, remark, gauge), _join(remark, used), _join(remark)]
    return [
        _join(state.mode, long_model, preset, gauge, speed),
        _join(state.mode, long_model, preset, gauge),
        _join(state.mode, model, preset, gauge),
        _join(state.mode, model, gauge),
        _join(state.mode, model, used),
        _join(model, used),
        _join(used),
    ]


def _join(*parts: str | Fragments) -> Fragments:
    line: Fragments = []
    for part in parts:
        if part:
            line += [("", _SEPARATOR)] if line else []
            line += [("", part)] if isinstance(part, str) else part
    return line


def _speed(tokens_per_second: float | None) -> str:
    return "" if tokens_per_second is None else f"{tokens_per_second:,.1f} tokens/s"


def _context(state: State, *, with_bar: bool) -> Fragments:
    """`1,812/4,096` and a bar, in a warning's colour where the end is near."""
    if state.context is None or not state.context.size:
        return []
    used, size = state.context.used, state.context.size
    share = used / size
    style = "class:toolbar.full" if share >= _FULL else "class:toolbar.tight" if share >= _TIGHT else ""
    text = f"{used:,}/{size:,}"
    if with_bar:
        n_full = min(_CELLS, round(share * _CELLS) or bool(used))
        text += f" {state.gauge[0] * n_full}{state.gauge[1] * (_CELLS - n_full)}"
    return [(style, text)]
