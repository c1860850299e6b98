"""Where a conversation is kept, and how one is taken up again: from the command line's side."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from llamachat import presets
from llamachat.chat.keeping import Keeping
from llamachat.chat.transcript import Transcript
from llamachat.choices import Choices, Origin
from llamachat.cli.options import ChatOptions
from llamachat.environment import Environment
from llamachat.errors import UsageError
from llamachat.presets import Shelf

if TYPE_CHECKING:
    from llamachat.store.sessions import Store


class Kept:
    """The user's store, which is opened when it is needed first: its imports take longer than a prompt."""

    def __init__(self, environment: Environment, say: Callable[[str], None], *, strict: bool = False) -> None:
        self._path = environment.paths.sessions
        self._say = say
        self._strict = strict
        self._store: Store | None = None

    def store(self) -> Store:
        """Raises StorageError."""
        if self._store is None:
            from llamachat.store.sessions import Store  # noqa: PLC0415

            self._store = Store(self._path, say=self._say)
        return self._store

    def keep(self) -> Keeping:
        """What keeps a new conversation."""
        from llamachat.store.journal import Journal  # noqa: PLC0415

        return Journal(self.store, strict=self._strict)

    def keep_on(self, transcript: Transcript) -> Keeping:
        """What goes on keeping one that was loaded."""
        from llamachat.store.journal import Journal  # noqa: PLC0415

        return Journal.resume(self.store, transcript, strict=self._strict)

    def find(self, options: ChatOptions) -> Transcript | None:
        """The conversation that the options name. Raises UsageError where there is none."""
        if options.resume is not None:
            return self.store().load(self.store().find(options.resume).id)
        if not options.continues:
            return None
        latest = self.store().latest()
        if latest is None:
            raise UsageError("there is no chat to go on with yet.", "To begin one: llamachat")
        return self.store().load(latest.id)

    def close(self) -> None:
        if self._store is not None:
            self._store.close()


def as_it_was(choices: Choices, transcript: Transcript, shelf: Shelf) -> Choices:
    """The choices with the model, the preset and the system prompt of a session, unless they were named."""
    session = transcript.session
    if not _was_named(choices, "model") and (model := model_of(transcript)):
        choices = choices.with_value(Origin.CHAT, "model", model)
    if _was_named(choices, "preset"):
        return choices
    if session.preset and session.preset != choices.text("preset"):
        with suppress(UsageError):  # it is gone, or its variables are not known any more: its text is the session's
            choices = presets.switch(choices, Origin.PRESET, session.preset, {}, shelf)
        choices = choices.with_value(Origin.CHAT, "preset", session.preset)
    return choices if _was_named(choices, "system") else choices.with_value(Origin.CHAT, "system", session.system)


def model_of(transcript: Transcript) -> str | None:
    """The model of a session: its file if that is still there, else its name."""
    session = transcript.session
    return session.path if session.path and Path(session.path).is_file() else session.model


def _was_named(choices: Choices, key: str) -> bool:
    return choices.find(key).origin in (Origin.FLAG, Origin.ENVIRONMENT)
