"""The chat at a terminal: read a message, stream the answer, again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from llamachat.chat import turn
from llamachat.chat.conversation import Conversation
from llamachat.chat.turn import Settings
from llamachat.engine.base import Engine, Event, Finished
from llamachat.errors import EngineDied, Interrupted, LlamachatError, UsageError
from llamachat.types import FinishReason
from llamachat.ui import commands
from llamachat.ui import settings as adjustable
from llamachat.ui.prompt import Prompt
from llamachat.ui.sanitise import sanitise_line
from llamachat.ui.screen import Screen
from llamachat.ui.status import statistics
from llamachat.ui.terminal import on_interrupt

_REMARKS = {
    FinishReason.INTERRUPTED: "[stopped; what was said is kept]",
    FinishReason.LENGTH: "[cut: the limit of tokens, or the end of the context, was reached]",
}

MakeEngine = Callable[[str], Engine]


class Repl:
    """One conversation with one model at a time.

    `make_engine` builds an engine for a model's name, for /model. `log_fault` keeps a traceback.
    """

    def __init__(
        self,
        engine: Engine,
        conversation: Conversation,
        settings: Settings,
        screen: Screen,
        make_engine: MakeEngine,
        log_fault: Callable[[Exception], LlamachatError],
        show_statistics: bool,
    ) -> None:
        self.engine = engine
        self._conversation = conversation
        self._settings = settings
        self.screen = screen
        self._make_engine = make_engine
        self._log_fault = log_fault
        self._shows_statistics = show_statistics
        self._last: Finished | None = None
        self._leaving = False

    def run(self, prompt: Prompt, early: Sequence[str] = ()) -> None:
        """Until /exit or Ctrl-D. An error costs its turn; the text of one without an answer comes back.

        `early` are lines that were typed, and sent, before there was a prompt.
        """
        self.engine.on_change = prompt.redraw
        self.engine.start()
        draft = ""
        for line in early:
            draft = self.handle(line)
        while not self._leaving:
            try:
                text = prompt.read(draft)
            except KeyboardInterrupt:
                draft = ""
                continue
            except EOFError:
                return
            draft = self.handle(text)

    def handle(self, text: str) -> str:
        """One line of input. Returns what the next prompt starts with: a message that got no answer."""
        try:
            if text.startswith("/") and not text.startswith("//"):
                word, _, rest = text[1:].partition(" ")
                commands.find(word.strip()).run(self, rest.strip())
            elif text.strip():
                self._ask(text.removeprefix("/") if text.startswith("//") else text)
        except Interrupted:
            pass
        except LlamachatError as error:
            goes_on = isinstance(error, EngineDied) and error.restarts
            remark = "It starts again; what was said is kept, and /retry asks once more. " if goes_on else ""
            self.say(f"{error.message} {remark}{error.hint}", "red")
        except Exception as error:  # the boundary of a turn: a fault of ours must not end the chat
            self.say(str(self._log_fault(error)), "red")
        return self._take_unanswered()

    def toolbar(self) -> str:
        """What the toolbar says: the model and how full its context is."""
        info = self.engine.info
        if self.engine.failure:
            return sanitise_line(self.engine.failure.message)
        if info is None:
            loading = self.engine.loading
            percent = f" {100 * loading.done // loading.total} %" if loading.total else ""
            return f"loading the model…{percent}"
        used = self._last.context.used if self._last else 0
        return f"{info.name} {info.quantisation} · {used:,}/{info.n_ctx:,} tokens"

    # what the commands do

    def say(self, line: str, style: str = "") -> None:
        self.screen.line(line, style)

    def leave(self) -> None:
        self._leaving = True

    def start_over(self) -> None:
        self._conversation = Conversation(self._conversation.system)
        self._last = None
        self.say("A new conversation.")

    def retry(self) -> None:
        if self._conversation.last_user_text is None:
            raise UsageError("there is no question to ask again.")
        self._conversation.drop_answer()
        self._stream(turn.answer(self._conversation, self.engine, self._settings))

    def set_system(self, text: str) -> None:
        if text:
            self._conversation.system = None if text == "off" else text
        self.say(f"System prompt: {self._conversation.system or 'none'}")

    def set_model(self, name: str) -> None:
        if name:
            engine = self._make_engine(name)
            engine.on_change = self.engine.on_change
            self.engine.close()
            self.engine = engine
            self.engine.start()
            self.say("Loading it; you can type meanwhile.")
        elif info := self.engine.info:
            self.say(f"{info.name} ({info.quantisation}, format {info.format}) from {info.path}")
        else:
            self.say("It is still loading.")

    def set_value(self, name: str, value: str) -> None:
        if not name:
            self.screen.table(adjustable.describe(self._settings, self.engine.info))
            return
        adjustable.change(self._settings, name, value)
        self.say(f"{name} = {value}")

    def show_statistics(self, text: str) -> None:
        if text in ("on", "off"):
            self._shows_statistics = text == "on"
        self.say(statistics(self._last) if self._last else "No answer yet.")

    # answers

    def _ask(self, text: str) -> None:
        self._stream(turn.ask(self._conversation, text, self.engine, self._settings))

    def _stream(self, events: Iterator[Event]) -> None:
        """Show an answer as it comes. Ctrl-C ends it; what came stays, in the chat and on the screen."""
        with self.screen.answering() as view, on_interrupt(self.engine.interrupt):
            for event in events:
                view.show(event)
                if isinstance(event, Finished):
                    self._last = event
        if not self._conversation.has_answer:
            return
        if self._last and (remark := _REMARKS.get(self._last.reason)):
            self.say(remark, "dim")
        if self._last and self._shows_statistics:
            self.say(statistics(self._last), "dim")
        self.screen.gap()

    def _take_unanswered(self) -> str:
        """The last message's text when it got no answer: it goes back to the prompt, to be changed."""
        turns = self._conversation.turns
        return "" if not turns or self._conversation.has_answer else self._conversation.drop_question()
