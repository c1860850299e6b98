"""What a terminal shows of rendered Markdown: themes that can be read back, and a screen that knows joined emoji."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import pyte

from llamachat.ui.markdown import Markdown
from llamachat.ui.markdown.width import clusters, width_of
from llamachat.ui.theme import Background, Glyphs, Look, Theme, theme

BARE = theme(Background.DARK, colour=False, attributes=False, encoding="utf-8")
PAINTED = theme(Background.DARK, colour=True, attributes=True, encoding="utf-8")
CORPUS = {
    path.stem: path.read_text(encoding="utf-8") for path in sorted((Path(__file__).parent / "corpus").glob("*.md"))
}

_NAMED = Theme(Glyphs(), {look: str(100 + number) for number, look in enumerate(Look)})
_SGR = re.compile(r"\x1b\[[0-9;]*m")
_PAINTED = re.compile(r"\x1b\[([0-9;]+)m(.*?)\x1b\[0m")


def render(pieces: Iterable[str], look: Theme, width: int) -> str:
    """All that comes out when the pieces are fed one after another."""
    markdown = Markdown(look, lambda: width)
    return "".join([*map(markdown.feed, pieces), markdown.flush()])


def plain(text: str, width: int = 40) -> list[str]:
    """The lines of a text as they are shown, without colours."""
    return without_sgr(render([text], PAINTED, width)).splitlines()


def marked(text: str, width: int = 40) -> list[str]:
    """The lines, with looks as `<strong>text</>`."""
    looks = list(Look)

    def name(match: re.Match[str]) -> str:
        names = " ".join(looks[int(code) - 100] for code in match[1].split(";"))
        return f"<{names}>{match[2]}</>"

    return _PAINTED.sub(name, render([text], _NAMED, width)).splitlines()


def without_sgr(output: str) -> str:
    return _SGR.sub("", output)


def screen(output: str, width: int) -> list[str]:
    """What a terminal that knows grapheme clusters shows: each goes to pyte as one character of its width."""
    n_rows = sum(1 + width_of(line) // max(1, width - 1) for line in without_sgr(output).split("\n"))
    display = pyte.Screen(width, n_rows)
    stream = pyte.Stream(display)
    stand_ins: dict[str, str] = {}
    for part in re.split(r"(\x1b\[[0-9;]*m|\n)", output):
        if part == "\n":
            stream.feed("\r\n")
        elif part.startswith("\x1b"):
            stream.feed(part)
        else:
            stream.feed("".join(_stand_in(cluster, stand_ins) for cluster in clusters(part)))
    shown = {stand_in: cluster for cluster, stand_in in stand_ins.items()}
    lines = ["".join(shown.get(character, character) for character in line).rstrip() for line in display.display]
    return lines[: len(lines) - next((i for i, line in enumerate(reversed(lines)) if line), len(lines))]


def folded(line: str, width: int) -> list[str]:
    """A line as the terminal itself wraps it."""
    rows, room = [""], width
    for cluster in clusters(line):
        if width_of(cluster) > room:
            rows.append("")
            room = width
        rows[-1] += cluster
        room -= width_of(cluster)
    return [row.rstrip() for row in rows]


def _stand_in(cluster: str, stand_ins: dict[str, str]) -> str:
    if cluster.isascii() or not width_of(cluster):
        return cluster if cluster.isascii() else ""
    if cluster not in stand_ins:
        stand_ins[cluster] = chr((0x4E00 if width_of(cluster) == 2 else 0x0400) + len(stand_ins))
    return stand_ins[cluster]
