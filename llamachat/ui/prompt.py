"""The line editor: reads one message at a time, and answers to questions of one key."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from contextlib import nullcontext, suppress
from typing import Any, TextIO

from prompt_toolkit import PromptSession
from prompt_toolkit.application import create_app_session
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.completion import Completer
from prompt_toolkit.cursor_shapes import ModalCursorShapeConfig
from prompt_toolkit.enums import EditingMode
from prompt_toolkit.filters import is_done
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.key_binding.vi_state import InputMode
from prompt_toolkit.keys import Keys
from prompt_toolkit.layout import ConditionalContainer, FormattedTextControl, HSplit, VerticalAlign, Window
from prompt_toolkit.layout.processors import TabsProcessor
from prompt_toolkit.output import ColorDepth, Output, create_output
from prompt_toolkit.output.plain_text import PlainTextOutput
from prompt_toolkit.shortcuts import CompleteStyle
from prompt_toolkit.styles import DynamicStyle, Style
from prompt_toolkit.utils import is_dumb_terminal

from llamachat.errors import LlamachatError
from llamachat.ui import draft as drafts
from llamachat.ui.history import History, SuggestFromHistory
from llamachat.ui.interrupt import on_interrupt
from llamachat.ui.keyboard import Keyboard
from llamachat.ui.keys import bindings
from llamachat.ui.pastes import Origin, Pastes, ShowFolds, Typed, has_fold, is_long
from llamachat.ui.resize import Rewrapping
from llamachat.ui.sanitise import sanitise_line
from llamachat.ui.theme import Background

Fragments = Callable[[], list[tuple[str, str]]]  # a style, as prompt_toolkit names it, and a text

# The colours of ui/theme.py, as prompt_toolkit names them.
_ALWAYS = {"auto-suggestion": "ansibrightblack", "toolbar": "ansibrightblack"}
_STYLES = {
    Background.DARK: Style.from_dict(
        {**_ALWAYS, "prompt": "bold ansicyan", "fold": "ansicyan"}
        | {"toolbar.tight": "ansiyellow", "toolbar.full": "bold ansibrightred"}
    ),
    Background.LIGHT: Style.from_dict(
        {**_ALWAYS, "prompt": "bold ansiblue", "fold": "ansiblue"}
        | {"toolbar.tight": "ansimagenta", "toolbar.full": "bold ansired"}
    ),
}
_NO_STYLE = Style.from_dict({"auto-suggestion": "italic", "toolbar.tight": "bold", "toolbar.full": "bold reverse"})

_DRAFT_SECONDS = 0.2  # after a change of the draft that is worth a look
_ESCAPE_SECONDS = 0.1  # in vi, after which a lone Escape is one
_MOST_LOOKED_AT = 10_000  # characters of a draft that are looked through for an open block at each key
_MODES = {InputMode.NAVIGATION: "normal", InputMode.REPLACE: "replace", InputMode.REPLACE_SINGLE: "replace"}
_PLAIN: dict[str, Any] = {"complete_style": CompleteStyle.READLINE_LIKE, "complete_while_typing": False}


class Prompt:
    """Reads messages at the terminal.

    `label` and `toolbar` are drawn anew with each key, in colours for the `background` of the moment. `edit` lets the
    user's editor change a text, and raises LlamachatError. `say` prints a line of ours; it is not called while the
    prompt is drawn. `plain` repaints no more than typing does: no toolbar, no menu, no suggestions. `rewraps`: the
    terminal wraps lines anew when it becomes narrower. `on_draft` is told the draft, up to the cursor, a moment
    after it changed, `on_change` is called whenever it changes.
    """

    is_dumb: bool

    def __init__(
        self,
        keyboard: Keyboard,
        history: History,
        *,
        edit: Callable[[str], str],
        say: Callable[[str], None],
        label: Fragments | None = None,
        toolbar: Fragments | None = None,
        completer: Completer | None = None,
        vi: bool = False,
        plain: bool = False,
        colour: bool = True,
        background: Callable[[], Background] = lambda: Background.DARK,
        rewraps: bool = False,
        on_draft: Callable[[Typed], None] | None = None,
        on_change: Callable[[], None] = lambda: None,
        output: Output | None = None,
    ) -> None:
        self._keyboard = keyboard
        self._history = history
        self._edit = edit
        self._say = say
        self._style = DynamicStyle(lambda: _STYLES[background()] if colour else _NO_STYLE)
        self._colours = None if colour else ColorDepth.DEPTH_1_BIT
        self._pastes = Pastes()
        self._last, self._sent = "", Typed("")  # the last draft, and what was sent of it
        self.was_cleared = False  # since the last `read` began
        self._wants_editor = self._was_taken_back = False
        self._on_draft = on_draft
        self._telling: asyncio.TimerHandle | None = None
        self._place = 0  # in the history, of what is edited: 0 is the draft
        self.is_dumb = output is None and is_dumb_terminal()
        self._output = None if self.is_dumb else output or keyboard.output or create_output(always_prefer_tty=True)
        self._session = self._new_session(
            message=_formatted(label or self._label("You: " if plain else "› ")),
            completer=completer,
            history=history,
            key_bindings=bindings(self),
            input_processors=[ShowFolds(self._pastes), TabsProcessor(char1=" ", char2=" ")],
            multiline=True,
            enable_suspend=True,
            editing_mode=EditingMode.VI if vi else EditingMode.EMACS,
            **(_PLAIN if plain else self._comforts(vi=vi)),
        )
        if toolbar and not plain:
            _put_below(self._session, toolbar)
        if rewraps:
            Rewrapping(self._session.app)
        if vi:
            self._session.app.ttimeoutlen = _ESCAPE_SECONDS
        self._session.default_buffer.on_text_changed += self._fold_recalled
        self._session.default_buffer.on_text_changed += lambda _buffer: self._tell_soon()
        self._session.default_buffer.on_text_changed += lambda _buffer: on_change()

    def read(self, draft: str = "", *, came_back: bool = False) -> Typed:
        """The next message. Raises KeyboardInterrupt (Ctrl-C at an empty prompt) and EOFError (Ctrl-D there).

        A draft that is what was sent the last time looks as it did then; another is folded if it is long. One that
        `came_back` unasked gives way to what was typed meanwhile: an Enter among that would send both as one.
        """
        if came_back and draft and self._keyboard.has_keys():
            self._say("Up brings the message back that got no answer.")
            draft = ""
        self.was_cleared = False
        start = self._last if draft and draft == self._sent.text else self._pastes.take(draft, Origin.WRITTEN)
        while True:
            self._place = self._history.n_offered = 0
            with on_interrupt(self._take_signal):
                text = self._session.prompt(default=start, pre_run=self._begin, handle_sigint=False)
            self._stop_telling()
            if self._was_taken_back:
                start = text
                continue
            if not self._wants_editor:
                break
            self._wants_editor = self._session.app.erase_when_done = False
            start = self._edited(text)
        self._remember(text)
        if trouble := self._history.take_trouble():
            self._say(trouble)
        self._last, self._sent = text, self._pastes.expand(drafts.message_of(text))
        return self._sent

    def choose(self, question: str, keys: str) -> str:
        """The answer to a question, one of `keys`, as soon as it is pressed; Enter is the first.

        Raises KeyboardInterrupt for Ctrl-C and Escape.
        What was typed before the question was there does not answer it, and stays for the next prompt.
        """
        session = self._new_session(message=[("", f"{sanitise_line(question)} ")], key_bindings=_answers(keys))
        with self._keyboard.fresh():
            return session.prompt(handle_sigint=False)

    def redraw(self) -> None:
        """Something has changed: draw the label and the toolbar anew. Callable from any thread."""
        app = self._session.app
        app.invalidate()
        if app.loop and app.is_running:
            with suppress(RuntimeError):  # the prompt has just ended
                app.loop.call_soon_threadsafe(self._tell_soon)

    @property
    def hint(self) -> str:
        """What the user may want to know of this draft: for the toolbar."""
        text = self._session.default_buffer.text
        if has_fold(text):
            return "Ctrl-X Ctrl-P unfolds"
        if len(text) <= _MOST_LOOKED_AT and drafts.is_open(text):
            return "a block is open: Enter breaks the line, Ctrl-X Ctrl-S sends"
        return ""

    @property
    def mode(self) -> str:
        """The mode of vi; empty for Emacs."""
        app = self._session.app
        if app.editing_mode != EditingMode.VI:
            return ""
        return "visual" if app.current_buffer.selection_state else _MODES.get(app.vi_state.input_mode, "insert")

    # what the keys do

    def send(self, event: KeyPressEvent) -> None:
        event.app.exit(result=event.current_buffer.text, style="class:accepted")

    def clear(self, _event: KeyPressEvent | None = None) -> None:
        """An empty prompt. What was there is in the history."""
        buffer = self._session.default_buffer
        self.was_cleared = True
        self._remember(buffer.text)
        self._place = self._history.n_offered = 0
        buffer.reset()

    def paste(self, event: KeyPressEvent) -> None:
        event.current_buffer.insert_text(self._pastes.take(event.data, Origin.PASTED))

    def unfold(self, event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        before = self._pastes.unfold(buffer.document.text_before_cursor)
        after = self._pastes.unfold(buffer.document.text_after_cursor)
        buffer.text = before + after
        buffer.cursor_position = len(before)

    def edit(self, event: KeyPressEvent) -> None:
        """Leave the prompt, without a trace, for `read` to start the editor."""
        self._wants_editor = event.app.erase_when_done = True
        event.app.exit(result=event.current_buffer.text)

    def _new_session(self, **settings: Any) -> PromptSession[str]:
        """A session at this terminal. On a dumb one prompt_toolkit prints, if it is given no output of its own."""
        with create_app_session(output=PlainTextOutput(_terminal())) if self.is_dumb else nullcontext():
            return PromptSession(
                style=self._style,
                color_depth=self._colours,
                include_default_pygments_style=False,
                input=self._keyboard.input,
                output=self._output,
                **settings,
            )

    def _comforts(self, *, vi: bool) -> dict[str, Any]:
        """What repaints more than typing does."""
        return {
            "auto_suggest": SuggestFromHistory(self._history),
            "cursor": ModalCursorShapeConfig() if vi else None,
            "complete_in_thread": True,
            "complete_while_typing": False,
        }

    def _begin(self) -> None:
        self._was_taken_back = False
        self._stop_telling()
        self._tell_soon()

    def _take_signal(self) -> None:
        """Ctrl-C as a signal, which the terminal makes of it right after Enter: the message is taken back then."""
        app = self._session.app
        if app.loop and app.is_running:
            app.loop.call_soon_threadsafe(self._interrupt)
        else:
            self._was_taken_back = True

    def _interrupt(self) -> None:
        app = self._session.app
        if app.is_done or not app.is_running:
            self._was_taken_back = True
        elif self._session.default_buffer.text:
            self.clear()
            app.invalidate()
        else:
            app.exit(exception=KeyboardInterrupt(), style="class:aborting")

    def _tell_soon(self) -> None:
        if self._on_draft and self._telling is None and self._session.app.loop:
            self._telling = self._session.app.loop.call_later(_DRAFT_SECONDS, self._tell)

    def _stop_telling(self) -> None:
        if self._telling:
            self._telling.cancel()
            self._telling = None

    def _tell(self) -> None:
        self._telling = None
        document = self._session.default_buffer.document
        if self._on_draft:
            self._on_draft(self._pastes.expand(drafts.message_of(document.text_before_cursor)))

    def _edited(self, text: str) -> str:
        """The draft after the editor; as it was if that failed."""
        try:
            edited = self._edit(self._pastes.expand(text).text)
        except LlamachatError as error:
            self._say(f"{error.message} {error.hint}".strip())
            return text
        return self._pastes.take(edited, Origin.WRITTEN)

    def _fold_recalled(self, buffer: Buffer) -> None:
        """Fold a long entry of the history when it is moved to."""
        place = self._history.n_offered - buffer.working_index
        has_moved, self._place = place != self._place, place
        if has_moved and place > 0 and is_long(buffer.text):
            buffer.text = self._pastes.take(buffer.text, Origin.RECALLED)

    def _remember(self, text: str) -> None:
        self._history.record(self._pastes.expand(text).text)

    def _label(self, text: str) -> Fragments:
        """What the terminal cannot show is said in ASCII."""

        def label() -> list[tuple[str, str]]:
            encoding = self._session.output.encoding()
            return [("class:prompt", text if _can_say(text, encoding) else "> ")]

        return label


def _put_below(session: PromptSession[str], toolbar: Fragments) -> None:
    """A line right below what is typed.

    prompt_toolkit's own stands at the bottom of the window and fills it: everything in between belongs to the prompt
    then, and goes into the scrollback when a terminal wraps it anew.
    """
    layout = session.layout.container
    assert isinstance(layout, HSplit)
    control = FormattedTextControl(_formatted(toolbar), style="class:toolbar")
    line = Window(control, height=1, dont_extend_height=True)
    layout.children.append(ConditionalContainer(line, filter=~is_done))
    layout.align = VerticalAlign.TOP


def _formatted(fragments: Fragments) -> Callable[[], StyleAndTextTuples]:
    return lambda: [*fragments()]


def _terminal() -> TextIO:
    return sys.stdout if sys.stdout.isatty() else sys.stderr


def _answers(keys: str) -> KeyBindings:
    """Each key ends the question; those that mean no answer interrupt it."""
    answers = KeyBindings()

    def add(name: str, key: str) -> None:
        @answers.add(name, eager=True)
        def _(event: KeyPressEvent) -> None:
            event.current_buffer.text = key
            event.app.exit(result=key)

    answers.add(Keys.Any)(lambda _event: None)
    answers.add(Keys.BracketedPaste)(lambda _event: None)
    for name in ("enter", "c-j"):
        add(name, keys[0])
    for name in ("escape", "c-c", "c-d"):
        answers.add(name, eager=True)(lambda event: event.app.exit(exception=KeyboardInterrupt()))
    for key in keys:
        for name in {key.lower(), key.upper()}:
            add(name, key)
    return answers


def _can_say(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True
