"""Picks a session from a list: what is typed narrows it, and the end of the one that is marked is shown below.

It has the terminal's other screen while it is there, and leaves nothing behind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from prompt_toolkit.application import Application
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.input import Input
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.keys import Keys
from prompt_toolkit.layout import FormattedTextControl, Layout, Window
from prompt_toolkit.output import ColorDepth, Output
from prompt_toolkit.styles import Style

from llamachat.chat.transcript import Session, Transcript
from llamachat.errors import LlamachatError
from llamachat.types import Role
from llamachat.ui.markdown.width import clusters, width_of
from llamachat.ui.markdown.wrap import Wrapper
from llamachat.ui.sanitise import sanitise, sanitise_line
from llamachat.ui.theme import Glyphs

Fragment = tuple[str, str]  # a style, as prompt_toolkit names it, and a text
Load = Callable[[Session], Transcript]

_STYLE = Style.from_dict({"here": "reverse", "dim": "ansibrightblack", "who": "bold"})
_QUESTION, _KEYS = "Go on with: ", "Enter: go on with it. Esc: leave. Type to search."
_ESCAPE_SECONDS = 0.1  # after which a lone Escape is one
_MODEL, _COUNT, _AGE = 16, 5, 8  # columns
_WIDE = 60  # columns from which on a row has the model and the number of messages
_FRAME = 3  # rows that are neither list nor preview
_LEAST_PREVIEW = 3  # rows
_PREVIEWED = 4  # messages
_PREVIEW_LINES, _PREVIEW_CHARACTERS = 6, 1000  # of each
_LISTED = 20  # in plain words
_MINUTE, _HOUR, _DAY, _MONTH = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1), timedelta(days=30)


class Picker:
    """What there is to pick from, what was typed, and which one is marked: everything but the terminal."""

    def __init__(self, sessions: Sequence[Session], load: Load, glyphs: Glyphs, now: datetime) -> None:
        self._sessions = sessions
        self._load = load
        self._glyphs = glyphs
        self._now = now
        self._previews: dict[str, list[tuple[str, str]]] = {}
        self.typed = ""
        self.found = list(sessions)
        self.place = 0

    @property
    def marked(self) -> Session | None:
        return self.found[self.place] if self.found else None

    def type(self, text: str) -> None:
        """Add to the words that are searched for."""
        self._narrow(self.typed + sanitise_line(text))

    def rub_out(self, n_characters: int) -> None:
        self._narrow(self.typed[: len(self.typed) - n_characters])

    def step(self, n_rows: int) -> None:
        self.place = max(0, min(self.place + n_rows, len(self.found) - 1))

    def draw(self, columns: int, rows: int) -> list[Fragment]:
        """The whole screen. No line fills its width: a terminal might wrap it."""
        width = max(1, columns - 1)
        room = max(1, rows - _FRAME)
        n_listed = room if room < 2 * _LEAST_PREVIEW else max(_LEAST_PREVIEW, room // 2)
        n_listed = max(1, min(n_listed, len(self.found)))
        lines: list[list[Fragment]] = [[("", cut(_QUESTION + self.typed, width)), ("[SetCursorPosition]", "")]]
        lines += self._list(width, n_listed)
        if room - n_listed >= _LEAST_PREVIEW:
            lines += [[("class:dim", self._glyphs.rule * width)], *self._preview(width, room - n_listed)]
        lines = lines[: rows - 1]
        lines += [[("class:dim", cut(_KEYS, width))]]
        return [fragment for line in lines for fragment in (*line, ("", "\n"))][:-1]

    def _narrow(self, typed: str) -> None:
        self.typed = typed
        words = typed.casefold().split()
        self.found = [session for session in self._sessions if all(word in _described(session) for word in words)]
        self.place = 0

    def _list(self, width: int, n_rows: int) -> Iterator[list[Fragment]]:
        if not self.found:
            yield [("class:dim", cut("  nothing has these words", width))]
            return
        start = max(0, min(self.place - n_rows // 2, len(self.found) - n_rows))
        for place, session in enumerate(self.found[start : start + n_rows], start):
            is_here = place == self.place
            mark = self._glyphs.prompt if is_here else " "
            yield [("class:here" if is_here else "", f"{mark} {row(session, width - 2, self._now)}")]

    def _preview(self, width: int, n_rows: int) -> list[list[Fragment]]:
        if self.marked is None:
            return []
        lines: list[list[Fragment]] = []
        for who, text in self._preview_of(self.marked):
            first, *rest = wrapped(f"{who}: {text}", width)[:_PREVIEW_LINES] or [""]
            name, rest_of_first = first[: len(who) + 1], first[len(who) + 1 :]
            lines += [[("class:who", name), ("", rest_of_first)], *([("", line)] for line in rest)]
        return lines[-n_rows:]

    def _preview_of(self, session: Session) -> list[tuple[str, str]]:
        """Who said what at the end of a session."""
        if session.id not in self._previews:
            try:
                self._previews[session.id] = list(last_messages(self._load(session)))
            except LlamachatError as error:  # whoever takes it meets it again
                self._previews[session.id] = [("It cannot be read", sanitise_line(str(error)))]
        return self._previews[session.id]


def pick(picker: Picker, *, keys: Input | None = None, output: Output | None = None, colour: bool) -> Session | None:
    """The session that the user picks; None if none."""

    def drawn() -> StyleAndTextTuples:
        size = app.output.get_size()
        return [*picker.draw(size.columns, size.rows)]

    app: Application[Session | None] = Application(
        layout=Layout(Window(FormattedTextControl(drawn, focusable=True))),
        key_bindings=_bindings(picker),
        style=_STYLE,
        color_depth=None if colour else ColorDepth.DEPTH_1_BIT,
        include_default_pygments_style=False,
        full_screen=True,
        input=keys,
        output=output,
    )
    app.ttimeoutlen = _ESCAPE_SECONDS
    return app.run()


def pick_in_words(sessions: Sequence[Session], answer: Callable[[str], str], now: datetime, columns: int) -> str:
    """The id of the session that the user names by its number, or what else was typed; empty for none.

    `answer` shows a text and takes a line.
    """
    shown = sessions[:_LISTED]
    lines = [f"{number:>2} {row(session, columns - 4, now)}" for number, session in enumerate(shown, 1)]
    typed = answer("\n".join([*lines, f"Go on with which? [1-{len(shown)}, an ID, Enter: none]"]))
    is_number = typed.isascii() and typed.isdigit() and 1 <= int(typed) <= len(shown)
    return shown[int(typed) - 1].id if is_number else typed


def row(session: Session, width: int, now: datetime) -> str:
    """A session in a line of at most so many columns: its age, its title, its model and how many messages it has."""
    age = f"{age_of(session.updated, now):>{_AGE}}  "
    if width < _WIDE:
        return cut(age.lstrip() + sanitise_line(session.title), width)
    count = f"{'1×' if session.one_shot else session.n_messages:>{_COUNT}}"
    model = padded(cut(sanitise_line(session.model or ""), _MODEL), _MODEL)
    title_width = width - len(age) - len(count) - _MODEL - 4
    return f"{age}{padded(cut(sanitise_line(session.title), title_width), title_width)}  {model}  {count}"


def last_messages(transcript: Transcript) -> Iterator[tuple[str, str]]:
    """Who said what at the end, with nothing in it that acts on a terminal."""
    for entry in transcript.branch[-_PREVIEWED:]:
        who = "You" if entry.turn.message.role is Role.USER else "Answer"
        yield who, sanitise(entry.turn.message.content[:_PREVIEW_CHARACTERS]).strip()


def age_of(moment: datetime, now: datetime) -> str:
    """How long ago, in a word or two; after a month the day."""
    age = now - moment
    if age >= _MONTH:
        return f"{moment.astimezone():%y-%m-%d}"
    for unit, name in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min")):
        if age >= unit:
            return f"{age // unit} {name}"
    return "now"


def cut(text: str, columns: int) -> str:
    """Its beginning, as far as it fits."""
    if width_of(text) <= columns:
        return text
    kept, width = "", 0
    for cluster in clusters(text):
        width += width_of(cluster)
        if width > columns - 1:
            break
        kept += cluster
    return f"{kept.rstrip()}…"


def padded(text: str, columns: int) -> str:
    return text + " " * (columns - width_of(text))


def wrapped(text: str, columns: int) -> list[str]:
    """Lines of at most so many columns; blank ones are left out."""
    lines = _Lines(columns)
    wrapper = Wrapper(lines, lambda text, *_: text)
    for line in text.expandtabs(4).split("\n"):
        wrapper.put(line)
        wrapper.end()
    return [line for line in lines.lines if line.strip()]


class _Lines:
    def __init__(self, columns: int) -> None:
        self.lines: list[str] = []
        self._columns = columns

    def open_line(self) -> int:
        self.lines.append("")
        return self._columns

    def write(self, text: str) -> None:
        self.lines[-1] += text


def _described(session: Session) -> str:
    """What is searched in."""
    return f"{session.title} {session.model or ''} {session.preset or ''} {session.id}".casefold()


def _bindings(picker: Picker) -> KeyBindings:
    bindings = KeyBindings()

    def on(names: Iterable[str], action: Callable[[KeyPressEvent], object]) -> None:
        for name in names:
            bindings.add(name, eager=True)(lambda event: action(event) and None)

    def page(event: KeyPressEvent) -> int:
        return max(1, event.app.output.get_size().rows // 2 - _FRAME)

    bindings.add(Keys.Any)(lambda event: picker.type(event.data) if event.data.isprintable() else None)
    bindings.add(Keys.BracketedPaste)(lambda event: picker.type(event.data.strip().partition("\n")[0]))
    on(("up", "c-p"), lambda _: picker.step(-1))
    on(("down", "c-n", "tab"), lambda _: picker.step(1))
    on(("pageup",), lambda event: picker.step(-page(event)))
    on(("pagedown",), lambda event: picker.step(page(event)))
    on(("home",), lambda _: picker.step(-len(picker.found)))
    on(("end",), lambda _: picker.step(len(picker.found)))
    on(("backspace",), lambda _: picker.rub_out(1))
    on(("c-u",), lambda _: picker.rub_out(len(picker.typed)))
    on(("c-w",), lambda _: picker.rub_out(_last_word(picker.typed)))
    on(("escape", "c-c", "c-d", "c-g"), lambda event: event.app.exit(result=None))
    on(("enter", "c-j"), lambda event: event.app.exit(result=picker.marked) if picker.marked else None)
    return bindings


def _last_word(typed: str) -> int:
    """Characters of the last word, with the space after it."""
    return len(typed) - (typed.rstrip().rfind(" ") + 1)
