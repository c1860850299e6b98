"""What is within one line: emphasis, strong, strike, code spans, links, images, escapes.

Left to right, each character looked at once: text goes on as soon as no closer can change it any more. A span is
held until its closer, for at most `LIMIT` characters; then its opener is text.
"""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass

from llamachat.ui.markdown.delimiters import MAYBE_NAME, NAME, RUN, Delimiter, delimiter
from llamachat.ui.markdown.links import LINK, MAYBE_LINK
from llamachat.ui.markdown.wrap import Looks
from llamachat.ui.theme import Look, Theme

LIMIT = 1000

_PLAIN = re.compile(r"(?:[^\\`*_~\[!]+|!(?=[^\[]))+")
_TICKS = re.compile("`+")
_ESCAPABLE = frozenset("\\`*_#+-.!|>~<")
_ESCAPED_IN_URL = re.compile(r"\\([\\`*_#+\-.!|>~<()])")
_ACTIVE = (Look.STRONG, Look.EMPHASIS, Look.STRIKE)


@dataclass(frozen=True, slots=True)
class _Text:
    text: str
    looks: Looks = ()


class Inline:
    """One line: `feed` its pieces, then `end` it. `base` is how the whole line looks."""

    def __init__(
        self, theme: Theme, sink: Callable[[str, Looks], None], base: Looks = (), *, has_links: bool = True
    ) -> None:
        self._theme = theme
        self._sink = sink
        self._has_links = has_links
        self._base = self._looks = base
        self._held = ""  # not read yet
        self._offset = 0  # of what is held, in the line
        self._before = " "  # the character before it
        self._nodes: deque[_Text | Delimiter] = deque()  # read, and not certain yet
        self._openers: deque[Delimiter] = deque()  # those among them that wait for a closer
        self._active: Counter[Look] = Counter()

    def feed(self, text: str) -> None:
        self._held += text
        self._read(is_end=False)
        self._emit(is_end=False)

    def end(self) -> None:
        self._read(is_end=True)
        self._emit(is_end=True)

    def _read(self, *, is_end: bool) -> None:
        position = 0
        while position < len(self._held):
            n_read = self._read_token(position, is_end)
            if not n_read:
                break
            position += n_read
            self._before = self._held[position - 1]
        self._held = self._held[position:]
        self._offset += position

    def _read_token(self, position: int, is_end: bool) -> int:
        """Read what begins here; how many characters it is, 0 if that is not certain yet."""
        if plain := _PLAIN.match(self._held, position):
            return self._add(plain[0], plain.end() - position)
        is_certain = is_end or len(self._held) - position >= LIMIT
        character, following = self._held[position], self._held[position + 1 : position + 2]
        if character == "`":
            return self._read_code(position, is_certain)
        if character in "*_~":
            return self._read_run(position, is_certain)
        if not (following or is_end):
            return 0
        if character == "\\":
            return self._add(following, 2) if following in _ESCAPABLE else self._add("\\", 1)
        return self._read_link(position, is_certain)

    def _read_code(self, position: int, is_certain: bool) -> int:
        end = position + LIMIT
        runs = _TICKS.finditer(self._held, position, end)
        opener = next(runs)
        last = min(len(self._held), end)
        for run in runs:
            if len(run[0]) == len(opener[0]) and (run.end() < last or is_certain):
                marks = opener[0] if not self._theme.shows(Look.CODE) else ""
                code = _stripped(self._held[opener.end() : run.start()])
                self._nodes.append(_Text(marks + code + marks, (Look.CODE,)))
                return run.end() - position
        return self._add(opener[0], len(opener[0])) if is_certain else 0

    def _read_link(self, position: int, is_certain: bool) -> int:
        if self._has_links or self._held[position] == "!":
            if link := LINK.match(self._held, position, position + LIMIT):
                self._add_link(link)
                return link.end() - position
            if not is_certain and MAYBE_LINK.match(self._held, position):
                return 0
        return self._add(self._held[position], 1)

    def _add_link(self, link: re.Match[str]) -> None:
        """The text (of an image: what it shows), and behind it the address, unless that is the text."""
        text, url = link["text"], link["quoted"] if link["url"] is None else link["url"]
        if not (url or text.strip(" ")):
            self._add(link[0], 0)
            return
        base = () if link[0][0] == "!" else (Look.LINK,)
        self._nodes.extend(_Text(*run) for run in runs_of(self._theme, text, base, has_links=False))
        if url and url != text:
            shown = _ESCAPED_IN_URL.sub(r"\1", url)
            self._nodes.extend((_Text(" " if text else ""), _Text(f"({shown})", (Look.URL,))))

    def _read_run(self, position: int, is_certain: bool) -> int:
        run = RUN.match(self._held, position, position + LIMIT)
        assert run is not None
        is_whole = run.end() < len(self._held)
        if not is_whole and not is_certain:
            return 0
        if run[0] == "__" and (n_name := self._length_of_name(position, is_certain)) is not None:
            return self._add(self._held[position : position + n_name], n_name) if n_name else 0
        self._add_run(run[0], position, self._held[run.end()] if is_whole else " ")
        return len(run[0])

    def _length_of_name(self, position: int, is_certain: bool) -> int | None:
        """Of a name like `__init__` that begins here; 0 if that is not certain yet, None if none does."""
        name = NAME.match(self._held, position, position + LIMIT)
        if name and (name.end() < len(self._held) or is_certain):
            return name.end() - position
        may_be = name or (not is_certain and MAYBE_NAME.match(self._held, position))
        return 0 if may_be else None

    def _add_run(self, run: str, position: int, after: str) -> None:
        node = delimiter(run, self._offset + position, self._before, after)
        if node.can_close:
            self._close(node)
        if node.can_open and node.count:
            node.is_open = True
            self._openers.append(node)
        self._nodes.append(node)

    def _close(self, closer: Delimiter) -> None:
        """Pair it with the openers before it, the nearest first. Openers in between are text."""
        while closer.count and (opener := self._opener_for(closer)):
            while self._openers[-1] is not opener:
                self._openers.pop().is_open = False
            opener.pair(closer)
            if not opener.count:
                self._openers.pop().is_open = False

    def _opener_for(self, closer: Delimiter) -> Delimiter | None:
        """The nearest opener of the same length, so that `**a *b**` is strong, or else the nearest at all."""
        nearest = None
        for opener in reversed(self._openers):
            if closer.offset - opener.offset > LIMIT:
                break
            if opener.pairs_with(closer):
                if opener.count == closer.count:
                    return opener
                nearest = nearest or opener
        return nearest

    def _add(self, text: str, n_read: int) -> int:
        self._nodes.append(_Text(text))
        return n_read

    def _emit(self, *, is_end: bool) -> None:
        """Hand on what stands before the first opener that a closer may still come for."""
        while self._nodes:
            node = self._nodes[0]
            if isinstance(node, Delimiter) and node.is_open:
                if not is_end and self._offset - node.offset <= LIMIT:
                    return
                self._openers.popleft()
            self._nodes.popleft()
            if isinstance(node, Delimiter):
                self._emit_delimiter(node)
            else:
                self._sink(node.text, self._looks + node.looks)

    def _emit_delimiter(self, node: Delimiter) -> None:
        for look, mark in node.closed:
            if not self._theme.shows(look):
                self._sink(mark, self._looks)
            self._change(look, -1)
        self._sink(node.character * node.count, self._looks)
        for look, mark in reversed(node.opened):
            self._change(look, 1)
            if not self._theme.shows(look):
                self._sink(mark, self._looks)

    def _change(self, look: Look, step: int) -> None:
        self._active[look] += step
        self._looks = self._base + tuple(look for look in _ACTIVE if self._active[look])


def _stripped(code: str) -> str:
    """Without the one space on each side that lets code begin or end with a backtick."""
    return code[1:-1] if code[:1] == code[-1:] == " " and code.strip(" ") else code


def runs_of(theme: Theme, text: str, base: Looks = (), *, has_links: bool = True) -> list[tuple[str, Looks]]:
    """All of a text that is there already."""
    runs: list[tuple[str, Looks]] = []
    inline = Inline(theme, lambda text, looks: runs.append((text, looks)) if text else None, base, has_links=has_links)
    inline.feed(text)
    inline.end()
    return runs
