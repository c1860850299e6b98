"""Whether a format's prompts end inside a thought: some templates write the `<think>` that begins it, and the model
only the `</think>` that ends it.
"""

from __future__ import annotations

from llamachat.errors import LlamachatError
from llamachat.formats.base import Control, Format, Text
from llamachat.types import Message, Role

_OPENING = "<think>"


def opens_thought(format_: Format) -> bool:
    """Found out by a question: what a template writes behind it does not depend on what was asked."""
    try:
        segments = format_.prompt([Message(Role.USER, "question")])
    except LlamachatError:  # every question meets that, and says it
        return False
    written = "".join(segment.text for segment in segments if isinstance(segment, Text | Control))
    return written.rstrip().endswith(_OPENING)
