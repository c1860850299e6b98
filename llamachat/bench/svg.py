"""The comparison as a picture: one SVG with nothing outside it, readable on a light and on a dark page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

_WIDTH, _MARGIN, _LABEL = 760, 24, 92
_TITLE, _BAR, _GAP, _GROUP_GAP, _PANEL_GAP = 64, 14, 2, 10, 30
_VALUE = 150  # columns of pixels behind the bars, for figures
_STYLE = """
text{font:13px system-ui,sans-serif;fill:#1f2328}
.page{fill:#fff}.title{font-size:17px;font-weight:600}.head{font-weight:600}.small{fill:#59636e}
.ours{fill:#0969da}.raw{fill:#9aa4ae}
@media (prefers-color-scheme:dark){
text{fill:#e6edf3}.page{fill:#0d1117}.small{fill:#9198a1}.ours{fill:#4493f8}.raw{fill:#656c76}}
""".replace("\n", "")


@dataclass(frozen=True, slots=True)
class Bar:
    """Two figures and how they are written, at a depth."""

    label: str
    ours: float
    raw: float
    ours_text: str
    raw_text: str
    ratio: str


@dataclass(frozen=True, slots=True)
class Panel:
    """One figure at all depths."""

    title: str
    bars: tuple[Bar, ...]

    @property
    def height(self) -> int:
        return 24 + len(self.bars) * _group_height()


def picture(title: str, notes: Sequence[str], panels: Sequence[Panel]) -> str:
    """The SVG's text. `notes` are lines under the chart."""
    parts, y = [], _TITLE
    for panel in panels:
        parts += _panel(panel, y)
        y += panel.height + _PANEL_GAP
    for note in notes:
        parts.append(_text(_MARGIN, y, note, "small"))
        y += 19
    height = y + _MARGIN // 2
    size = f'width="{_WIDTH}" height="{height}"'
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} viewBox="0 0 {_WIDTH} {height}" role="img">',
        f"<title>{_safe(title)}</title><style>{_STYLE}</style>",
        f'<rect class="page" {size} rx="8"/>',
        _text(_MARGIN, 32, title, "title"),
        *_legend("ours", _WIDTH - 212, "llamachat"),
        *_legend("raw", _WIDTH - 124, "raw llama.cpp"),
    )
    return "\n".join([*head, *parts, "</svg>", ""])


def _panel(panel: Panel, y: int) -> list[str]:
    parts = [_text(_MARGIN, y, panel.title, "head")]
    most = max((max(bar.ours, bar.raw) for bar in panel.bars), default=0.0) or 1.0
    room = _WIDTH - 2 * _MARGIN - _LABEL - _VALUE
    y += 14
    for bar in panel.bars:
        parts.append(_text(_MARGIN, y + _BAR + 4, bar.label))
        for offset, kind, value in ((0, "ours", bar.ours), (_BAR + _GAP, "raw", bar.raw)):
            width = max(1, round(room * value / most))
            parts.append(
                f'<rect class="{kind}" x="{_MARGIN + _LABEL}" y="{y + offset}" width="{width}" height="{_BAR}" rx="2"/>'
            )
            shown = f"{bar.ours_text} · {bar.ratio}" if kind == "ours" else bar.raw_text
            parts.append(_text(_MARGIN + _LABEL + width + 6, y + offset + 11, shown, "small" if kind == "raw" else ""))
        y += _group_height()
    return parts


def _legend(kind: str, x: int, name: str) -> tuple[str, str]:
    return f'<rect class="{kind}" x="{x}" y="42" width="10" height="10"/>', _text(x + 16, 52, name, "small")


def _group_height() -> int:
    return 2 * _BAR + _GAP + _GROUP_GAP


def _text(x: int, y: int, text: str, kind: str = "") -> str:
    named = f' class="{kind}"' if kind else ""
    return f'<text x="{x}" y="{y}"{named}>{_safe(text)}</text>'


def _safe(text: str) -> str:
    """Text for XML, which has no place for control characters or lone surrogates."""
    printable = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)
    return escape(printable, {'"': "&quot;"})
