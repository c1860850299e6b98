"""The chat at a terminal, without its prompt: the conversation, the engine that answers, and what is shown.

Slash commands work on it (`ui/commands/`); `ui/repl.py` feeds it lines.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from llamachat import presets
from llamachat.chat.conversation import Conversation, State, Turn
from llamachat.chat.events import Event
from llamachat.chat.keeping import Head, Keeping
from llamachat.chat.made import context_of, opens_thought
from llamachat.chat.transcript import Session, Transcript, title_of
from llamachat.choices import Choices
from llamachat.engine.base import Engine, Finished
from llamachat.errors import EngineDied, ForbiddenTag, Interrupted, LlamachatError, StorageError, UsageError
from llamachat.presets import Shelf
from llamachat.types import ContextUse, ModelInfo, Role
from llamachat.ui import toolbar
from llamachat.ui.interrupt import on_interrupt
from llamachat.ui.sanitise import sanitise
from llamachat.ui.screen import Screen
from llamachat.ui.status import statistics
from llamachat.ui.theme import Look
from llamachat.ui.thoughts import said_of

if TYPE_CHECKING:
    from llamachat.chat.turn import Settings
    from llamachat.store.sessions import Store

_OUTPUT_ERRORS = (errno.ENOSPC, errno.EIO, getattr(errno, "EDQUOT", errno.ENOSPC))
_LONG = 10.0  # seconds of an answer after which the bell may ring
_AGAIN = "your message is back in the prompt."
BROKEN_OFF = "[it broke off here; /continue goes on]"


@dataclass(frozen=True, slots=True)
class Outside:
    """What a chat needs of the rest of the program.

    `make_engine` builds an engine for other choices, `models` names those that are here, `log_fault` keeps a
    traceback, `on_answer` is told the file of the model that answered, `edit` lets the user's editor change a
    text, `copy` puts one on the clipboard and says how, `record_input` switches the history of what is typed. `keep`
    makes what keeps a new conversation, `keep_on` what goes on keeping one, `store` has all that were kept,
    `as_it_was` gives the choices that held in one. `pick` lets the user pick a session from a list; None where that
    would repaint too much.
    """

    make_engine: Callable[[Choices], Engine]
    models: Callable[[], Sequence[str]]
    log_fault: Callable[[Exception], LlamachatError]
    on_answer: Callable[[Path], None]
    edit: Callable[[str], str]
    copy: Callable[[str], str]
    record_input: Callable[[bool], None]
    keep: Callable[[], Keeping]
    keep_on: Callable[[Transcript], Keeping]
    store: Callable[[], Store]
    as_it_was: Callable[[Choices, Transcript], Choices]
    pick: Callable[[Sequence[Session]], Session | None] | None = None
    clock: Callable[[], float] = time.monotonic


class Chat:
    """One conversation with one model at a time. `choices` are what holds at its start."""

    def __init__(self, engine: Engine, choices: Choices, shelf: Shelf, screen: Screen, outside: Outside) -> None:
        self.engine = engine
        self.choices = choices
        self.shelf = shelf
        self.screen = screen
        self.outside = outside
        self.is_private = not choices.switch("sessions.save")
        self.ask_key: Callable[[str, str], str] = _first_key
        self.shows_statistics = choices.switch("verbose")
        self.leaving = False
        self._draft = ""
        self._told_trouble = False
        screen.opens_thought = self._opens_thought
        self.start_over()

    @property
    def preset(self) -> str:
        return self.choices.text("preset") or presets.NONE

    @property
    def settings(self) -> Settings:
        from llamachat.chat import turn  # noqa: PLC0415  20 ms that the first prompt does not wait for

        return replace(turn.Settings.of(self.choices), pinned=frozenset(self.conversation.pinned))

    def say(self, line: str, look: Look | None = None) -> None:
        self.screen.line(line, look)

    def handle_error(self, error: Exception) -> None:
        """Say it in a line. A fault of ours goes to the log, too."""
        if isinstance(error, OSError) and error.errno in _OUTPUT_ERRORS:
            error = StorageError(f"the output cannot be written: {error.strerror}.", "Make room, or write elsewhere.")
        if not isinstance(error, LlamachatError):
            error = self.outside.log_fault(error)
        remark = ""
        if isinstance(error, EngineDied) and error.restarts:
            goes_on = "what was said is kept: /continue goes on, /retry asks once more."
            remark = f"It starts again; {goes_on if self.conversation.has_answer and not self._draft else _AGAIN} "
        self.say(f"{error.message} {remark}{error.hint}", Look.ERROR)

    def take_draft(self) -> str:
        """What the next prompt begins with: a message that got no answer."""
        draft, self._draft = self._draft, ""
        return draft

    def start_over(self) -> None:
        """A new conversation. It is kept from its first message on, unless it is private."""
        self.outside.record_input(not self.is_private)
        self.keeping: Keeping | None = None
        self.conversation = Conversation(self.choices.text("system"))
        self.last: Finished | None = None
        self._foreseen: tuple[int | None, int] | None = None
        self.edited: Turn | None = None  # the next message takes the place of this one
        self._has_begun = False
        self._unidentified: list[int] = []  # answers of this model since it was loaded, while its hash is not known

    def take_up(self, transcript: Transcript) -> None:
        """Go on with a conversation that was kept; its last exchange is shown. A private chat stays one: it goes on
        from there and writes nothing.
        """
        self.conversation = transcript.conversation()
        self.conversation.system = self.choices.text("system")
        self.keeping, self._has_begun = None, True
        if not self.is_private:
            self.keeping = self.conversation.keeper = self.outside.keep_on(transcript)
            self._reframe()
        self.last = self.edited = self._foreseen = None
        self._unidentified = []
        self._draft = self.conversation.step_back()
        self._show_end(transcript)

    def _show_end(self, transcript: Transcript) -> None:
        turns = self.conversation.turns
        n_messages = f"{len(turns)} message{'s' * (len(turns) != 1)}"
        self.say(f"{title_of(transcript.session.title)} ({n_messages})", Look.STRONG)
        for turn_ in turns[-2:]:
            if turn_.message.role is Role.USER:
                self.say(f"{self.screen.theme().glyphs.prompt} {turn_.message.content}", Look.DIM)
            else:
                made = self.conversation.made_of(turn_.number)
                self.screen.answer_text(turn_.message.content, opens_thought=opens_thought(made))
                if turn_.state is not State.COMPLETE:
                    self.say(BROKEN_OFF, Look.DIM)
        self.say("")

    def _opens_thought(self) -> bool:
        """Whether the answer that comes begins inside a thought; of one that goes on, its record says it."""
        if self.conversation.made is not None:
            return opens_thought(self.conversation.made)
        return bool(self.engine.info and self.engine.info.opens_thought)

    def say_goodbye(self) -> None:
        """How to come back, when there is something to come back to. What could not be saved yet is tried once more."""
        if self.keeping is None or not self.conversation.turns:
            return
        self._identify()
        self.keeping.catch_up()
        if self.keeping.is_removed:
            self.say("This chat was removed meanwhile.", Look.DIM)
        elif not self.keeping.trouble:  # else what keeps it tells it, when all was tried
            self.say("To go on with this chat: llamachat -c", Look.DIM)

    def choose(self, choices: Choices) -> None:
        """Let these choices hold from now on, with another engine if they name another model. Raises ModelError."""
        if choices.text("model") != self.choices.text("model"):
            engine = self.outside.make_engine(choices)
            engine.on_change = self.engine.on_change
            self.engine.close()
            self.engine = engine
            self.last, self._foreseen, self._unidentified = None, None, []
            self.engine.start()
            self.say("Loading the model; you can type meanwhile.")
        self.choices = choices
        self.conversation.system = choices.text("system")
        self._reframe()

    def _reframe(self) -> None:
        """Note what the session goes on with."""
        if self.keeping and self.keeping.session:
            system, path = self.conversation.system, self.engine.path
            self.keeping.reframed(model=self.engine.name, preset=self.preset, system=system, path=path)

    def toolbar(self, mode: str = "", hint: str = "") -> toolbar.State:
        """What holds now, for the toolbar, with what the prompt has to say."""
        if self.engine.failure:
            return toolbar.State(mode=mode, remark=self.engine.failure.message)
        if self.edited and not hint:
            hint = "this takes the place of an earlier message; Ctrl-C: it does not"
        if self.keeping and self.keeping.trouble:
            hint = hint or f"not saved: {self.keeping.trouble}"
        info, loading = self.engine.info, self.engine.loading
        if self.engine.is_resting:
            return toolbar.State(mode=mode, remark=hint or "the model rests; the next key wakes it")
        if info is None:
            percent = f" {100 * loading.done // loading.total} %" if loading.total else ""
            return toolbar.State(mode=mode, remark=hint or f"loading the model…{percent}")
        timings, usage = (self.last.timings, self.last.usage) if self.last else (None, None)
        speed = usage.completion_tokens / timings.decode if timings and usage and timings.decode else None
        context = self._context(info)
        glyphs = self.screen.theme().glyphs
        gauge = glyphs.bar_full, glyphs.bar_empty
        preset = f"{self.preset}, private" if self.is_private else self.preset
        return toolbar.State(info.name, info.quantisation, preset, context, speed, hint, mode, gauge)

    def foresee(self, n_tokens: int) -> None:
        """So much of the context is in use where the conversation stands, and not what its last answer left."""
        self._foreseen = self.conversation.leaf, n_tokens

    def _context(self, info: ModelInfo) -> ContextUse:
        """How full the context was at the end of the answer at which the conversation stands, or is now."""
        if self._foreseen and self._foreseen[0] == self.conversation.leaf:
            return ContextUse(info.n_ctx, self._foreseen[1])
        context = context_of(self.conversation.made, info)
        return context or ContextUse(info.n_ctx, 0)

    def wake(self) -> None:
        """Let a model that rests come back: it will be needed."""
        if self.engine.is_resting:
            self.engine.start()

    def wait_for_model(self) -> None:
        """Show how far loading has got, for what cannot be done before. Raises what a request would."""
        if self.engine.info is None:
            with self.screen.answering() as view, on_interrupt(self.engine.interrupt):
                for event in self.engine.wait_until_loaded():
                    view.show(event)

    # answers

    def ask(self, text: str, pasted: Sequence[tuple[int, int]] = ()) -> None:
        """Send a message and show the answer. One without an answer comes back as the next draft.

        It follows the leaf, or takes the place of the message that is being edited. `pasted` are the parts of it
        that were not typed.
        """
        before, self._draft = self.conversation.leaf, text
        from llamachat.chat import turn  # noqa: PLC0415  20 ms that the first prompt does not wait for
        from llamachat.ui.attaching import Clerk, attach  # noqa: PLC0415  9 ms

        message, documents = attach(text, pasted, Clerk(self.engine, self.say, self.ask_key, self.wait_for_model))
        self._begin_session(text)
        if self.edited:
            self.conversation.move(self.edited.parent)
        try:
            self._stream(turn.ask(self.conversation, message, self.engine, self.settings))
        except ForbiddenTag as error:
            from llamachat.chat.attachments import located  # noqa: PLC0415

            is_last = error.index == len(self.conversation.messages()) - 1
            raise (located(error, documents) if is_last else error) from error
        finally:
            if self.conversation.has_answer:
                self._draft, self.edited = "", None
            else:
                self.conversation.move(before)  # the question stays in the tree

    def _begin_session(self, text: str) -> None:
        """With the first message the conversation gets its place in the store."""
        if not self.is_private and not self._has_begun:
            self._has_begun = True
            self.keeping = self.conversation.keeper = self.outside.keep()
            title, system = title_of(sanitise(text)), self.conversation.system
            self.keeping.begin(Head(title, self.engine.name, self.preset, system, path=self.engine.path))

    def retry(self) -> None:
        """Answer the last question again, beside the answer it has."""
        from llamachat.chat import turn  # noqa: PLC0415

        before = self.conversation.leaf
        self.conversation.move(self.conversation.questions[-1].number)
        try:
            self._stream(turn.answer(self.conversation, self.engine, self.settings))
        finally:
            if not self.conversation.has_answer:
                self.conversation.move(before)

    def go_on(self) -> None:
        """Let the last answer go on where it broke off."""
        from llamachat.chat import turn  # noqa: PLC0415

        said = last_answer(self)
        self._stream(turn.continue_answer(self.conversation, self.engine, self.settings), said)

    def _stream(self, events: Iterator[Event], before: str = "") -> None:
        """Show an answer as it comes. Ctrl-C ends it; what came stays, in the chat and on the screen."""
        started, finished = self.outside.clock(), None
        with self.screen.answering(before) as view, on_interrupt(self.engine.interrupt):
            for event in events:
                view.show(event)
                if isinstance(event, Finished):
                    finished = self.last = event
        if not self.conversation.has_answer or finished is None:
            raise Interrupted("stopped before the first word.")
        self.close_answer(finished, self.conversation.last.state if self.conversation.last else State.COMPLETE)
        self.ring_after(self.outside.clock() - started)
        self.get_ready([self.conversation.turns[-1].number])

    def _identify(self) -> None:
        """Once the hash of the model's file is known, the answers before it get it into their records."""
        if (info := self.engine.info) and info.sha256:
            self.conversation.identify(self._unidentified, info.path, info.sha256)
            self._unidentified = []

    def ring_after(self, seconds: float) -> None:
        """The bell, if what the user waited for took long."""
        if seconds >= _LONG:
            self.screen.ring(self.choices.text("bell") or "off")

    def get_ready(self, answers: Iterable[int]) -> None:
        """What is done when there are new answers, turns with these numbers, and the conversation stands at one."""
        from llamachat.chat import turn  # noqa: PLC0415

        if info := self.engine.info:
            self.outside.on_answer(Path(info.path))
        self._unidentified += answers
        self._foreseen = None
        self._identify()
        turn.prepare(self.conversation, self.engine, self.settings)

    def close_answer(self, finished: Finished, state: State) -> None:
        """What is said after an answer."""
        if remark := _remark(finished, state, self.settings.max_tokens):
            self.say(remark, Look.DIM)
        if self.shows_statistics:
            self.say(statistics(finished), Look.DIM)
        if self.keeping and self.keeping.trouble and not self._told_trouble:
            self.say(f"This chat is not being saved: {self.keeping.trouble}", Look.ERROR)
        elif self.keeping and self._told_trouble and not self.keeping.trouble:
            self.say("This chat is saved again, with all that was said.", Look.DIM)
        if self.keeping and (moved := self.keeping.take_remark()):
            self.say(moved, Look.ERROR)
        self._told_trouble = bool(self.keeping and self.keeping.trouble)
        self.screen.gap()


def _remark(finished: Finished, state: State, max_tokens: int | None) -> str:
    """How an answer ended, when it is not at its end."""
    if state is State.INTERRUPTED:
        return "[stopped; what was said is kept, and /continue goes on]"
    if state is not State.LENGTH:
        return ""
    if finished.context.used >= finished.context.size:
        return f"[cut: the context of {finished.context.size:,} tokens is full; /continue makes room and goes on]"
    if max_tokens is None or finished.usage.completion_tokens < max_tokens:
        return f"[cut: the answers have filled the context of {finished.context.size:,} tokens; /continue goes on]"
    return "[cut: the limit of tokens was reached; /continue goes on]"


def _first_key(_question: str, keys: str) -> str:
    """The answer to a question when nobody can be asked."""
    return keys[0]


def last_answer(chat: Chat) -> str:
    """The text of the last answer. Raises UsageError where there is none."""
    if chat.conversation.answer is None:
        raise UsageError("there is no answer yet.")
    return chat.conversation.answer.content


def last_words(chat: Chat) -> str:
    """The same without what the model thought first."""
    return said_of(last_answer(chat), is_open=opens_thought(chat.conversation.made))
