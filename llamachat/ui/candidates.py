"""`/retry --n N`: answers that are made side by side are shown one after another, and a key picks one.

The first streams. What comes of the others meanwhile is held until their turn; then each streams on from there.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator
from contextlib import closing

from llamachat.chat import turn
from llamachat.chat.conversation import State
from llamachat.chat.events import Event
from llamachat.engine.base import Delta, Finished
from llamachat.errors import Interrupted, LlamachatError
from llamachat.ui.chat import BROKEN_OFF, Chat
from llamachat.ui.interrupt import on_interrupt
from llamachat.ui.theme import Look


def retry_together(chat: Chat, n: int) -> None:
    """Answer the last question `n` times in one batch, beside the answers it has; the user picks one.

    Ctrl-C ends all; what came of each stays. After an error the conversation stands at the first of them, or where it
    stood if there is none.
    """
    before, started = chat.conversation.leaf, chat.outside.clock()
    chat.conversation.move(chat.conversation.questions[-1].number)
    try:
        with closing(turn.answer_many(chat.conversation, chat.engine, chat.settings, n)) as events:
            series = _Series(events, n)
            _show(chat, series, n)
    finally:
        if not chat.conversation.has_answer:
            chat.conversation.move(before)
    if series.error:
        raise series.error
    if not series.turns:
        raise Interrupted("stopped before the first word.")
    chat.ring_after(chat.outside.clock() - started)
    picked = _pick(chat, list(series.turns))
    chat.conversation.move(series.turns[picked])
    chat.last = series.finished[picked]
    chat.get_ready(series.turns.values())


def _show(chat: Chat, series: _Series, n: int) -> None:
    with on_interrupt(chat.engine.interrupt):
        for index in range(n):
            if series.is_empty(index):
                continue
            chat.say(f"{index + 1} of {n}", Look.STRONG)
            with chat.screen.answering() as view:
                for event in series.of(index):
                    view.show(event)
            if finished := series.finished.get(index):
                if not series.is_empty(index):
                    chat.close_answer(finished, State.of(finished.reason))
            elif series.error and not series.is_empty(index):
                chat.say(BROKEN_OFF, Look.DIM)
        series.end()


def _pick(chat: Chat, found: list[int]) -> int:
    """The index of the answer to keep, of these."""
    if len(found) == 1:
        return found[0]
    keys = "".join(str(index + 1) for index in found)
    return int(chat.ask_key(f"Keep which? [{'/'.join(keys)}]", keys)) - 1


class _Series:
    """The events of several answers, which come all mixed, dealt out to each of them."""

    def __init__(self, events: Generator[Event, None, dict[int, int]], n: int) -> None:
        self.finished: dict[int, Finished] = {}
        self.turns: dict[int, int] = {}  # the number of each answer's turn by its index, at the end
        self.error: LlamachatError | None = None  # what ended them all
        self._events = events
        self._held: list[deque[Event]] = [deque() for _ in range(n)]
        self._said = [False] * n
        self._is_over = False

    def of(self, index: int) -> Iterator[Event]:
        """One answer's events: what was held, then as they come. What concerns all goes to the one that is shown."""
        held = self._held[index]
        while True:
            while held:
                yield held.popleft()
            if index in self.finished or not self._hear(index):
                return

    def is_empty(self, index: int) -> bool:
        """Whether it was cut off before its first word."""
        finished = self.finished.get(index)
        is_over = self._is_over or (finished is not None and State.of(finished.reason) is not State.COMPLETE)
        return is_over and not self._said[index]

    def end(self) -> None:
        """Hear what is left."""
        while self._hear(0):
            pass

    def _hear(self, index: int) -> bool:
        """Take one more event in; False when there is none. An error is kept: what was held is shown first."""
        try:
            event = next(self._events)
        except StopIteration as end:
            self._is_over, self.turns = True, end.value or self.turns
            return False
        except LlamachatError as error:
            self._is_over, self.error = True, error
            return False
        if isinstance(event, Delta | Finished):
            index = event.index
        if isinstance(event, Finished):
            self.finished[index] = event
        self._said[index] = self._said[index] or isinstance(event, Delta)
        self._held[index].append(event)
        return True
