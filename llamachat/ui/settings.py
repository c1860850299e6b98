"""`/set`: the values that change how answers are made, by name."""

from __future__ import annotations

import difflib
import math
from dataclasses import fields

from llamachat.chat.turn import Settings
from llamachat.errors import UsageError
from llamachat.types import ModelInfo, Sampling

_SAMPLING = {field.name: type(field.default) for field in fields(Sampling) if field.name != "logit_bias"}
_RANGES = {  # lowest, highest; native code stops the process at some values beyond
    "temperature": (0, 100),
    "top_p": (0, 1),
    "min_p": (0, 1),
    "typical_p": (0, 1),
    "xtc_probability": (0, 1),
    "xtc_threshold": (0, 1),
    "repeat_penalty": (0.01, 100),
    "mirostat": (0, 2),
    "seed": (0, 2**32 - 2),
    "max_tokens": (1, 2**31),
}
_INTEGERS = ("seed", "max_tokens")
NAMES = (*_SAMPLING, *_INTEGERS, "stop")


def change(settings: Settings, name: str, value: str) -> None:
    """Set one value; `off` goes back to the model's own. Raises UsageError with what was expected."""
    if name not in NAMES:
        near = difflib.get_close_matches(name, NAMES, n=1)
        raise UsageError(f"there is no setting {name!r}.", f"Did you mean {near[0]}?" if near else "All of them: /set")
    if not value:
        raise UsageError(f"{name} needs a value, or off.", f"Now: {dict(describe(settings, None))[name]}")
    if name == "stop":
        settings.stops = () if value == "off" else (*settings.stops, value)
    elif name in _INTEGERS:
        setattr(settings, name, None if value == "off" else int(_number(name, value, int)))
    elif value == "off":
        settings.sampling.pop(name, None)
    else:
        settings.sampling[name] = _number(name, value, _SAMPLING[name])


def describe(settings: Settings, info: ModelInfo | None) -> list[tuple[str, str]]:
    """Every value in force, by name; those that were set are marked."""
    rows = []
    for name in _SAMPLING:
        own = str(getattr(info.sampling, name)) if info else "the model's own"
        given = settings.sampling.get(name)
        rows.append((name, own if given is None else f"{given}  (set; otherwise {own})"))
    for name in _INTEGERS:
        given = getattr(settings, name)
        rows.append((name, "off" if given is None else str(given)))
    return [*rows, ("stop", " ".join(map(repr, settings.stops)) or "off")]


def _number(name: str, value: str, kind: type) -> float | int:
    lowest, highest = _RANGES.get(name, (-(2**31), 2**31 - 1))
    try:
        number: float | int = kind(value)
    except ValueError:
        number = math.nan
    if not lowest <= number <= highest:
        what = "a whole number" if kind is int else "a number"
        bounds = f" from {lowest:g} to {highest:g}" if name in _RANGES else ""
        raise UsageError(f"{name} takes {what}{bounds}, or off; not {value!r}.")
    return number
