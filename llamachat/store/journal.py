"""One conversation as it is written down. When it cannot be, it goes on in memory and is written when it can again.

It speaks in the conversation's own turn numbers, since those of the database may have to wait.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

from llamachat.chat.conversation import Made, Turn
from llamachat.chat.keeping import Head
from llamachat.chat.summary import Summary
from llamachat.chat.transcript import Transcript, title_of
from llamachat.errors import StorageError
from llamachat.store.faults import Busy, Gone, gone
from llamachat.store.rows import translated
from llamachat.store.sessions import Store
from llamachat.types import Role

_GROWTH_SECONDS = 0.25  # how far what is on the disk may be behind what is on the screen


@dataclass(frozen=True, slots=True)
class _Change:
    """Something to write. `said` are the turns that are written first if the session was removed meanwhile.

    None: there is nothing in it that would need a session then.
    """

    write: Callable[[Store], object]
    said: tuple[Turn, ...] | None = None
    title: str = ""  # of that session


def _to_nobody(_journal: Journal) -> None:
    """Nobody tries again but the next call."""


class Journal:
    """Follows one conversation, call by call. Its session is made with the first turn.

    `trouble` says in a line why nothing is written at the moment; what should be is kept, in order, and each call
    tries again. `on_trouble` is told, and may call `catch_up` from another thread. With `strict` a call raises
    StorageError instead, and what could not be written is kept all the same.

    If the session is removed meanwhile, what was removed stays so: what is said from then on begins a new one.
    """

    def __init__(
        self,
        open_store: Callable[[], Store],
        *,
        strict: bool = False,
        clock: Callable[[], float] = time.monotonic,
        on_trouble: Callable[[Journal], None] = _to_nobody,
    ) -> None:
        """The store is opened when there is something to write; `close` does not close it."""
        self._open_store = open_store
        self._strict = strict
        self._clock = clock
        self._on_trouble = on_trouble
        self._lock = threading.RLock()
        self._store: Store | None = None
        self._head = Head("")
        self._turns: dict[int, Turn] = {}  # as they were told
        self._waiting: deque[_Change] = deque()
        self._numbers: dict[int | None, int | None] = {None: None}
        self._summaries: dict[int, int] = {}
        self._grown_at: dict[int, float] = {}  # when each answer that streams was last written
        self._own: list[int] = []  # turns that were added here
        self._has_begun = False  # the session here
        self._remark = ""
        self.session: str | None = None
        self.sessions: set[str] = set()  # all that were written to here: one that was removed is followed by another
        self.trouble: str | None = None
        self.is_held_up = False  # by another process, as far as that is the trouble

    @classmethod
    def resume(
        cls,
        open_store: Callable[[], Store],
        transcript: Transcript,
        *,
        strict: bool = False,
        on_trouble: Callable[[Journal], None] = _to_nobody,
    ) -> Journal:
        """Go on with a session that was loaded: the conversation has the database's own numbers."""
        journal = cls(open_store, strict=strict, on_trouble=on_trouble)
        head = transcript.session
        journal.session = head.id
        journal.sessions.add(head.id)
        journal._head = Head(head.title, head.model, head.preset, head.system, head.one_shot, head.path)
        journal._turns = {entry.turn.number: entry.turn for entry in transcript.entries}
        journal._numbers |= {entry.turn.number: entry.turn.number for entry in transcript.entries}
        journal._summaries = {summary.number: summary.number for summary in transcript.summaries}
        return journal

    def number(self, turn: int) -> int | None:
        """The database's number of a turn; None while it waits."""
        return self._numbers.get(turn)

    def begin(self, head: Head) -> None:
        """The session of what follows. Once, before the first turn."""
        self._head, self._has_begun = head, True
        self._waiting.append(_Change(self._begin))  # with the first turn: there are no empty sessions

    def added(self, turn: Turn) -> None:
        """A turn is in the conversation. A user's message is on the disk when this returns, unless there is trouble."""

        def write(store: Store) -> None:
            parent = self._numbers.get(turn.parent)  # none for one that was removed
            self._numbers[turn.number] = store.add(self._session(), parent, turn.message, turn.state)

        self._turns[turn.number] = turn
        self._own.append(turn.number)
        self._grown_at[turn.number] = self._clock()
        question = self._question_of(turn)
        self._write(_Change(write, question, _title_of(*question, turn)))

    def reopened(self, turn: Turn) -> None:
        """An answer that had ended goes on."""
        self._grown_at[turn.number] = self._clock()
        self._write(self._about(turn, lambda store: store.reopen(self._number(turn.number))))

    def grew(self, turn: Turn) -> None:
        """An answer has got longer: each is written four times a second, or in trouble when it has ended."""
        now = self._clock()
        if not self._waiting and now - self._grown_at.get(turn.number, now) >= _GROWTH_SECONDS:
            self._grown_at[turn.number] = now
            change = self._about(turn, lambda store: store.grow(self._number(turn.number), turn.message.content))
            with suppress(StorageError), self._trouble_noted():  # what comes later carries it
                self._carry_out(change)

    def ended(self, turn: Turn, made: Made | None = None, n_tokens: int | None = None) -> None:
        """An answer is whole, or as whole as it will be."""

        def write(store: Store) -> None:
            store.finish(self._number(turn.number), turn.message, turn.state, self._translated(made), n_tokens)

        self._grown_at.pop(turn.number, None)
        self._write(self._about(turn, write))

    def taken_back(self, turn: Turn) -> None:
        """A turn came to nothing."""
        self._grown_at.pop(turn.number, None)
        self._own = [number for number in self._own if number != turn.number]
        self._write(_Change(lambda store: store.take_back(self._number(turn.number))))

    def moved(self, leaf: int | None) -> None:
        """The conversation stands elsewhere."""
        self._write(_Change(lambda store: store.move(self._session(), None if leaf is None else self._number(leaf))))

    def renamed(self, title: str) -> None:
        self._write(_Change(lambda store: store.rename(self._session(), title)))

    def reframed(self, *, model: str | None, preset: str | None, system: str | None, path: str | None = None) -> None:
        """The conversation goes on with these."""
        self._head = replace(self._head, model=model, preset=preset, system=system, path=path, one_shot=False)

        def write(store: Store) -> None:
            store.reframe(self._session(), model=model, preset=preset, system=system, path=path)

        self._write(_Change(write))

    def described(self, turn: int, made: Made) -> None:
        """More is known of what made an answer."""
        self._write(_Change(lambda store: store.describe(self._number(turn), self._translated(made))))

    def pinned(self, turn: int, *, pinned: bool) -> None:
        self._write(_Change(lambda store: store.set_pinned(self._number(turn), pinned=pinned)))

    def summarised(self, summary: Summary) -> None:
        """A text stands for turns of the conversation, or none does any more."""

        def write(store: Store) -> None:
            first, last = self._number(summary.first), self._number(summary.last)
            made = self._translated(summary.made)
            self._summaries[summary.number] = store.summarise(first, last, summary.content, made)

        self._write(_Change(write))

    def catch_up(self) -> None:
        """Write what waits, if that is possible now. May be called from any thread."""
        self._write()

    def withdraw(self) -> None:
        """What was added here came to nothing, and a session that began here with it. Raises StorageError."""
        with self._lock:
            self._waiting.clear()
            if self.session is not None and self._has_begun:
                self._opened().withdraw(self.session)
                self.session = None
            elif self.session is not None:
                for turn in reversed(self._own):
                    self._opened().take_back(self._number(turn))

    def take_remark(self) -> str:
        """What the user should know of what was kept where, once."""
        remark, self._remark = self._remark, ""
        return remark

    # writing

    def _write(self, *changes: _Change) -> None:
        """Write what waits, in order, and these."""
        with self._lock:
            self._waiting += changes
            with self._trouble_noted():
                while self._waiting:
                    self._carry_out(self._waiting[0])
                    self._waiting.popleft()

    def _carry_out(self, change: _Change) -> None:
        with self._lock:
            store = self._opened()
            try:
                change.write(store)
            except Gone:
                if change.said is None:
                    return
                self._begin_again(store, change.said, change.title)
                change.write(store)

    def _begin(self, store: Store) -> None:
        head = self._head
        made = store.create(
            head.title,
            model=head.model,
            preset=head.preset,
            system=head.system,
            one_shot=head.one_shot,
            path=head.path,
        )
        self.session = made.id
        self.sessions.add(made.id)

    def _begin_again(self, store: Store, said: Sequence[Turn], title: str) -> None:
        """A new session, if the old one was removed, with these turns: what is under way."""
        if self.session is None or not store.has(self.session):
            self._head = replace(self._head, title=title)  # the old one was said in what was removed
            self._begin(store)
            self._numbers, self._summaries, self._has_begun = {None: None}, {}, True
            self._remark = f"This chat was removed meanwhile. What is said from here on is kept as {self.session}."
        for turn in said:
            parent = self._numbers.get(turn.parent)
            self._numbers[turn.number] = store.add(self._session(), parent, turn.message, turn.state)

    def _question_of(self, turn: Turn) -> tuple[Turn, ...]:
        question = None if turn.parent is None else self._turns.get(turn.parent)
        return (question,) if question and turn.message.role is not Role.USER else ()

    def _about(self, turn: Turn, write: Callable[[Store], object]) -> _Change:
        """A change of an answer: neither it nor its question may be lost."""
        self._turns[turn.number] = turn
        said = (*self._question_of(turn), turn)
        return _Change(write, said, _title_of(*said))

    @contextmanager
    def _trouble_noted(self) -> Iterator[None]:
        try:
            yield
            self.trouble, self.is_held_up = None, False
        except StorageError as error:
            self.trouble, self.is_held_up = str(error), isinstance(error, Busy)
            if self._strict:
                raise
            self._on_trouble(self)

    def _opened(self) -> Store:
        if self._store is None:
            self._store = self._open_store()
        return self._store

    def _translated(self, made: Made | None) -> Made | None:
        """The turns and summaries that it names by the database's numbers."""
        return translated(made, self._numbers, self._summaries)

    @property
    def is_removed(self) -> bool:
        """Whether the session was removed, by somebody else; False while that cannot be told."""
        try:
            return self.session is not None and not self._opened().has(self.session)
        except StorageError:
            return False

    def _session(self) -> str:
        assert self.session is not None
        return self.session

    def _number(self, turn: int) -> int:
        """Raises Gone for one that was removed."""
        number = self._numbers.get(turn)
        if number is None:
            raise gone()
        return number


def _title_of(first: Turn, *_: Turn) -> str:
    return title_of(first.message.content)
