"""The chat at a terminal: read a message, stream the answer, again."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from llamachat import presets
from llamachat.chat import turn
from llamachat.chat.conversation import Conversation
from llamachat.chat.turn import Settings
from llamachat.choices import Choices, Origin
from llamachat.engine.base import Engine, Event, Finished
from llamachat.errors import EngineDied, Interrupted, LlamachatError, UsageError
from llamachat.presets import Shelf
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

MakeEngine = Callable[[Choices], Engine]


class Repl:
    """One conversation with one model at a time.

    `choices` are what holds at its start. `make_engine` builds an engine for other choices. `log_fault` keeps a
    traceback. `on_answer` is told the file of the model that answered.
    """

    def __init__(
        self,
        engine: Engine,
        choices: Choices,
        shelf: Shelf,
        screen: Screen,
        make_engine: MakeEngine,
        log_fault: Callable[[Exception], LlamachatError],
        on_answer: Callable[[Path], None],
    ) -> None:
        self.engine = engine
        self._choices = choices
        self._shelf = shelf
        self._conversation = Conversation(choices.text("system"))
        self.screen = screen
        self._make_engine = make_engine
        self._log_fault = log_fault
        self._on_answer = on_answer
        self._shows_statistics = choices.switch("verbose")
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
        return f"{info.name} {info.quantisation} · {self._preset} · {used:,}/{info.n_ctx:,} tokens"

    def completions(self) -> list[str]:
        """What Tab can make of the beginning of a line."""
        names = [f"/{command.name}" for command in commands.COMMANDS]
        return [
            *names,
            *(f"/preset {name}" for name in self._shelf.names()),
            *(f"/set {name}" for name in adjustable.NAMES),
        ]

    @property
    def _preset(self) -> str:
        return self._choices.text("preset") or presets.NONE

    @property
    def _settings(self) -> Settings:
        return Settings.of(self._choices)

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
            self._choose(self._choices.with_value(Origin.CHAT, "system", None if text == "off" else text))
        self.say(f"System prompt: {self._conversation.system or 'none'}")

    def set_preset(self, text: str) -> None:
        if not text:
            self._show_presets()
            return
        name, given = _preset_and_variables(text)
        choices = presets.switch(self._choices, Origin.PRESET, name, given, self._shelf)
        choices = choices.without_value(Origin.CHAT, "system").with_value(Origin.CHAT, "preset", name)
        self._choose(choices)
        self.say(f"Preset: {name}.")
        if (system := choices.find("system")).origin in (Origin.FLAG, Origin.ENVIRONMENT):
            given_by = system.place or "-s"
            self.say(f"The system prompt stays the one given with {given_by}; /system changes it.")

    def set_model(self, name: str) -> None:
        if name:
            self._choose(self._choices.with_value(Origin.CHAT, "model", name))
        elif info := self.engine.info:
            self.say(f"{info.name} ({info.quantisation}, format {info.format}) from {info.path}")
        else:
            self.say("It is still loading.")

    def set_value(self, name: str, value: str) -> None:
        if not name:
            self.screen.table(adjustable.describe(self._choices, self.engine.info))
            return
        self._choices = adjustable.change(self._choices, name, value)
        self.say(f"{name} = {value}")

    def show_statistics(self, text: str) -> None:
        if text in ("on", "off"):
            self._shows_statistics = text == "on"
        self.say(statistics(self._last) if self._last else "No answer yet.")

    def _show_presets(self) -> None:
        """All of them, the one in use marked."""
        self.screen.table(
            (f"{'*' if preset.name == self._preset else ' '} {preset.name}", sanitise_line(preset.summary))
            for preset in self._shelf.all()
        )

    def _choose(self, choices: Choices) -> None:
        """Let these choices hold from now on, with another engine if they name another model. Raises ModelError."""
        if choices.text("model") != self._choices.text("model"):
            engine = self._make_engine(choices)
            engine.on_change = self.engine.on_change
            self.engine.close()
            self.engine = engine
            self.engine.start()
            self.say("Loading the model; you can type meanwhile.")
        self._choices = choices
        self._conversation.system = choices.text("system")

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
        if info := self.engine.info:
            self._on_answer(Path(info.path))
        if self._last and (remark := _REMARKS.get(self._last.reason)):
            self.say(remark, "dim")
        if self._last and self._shows_statistics:
            self.say(statistics(self._last), "dim")
        self.screen.gap()

    def _take_unanswered(self) -> str:
        """The last message's text when it got no answer: it goes back to the prompt, to be changed."""
        turns = self._conversation.turns
        return "" if not turns or self._conversation.has_answer else self._conversation.drop_question()


def _preset_and_variables(text: str) -> tuple[str, dict[str, str]]:
    """`NAME variable=value "other=two words"`. Raises UsageError."""
    try:
        name, *pairs = shlex.split(text)
    except ValueError as error:
        raise UsageError(f"/preset {text} has a quote that does not close.") from error
    for pair in pairs:
        if "=" not in pair:
            raise UsageError(f"/preset takes VARIABLE=VALUE after the name, not {pair!r}.")
    return name, dict(pair.split("=", 1) for pair in pairs)
