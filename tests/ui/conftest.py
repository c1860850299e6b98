"""A chat without a terminal: `chat(["an answer"], ...)`, whose lines can be read."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from llamachat.choices import Choices, Layer, Origin
from llamachat.environment import Environment
from llamachat.errors import LlamachatError
from llamachat.presets import Shelf
from llamachat.store.journal import Journal
from llamachat.store.sessions import Store
from llamachat.ui import repl
from llamachat.ui.chat import Chat, Outside
from llamachat.ui.screen import Screen
from llamachat.ui.theme import Background, theme
from tests.fakes.engine import ScriptedEngine


class Desk:
    """A chat and all that it shows."""

    def __init__(
        self, engine: ScriptedEngine, folder: Path, flags: dict, clock, *, terminal: bool, plain: bool
    ) -> None:
        self.engine = engine
        self.out, self.err = io.BytesIO(), io.StringIO()
        self.copied: list[str] = []
        self.asked: list[str] = []
        self.models_built: list[str] = []
        self.keys: list[str] = []
        self.recorded: list[bool] = []
        self.store = Store(folder / "sessions.db")
        environment = Environment(
            stdin=io.BytesIO(), stdout=self.out, stderr=self.err, stdout_encoding="utf-8",
            stdin_is_terminal=True, stdout_is_terminal=terminal, stderr_is_terminal=terminal,
            variables={"LLAMACHAT_HOME": str(folder / "home"), "NO_COLOR": "1"},
        )  # fmt: skip
        look = theme(Background.DARK, colour=False, attributes=False, encoding="utf-8")
        screen = Screen(environment, lambda: look, quiet=False, plain=plain, raw=False)
        outside = Outside(
            make_engine=self._make_engine,
            models=lambda: ["llama-2-7b-chat", "starter"],
            log_fault=lambda error: LlamachatError(f"a fault: {error!r}."),
            on_answer=lambda path: None,
            edit=lambda text: f"{text} (edited)",
            copy=self._copy,
            record_input=self.recorded.append,
            keep=lambda: Journal(lambda: self.store),
            keep_on=lambda transcript: Journal.resume(lambda: self.store, transcript),
            store=lambda: self.store,
            as_it_was=lambda choices, transcript: choices,
            clock=clock,
        )
        self.chat = Chat(engine, Choices({Origin.FLAG: Layer(flags)}), Shelf(folder / "presets"), screen, outside)
        self.chat.ask_key = self._ask_key

    def __call__(self, line: str, pasted=()) -> str:
        """Handle one line; what the next prompt begins with."""
        return repl.handle(self.chat, line, pasted)

    @property
    def shown(self) -> str:
        """What came on stderr since it was last asked."""
        text = self.err.getvalue()
        self.err.seek(0)
        self.err.truncate()
        return text

    @property
    def answers(self) -> str:
        return self.out.getvalue().decode()

    def said(self) -> list[str]:
        return [turn.message.content for turn in self.chat.conversation.turns]

    def _make_engine(self, choices: Choices) -> ScriptedEngine:
        self.models_built.append(str(choices.text("model")))
        engine = ScriptedEngine(["from the other"])
        engine.info = replace(engine.info, name=str(choices.text("model")))
        return engine

    def _copy(self, text: str) -> str:
        self.copied.append(text)
        return "with a test"

    def _ask_key(self, question: str, keys: str) -> str:
        self.asked.append(question)
        return self.keys.pop(0) if self.keys else keys[0]


@pytest.fixture
def chat(tmp_path, monkeypatch) -> Callable[..., Desk]:
    """Files are looked for in the test's own folder."""
    monkeypatch.chdir(tmp_path)

    def make(*answers, flags=None, terminal=True, plain=False, clock=time.monotonic) -> Desk:
        return Desk(ScriptedEngine(*answers), tmp_path, flags or {}, clock, terminal=terminal, plain=plain)

    return make
