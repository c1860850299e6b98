"""Whether the terminal's background is light or dark: from its own report, or a guess until that comes."""

from __future__ import annotations

import re
from collections.abc import Mapping

from llamachat.ui.theme import Background

QUESTION = "\x1b]11;?\x1b\\"  # xterm's OSC 11, "Operating System Commands" in its ctlseqs.txt

_COLOUR = re.compile(r"rgba?:([0-9a-fA-F]{1,4})/([0-9a-fA-F]{1,4})/([0-9a-fA-F]{1,4})")
_HEX = re.compile(r"#([0-9a-fA-F]{2})([0-9a-fA-F]{2})([0-9a-fA-F]{2})\Z")
_WEIGHTS = (0.2126, 0.7152, 0.0722)  # of red, green and blue in the relative luminance of WCAG 2
_MIDDLE = 0.18  # the luminance of a middle grey, as bright to the eye as it is dark
_LIGHT_OF_16 = {"7", "9", "10", "11", "12", "13", "14", "15"}
_MUTE = ("dumb", "linux", "")  # terminals that do not answer, or print the question


def guess(variables: Mapping[str, str]) -> Background:
    """From COLORFGBG, which rxvt, Konsole and others set: `foreground;background`; else dark."""
    colour = variables.get("COLORFGBG", "").rpartition(";")[2]
    return Background.LIGHT if colour in _LIGHT_OF_16 else Background.DARK


def can_be_asked(variables: Mapping[str, str]) -> bool:
    """Whether an answer may come, and would matter."""
    return variables.get("TERM", "") not in _MUTE and not variables.get("NO_COLOR")


def reported(answer: str) -> Background | None:
    """What a terminal says of its colour, `rgb:ffff/ffff/ffff`; None if it makes no sense."""
    if match := _COLOUR.match(answer) or _HEX.match(answer):
        channels = [int(digits, 16) / (16 ** len(digits) - 1) for digits in match.groups()]
        return Background.LIGHT if _luminance(channels) > _MIDDLE else Background.DARK
    return None


def _luminance(channels: list[float]) -> float:
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return sum(weight * value for weight, value in zip(_WEIGHTS, linear, strict=True))
