"""Where a conversation is kept, and how one is taken up again: from the command line's side."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from llamachat import presets
from llamachat.chat.keeping import Keeping
from llamachat.chat.transcript import Transcript
from llamachat.choices import Choices, Origin
from llamachat.cli.options import ChatOptions
from llamachat.environment import Environment
from llamachat.errors import ModelError, StorageError, UsageError
from llamachat.presets import Shelf

if TYPE_CHECKING:
    from llamachat.store.journal import Journal
    from llamachat.store.retries import Retries
    from llamachat.store.sessions import Store

_PATIENCE_OF_A_CHAT = 1.0  # seconds to wait for another process, before a chat goes on in memory


class Kept:
    """The user's store, which is opened when it is needed first: its imports take longer than a prompt.

    `strict`: what cannot be kept is an error, and so is a damaged file, which is mended all the same.
    """

    def __init__(self, environment: Environment, say: Callable[[str], None], *, strict: bool = False) -> None:
        self._environment = environment
        self._say = say
        self._strict = strict
        self._damage: list[str] = []  # what a strict one has to tell yet
        self._store: Store | None = None
        self._retries: Retries | None = None
        self._journals: list[Journal] = []
        self._opening = threading.Lock()
        self.on_saved: Callable[[], None] = lambda: None  # what had to wait is written; called from any thread

    def store(self) -> Store:
        """Raises StorageError."""
        with self._opening:
            if self._store is None:
                self._store = self._opened()
            return self._store

    def _opened(self) -> Store:
        from llamachat.store.db import PATIENCE  # noqa: PLC0415
        from llamachat.store.sessions import Store  # noqa: PLC0415

        path = self._environment.paths.sessions
        if not self._strict:
            return Store(path, say=self._say, patience=_PATIENCE_OF_A_CHAT)
        store = Store(path, say=self._damage.append, patience=PATIENCE)
        if self._damage:
            store.close()
            raise StorageError(self._damage.pop(), "Ask again.")
        return store

    def keep(self) -> Keeping:
        """What keeps a new conversation."""
        from llamachat.store.journal import Journal  # noqa: PLC0415

        return self._noted(Journal(self.store, strict=self._strict, on_trouble=self._try_again))

    def keep_on(self, transcript: Transcript) -> Keeping:
        """What goes on keeping one that was loaded."""
        from llamachat.store.journal import Journal  # noqa: PLC0415

        return self._noted(Journal.resume(self.store, transcript, strict=self._strict, on_trouble=self._try_again))

    def _noted(self, journal: Journal) -> Journal:
        self._journals.append(journal)
        return journal

    def _try_again(self, journal: Journal) -> None:
        """Until it is written, also while nothing is said."""
        if self._retries is None:
            from llamachat.store.retries import Retries  # noqa: PLC0415

            self._retries = Retries(self.on_saved)
        self._retries.watch(journal)

    def find(self, options: ChatOptions, choices: Choices) -> Transcript | None:
        """The conversation that the options name, or the user picks. Raises UsageError where there is none."""
        if options.resume is not None:
            name = options.resume or self._picked(choices)
            return self.store().load(self.store().find(name).id)
        if not options.continues:
            return None
        latest = self.store().latest()
        if latest is None:
            raise UsageError("there is no chat to go on with yet.", "To begin one: llamachat")
        return self.store().load(latest.id)

    def _picked(self, choices: Choices) -> str:
        from llamachat.cli.pick import check_terminal, pick_session  # noqa: PLC0415  few starts pick one

        check_terminal(self._environment)
        return pick_session(self.store(), choices, self._environment)

    def close(self) -> None:
        """What waits is tried once more; what cannot be written is told. After the engine has ended."""
        for line in self._damage:
            self._say(line)
        for journal in self._retries.close() if self._retries else ():
            self._say(f"this chat was not saved: {journal.trouble}")
        if self._store is not None:
            with suppress(StorageError):
                self._forget_removed(self._store)
            self._store.close()

    def _forget_removed(self, store: Store) -> None:
        """What was evaluated for sessions that were removed while they were open here may have been written since."""
        sessions = {session for journal in self._journals for session in journal.sessions}
        if removed := [session for session in sessions if not store.has(session)]:
            from llamachat.cache import Cache  # noqa: PLC0415  few chats are removed while they are open

            Cache(self._environment.paths.blocks).forget(removed)


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


@contextmanager
def its_model(transcript: Transcript | None, choices: Choices) -> Iterator[None]:
    """While an engine is made for a session, if there is one: that its model is gone is said with what helps."""
    try:
        yield
    except ModelError as error:
        if transcript is None or choices.find("model").origin is not Origin.CHAT:
            raise
        hint = f"With another: llamachat --resume {transcript.session.id} -m OTHER"
        raise ModelError(f"the model of this session is gone: {error.message}", hint) from error


def model_of(transcript: Transcript) -> str | None:
    """The model of a session: its file if that is still there, else its name."""
    session = transcript.session
    return session.path if session.path and Path(session.path).is_file() else session.model


def _was_named(choices: Choices, key: str) -> bool:
    return choices.find(key).origin in (Origin.FLAG, Origin.ENVIRONMENT)
