"""Keeps text from acting on the terminal it is shown on.

Character by character, so that no cut between two pieces of text can matter: a sequence is harmless
once its first character is. Control characters become their pictures (ESC is shown as ␛); characters
that reorder or hide text are dropped. Newline and tab stay, and the joiners that scripts and emoji need.
"""

from __future__ import annotations

_PICTURES = 0x2400
_DELETE_PICTURE = 0x2421
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"

_SHOWN = {code: chr(_PICTURES + code) for code in range(0x20) if chr(code) not in "\n\t\r"}
_SHOWN[0x7F] = chr(_DELETE_PICTURE)
_C1 = dict.fromkeys(range(0x80, 0xA0), _REPLACEMENT)  # 8-bit CSI, OSC, ...
_LONE_SURROGATES = dict.fromkeys(range(0xD800, 0xE000), _REPLACEMENT)
_SEPARATORS = {0x2028: "\n", 0x2029: "\n"}
_DROPPED = dict.fromkeys(
    [
        0x0D,  # a carriage return would overwrite the line
        0x00AD,  # soft hyphen
        0x034F,  # combining grapheme joiner
        0x061C,  # Arabic letter mark
        *range(0x115F, 0x1161),  # Hangul fillers
        *range(0x17B4, 0x17B6),  # Khmer inherent vowels
        *range(0x180B, 0x1810),  # Mongolian separators
        0x200B,  # zero-width space
        *range(0x200E, 0x2010),  # left-to-right and right-to-left marks
        *range(0x202A, 0x202F),  # bidirectional embeddings and overrides
        *range(0x2060, 0x2070),  # word joiner, invisible operators, bidirectional isolates
        0x3164,  # Hangul filler
        0xFEFF,  # byte order mark
        0xFFA0,  # half-width Hangul filler
        *range(0xFFF0, 0xFFFC),  # interlinear annotations
        *range(0x1BCA0, 0x1BCA4),  # shorthand format controls
        *range(0x1D173, 0x1D17B),  # musical format controls
        *range(0xE0000, 0xE1000),  # tags and variation selectors: whole hidden alphabets
    ],
    "",
)
_TABLE = {**_SHOWN, **_C1, **_LONE_SURROGATES, **_SEPARATORS, **_DROPPED}


def sanitise(text: str) -> str:
    """The text with nothing in it that a terminal would obey."""
    return text.translate(_TABLE)


def sanitise_line(text: str) -> str:
    """The same for a single line: file names, titles, messages."""
    return sanitise(text).replace("\n", "␊").replace("\t", " ")
