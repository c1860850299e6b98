"""Names of sessions: twelve characters that sort by time, and are easily typed and read aloud.

Crockford's base 32 (no i, l, o, u). Eight characters count 1/32 seconds since 1970, so that the first seven are
seconds; four are random. A beginning of six tells sessions apart that were begun a minute from each other.
"""

from __future__ import annotations

import os
from datetime import datetime

_DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"
_TIME, _RANDOM = 8, 4
_MISREAD = str.maketrans("ilo", "110")


def fresh(moment: datetime) -> str:
    """One for a session that is begun at this moment; unlikely to be there already, not impossible."""
    ticks = max(0, int(moment.timestamp() * 32))
    return _spelled(ticks, _TIME) + _spelled(int.from_bytes(os.urandom(4), "big"), _RANDOM)


def normal(typed: str) -> str:
    """As it was meant: in lower case, and with digits for the letters that look like them."""
    return typed.strip().lower().translate(_MISREAD)


def _spelled(number: int, n_digits: int) -> str:
    """The lowest digits of a number."""
    return "".join(_DIGITS[number >> 5 * place & 31] for place in reversed(range(n_digits)))
