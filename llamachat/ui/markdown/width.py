"""How many columns text takes, and where it may be cut: grapheme clusters, by wcwidth.

Knows nothing of lines. What it says of a text's beginning is never changed by what follows, but for the last
cluster, which a later character may still extend.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from wcwidth import iter_graphemes, wcswidth, wcwidth

TAB = 4
_MAX_CLUSTER = 16  # characters; the longest emoji has 10, heaps of combining marks have no end
_WINDOW = 1000  # characters that are looked at in one go

# Scripts written without spaces that break anywhere, and what may not begin or end a line there.
_IDEOGRAPHIC = re.compile(
    "[\u2e80-\u2fdf\u3000-\u3003\u3005-\u3029\u3030-\u3098\u309b-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uf900-\ufaff\uff01-\uff60\U00020000-\U0003ffff]"
)
_NO_START = frozenset("、。，．・：；？！」』）】〕〉》〗ー々ぁぃぅぇぉっゃゅょァィゥェォッャュョ｝］,.:;?!)]}…’”")
_NO_END = frozenset("「『（【〔〈《〖｛［([{‘“")


def width_of(text: str) -> int:
    """Columns of a text without control characters."""
    return len(text) if text.isascii() else sum(max(0, wcswidth(cluster)) for cluster in clusters(text))


def clusters(text: str) -> Iterator[str]:
    """Grapheme clusters; one that is too long is cut, and the rest looked at anew."""
    start = 0
    while start < len(text):
        stop = start + _WINDOW
        for cluster in iter_graphemes(text, start, min(stop, len(text))):
            piece = cluster[:_MAX_CLUSTER]
            if start + len(piece) == stop < len(text):
                break  # it may go on behind the window
            yield piece
            start += len(piece)
            if len(piece) < len(cluster):
                break


def may_break(before: str, after: str) -> bool:
    """Whether a line may end between two clusters with no space between them."""
    is_between = _IDEOGRAPHIC.match(before) or _IDEOGRAPHIC.match(after)
    return bool(is_between) and after[0] not in _NO_START and before[-1] not in _NO_END


def expand_tabs(text: str, column: int) -> tuple[str, int]:
    """The text from `column` on with tabs as spaces, and the column after it.

    Characters are counted one by one, so that a cut anywhere changes nothing.
    """
    parts = []
    for part in re.findall("\t|[^\t]+", text):
        if part == "\t":
            part = " " * (TAB - column % TAB)  # noqa: PLW2901
        parts.append(part)
        column += len(part) if part.isascii() else sum(max(0, wcwidth(character)) for character in part)
    return "".join(parts), column
