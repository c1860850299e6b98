'''What a draft says about itself: whether it goes on, and what of it is the message.

Three things let a message go on after Enter: an open code fence, a line that ends in a backslash, and an opening
"""". A draft that is sent as it is, because the user insists, loses nothing.
'''

from __future__ import annotations

from llamachat.chat.code import has_open_fence

_QUOTES = '"""'


def is_open(draft: str) -> bool:
    """Whether Enter breaks the line: a block that `\"""` or a code fence opened is not closed yet."""
    if _is_quoted(draft):
        return not _is_closed(draft)
    return ("```" in draft or "~~~" in draft) and has_open_fence(draft)


def without_continuation(draft: str) -> str | None:
    """The draft without the backslash at its end that lets it go on; None if there is none.

    Two backslashes are a backslash: the end of a Windows path, say.
    """
    n_backslashes = len(draft) - len(draft.rstrip("\\"))
    return draft[:-1] if n_backslashes % 2 and not _is_quoted(draft) else None


def message_of(draft: str) -> str:
    """What is sent: the draft without the marks of a block."""
    if not (_is_quoted(draft) and _is_closed(draft)):
        return draft
    inside = draft.strip()[len(_QUOTES) : -len(_QUOTES)]
    return inside.removeprefix("\n").removesuffix("\n")


def _is_quoted(draft: str) -> bool:
    return draft.lstrip().startswith(_QUOTES)


def _is_closed(draft: str) -> bool:
    text = draft.strip()
    return len(text) >= 2 * len(_QUOTES) and text.endswith(_QUOTES)
