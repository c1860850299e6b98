"""One conversation as it is written down. When it cannot be, it goes on in memory and is written when it can again.

It speaks in the conversation's own turn numbers, since those of the database may have to wait.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from llamachat.chat.conversation import Made, Turn
from llamachat.chat.keeping import Head
from llamachat.chat.transcript import Transcript
from llamachat.errors import StorageError
from llamachat.store.sessions import Store

_GROWTH_SECONDS = 0.25  # how far what is on the disk may be behind what is on the screen


class Journal:
    """Follows one conversation, call by call, from one thread. Its session is made with the first turn.

    `trouble` says in a line why nothing is written at the moment; what should be is kept, in order, and each call
    tries again. With `strict` a call raises StorageError instead, and what could not be written is kept all the same.
    """

    def __init__(
        self,
        open_store: Callable[[], Store],
        *,
        strict: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """The store is opened when there is something to write; `close` does not close it."""
        self._open_store = open_store
        self._strict = strict
        self._clock = clock
        self._store: Store | None = None
        self._waiting: deque[Callable[[Store], object]] = deque()
        self._numbers: dict[int | None, int | None] = {None: None}
        self._grown_at = clock()
        self.session: str | None = None
        self.trouble: str | None = None

    @classmethod
    def resume(cls, open_store: Callable[[], Store], transcript: Transcript, *, strict: bool = False) -> Journal:
        """Go on with a session that was loaded: the conversation has the database's own numbers."""
        journal = cls(open_store, strict=strict)
        journal.session = transcript.session.id
        journal._numbers |= {entry.turn.number: entry.turn.number for entry in transcript.entries}
        return journal

    def number(self, turn: int) -> int | None:
        """The database's number of a turn; None while it waits."""
        return self._numbers.get(turn)

    def begin(self, head: Head) -> None:
        """The session of what follows. Once, before the first turn."""

        def write(store: Store) -> None:
            made = store.create(
                head.title,
                model=head.model,
                preset=head.preset,
                system=head.system,
                one_shot=head.one_shot,
                path=head.path,
            )
            self.session = made.id

        self._waiting.append(write)  # with the first turn: there are no empty sessions

    def added(self, turn: Turn) -> None:
        """A turn is in the conversation. A user's message is on the disk when this returns, unless there is trouble."""

        def write(store: Store) -> None:
            self._numbers[turn.number] = store.add(
                self._session(), self._numbers[turn.parent], turn.message, turn.state
            )

        self._grown_at = self._clock()
        self._write(write)

    def reopened(self, turn: Turn) -> None:
        """An answer that had ended goes on."""
        self._grown_at = self._clock()
        self._write(lambda store: store.reopen(self._number(turn.number)))

    def grew(self, turn: Turn) -> None:
        """An answer has got longer: written four times a second, or in trouble when it has ended."""
        now = self._clock()
        if not self._waiting and now - self._grown_at >= _GROWTH_SECONDS:
            self._grown_at = now
            with self._trouble_noted():  # what comes later carries it
                self._opened().grow(self._number(turn.number), turn.message.content)

    def ended(self, turn: Turn, made: Made | None = None, n_tokens: int | None = None) -> None:
        """An answer is whole, or as whole as it will be."""

        def write(store: Store) -> None:
            store.finish(self._number(turn.number), turn.message, turn.state, self._translated(made), n_tokens)

        self._write(write)

    def taken_back(self, turn: Turn) -> None:
        """A turn came to nothing."""
        self._write(lambda store: store.take_back(self._number(turn.number)))

    def moved(self, leaf: int | None) -> None:
        """The conversation stands elsewhere."""
        self._write(lambda store: store.move(self._session(), self._numbers[leaf]))

    def renamed(self, title: str) -> None:
        self._write(lambda store: store.rename(self._session(), title))

    def reframed(self, *, model: str | None, preset: str | None, system: str | None, path: str | None = None) -> None:
        """The conversation goes on with these."""
        self._write(lambda store: store.reframe(self._session(), model=model, preset=preset, system=system, path=path))

    def pinned(self, turn: int, *, pinned: bool) -> None:
        self._write(lambda store: store.set_pinned(self._number(turn), pinned=pinned))

    def summarised(self, first: int, last: int, content: str, made: Made | None = None) -> None:
        """A text stands for turns of the conversation."""
        self._write(lambda store: store.summarise(self._number(first), self._number(last), content, made))

    def catch_up(self) -> None:
        """Write what waits, if that is possible now."""
        self._write()

    def _write(self, *changes: Callable[[Store], object]) -> None:
        """Write what waits, in order, and these."""
        self._waiting += changes
        with self._trouble_noted():
            while self._waiting:
                self._waiting[0](self._opened())
                self._waiting.popleft()

    @contextmanager
    def _trouble_noted(self) -> Iterator[None]:
        try:
            yield
            self.trouble = None
        except StorageError as error:
            self.trouble = str(error)
            if self._strict:
                raise

    def _opened(self) -> Store:
        if self._store is None:
            self._store = self._open_store()
        return self._store

    def _translated(self, made: Made | None) -> Made | None:
        """The turns that an answer saw, by the database's numbers."""
        if made is None or "turns" not in made:
            return made
        return {**made, "turns": [self._numbers.get(number) for number in made["turns"]]}

    def _session(self) -> str:
        assert self.session is not None
        return self.session

    def _number(self, turn: int) -> int:
        number = self._numbers[turn]
        assert number is not None
        return number
