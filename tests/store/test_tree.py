"""Any history of a conversation, kept by a journal and loaded at any moment, is the conversation."""

from __future__ import annotations

import itertools
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from llamachat.chat.conversation import Conversation, Nobody, State
from llamachat.chat.keeping import Head
from llamachat.store.journal import Journal
from llamachat.store.sessions import Store
from llamachat.types import Role
from tests.store.conftest import answer, user


class Histories(RuleBasedStateMachine):
    """The model is a plain dictionary: each turn's text, its parent's text, and its state."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.path = Path(self.folder.name) / "sessions.db"
        self.store = Store(self.path)
        self.journal = Journal(lambda: self.store, clock=itertools.count().__next__)
        self.journal.begin(Head("a chat", system="Be brief."))
        self.conversation = Conversation("Be brief.")
        self.model: dict[str, tuple[str | None, State]] = {}
        self.leaf: str | None = None
        self.names = (f"text {number}" for number in itertools.count())

    def teardown(self) -> None:
        self.store.close()
        self.folder.cleanup()

    def numbers(self) -> dict[str | None, int | None]:
        return {None: None, **{turn.message.content: turn.number for turn in self.conversation._turns.values()}}

    @property
    def can_ask(self) -> bool:
        return not (self.conversation.last and self.conversation.last.message.role is Role.USER)

    @precondition(lambda self: self.can_ask)
    @rule()
    def ask(self) -> None:
        name = next(self.names)
        self.conversation.add(user(name))
        self.journal.added(self.conversation.last)
        self.model[name] = (self.leaf, State.COMPLETE)
        self.leaf = name

    @precondition(lambda self: not self.can_ask)
    @rule(
        state=st.sampled_from([State.COMPLETE, State.INTERRUPTED, State.LENGTH, State.ERROR]),
        n_pieces=st.integers(1, 3),
    )
    def reply(self, state: State, n_pieces: int) -> None:
        name = next(self.names)
        self.conversation.add(answer(""), State.STREAMING)
        self.journal.added(self.conversation.last)
        for _ in range(n_pieces):
            self.conversation.grow_answer("…")
            self.journal.grew(self.conversation.last)
        self.conversation.end_answer(answer(name), state)
        self.journal.ended(self.conversation.last, {"of": name}, n_pieces)
        self.model[name] = (self.leaf, state)
        self.leaf = name

    @precondition(lambda self: not self.can_ask)
    @rule(says=st.lists(st.booleans(), min_size=2, max_size=4), data=st.data())
    def reply_together(self, says: list[bool], data) -> None:
        """`/retry --n`: some of the answers come to nothing, and a key picks one of the others."""
        question, before = self.leaf, self.conversation.leaf
        self.conversation.keeper = self.journal
        numbers = self.conversation.begin_answers(len(says))
        for number in (*numbers, *numbers):
            self.conversation.grow_answer("…", number)
        found = []
        for number, said in zip(numbers, says, strict=True):
            if said:
                name = next(self.names)
                self.conversation.end_answer(answer(name), State.COMPLETE, {"of": name}, 2, number)
                self.model[name] = (question, State.COMPLETE)
                found.append(name)
            else:
                self.conversation.take_back(number)
        self.leaf = data.draw(st.sampled_from(found)) if found else question
        self.conversation.move(self.numbers()[self.leaf] if found else before)
        self.conversation.keeper = Nobody()

    @precondition(lambda self: not self.can_ask)
    @rule()
    def say_nothing(self) -> None:
        self.conversation.add(answer(""), State.STREAMING)
        self.journal.added(self.conversation.last)
        nothing = self.conversation.last
        self.conversation.take_back()
        self.journal.taken_back(nothing)

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def move(self, data) -> None:
        """`/undo`, `/switch`; what comes next is an edit, another answer, or another branch."""
        self.leaf = data.draw(st.sampled_from([None, *self.model]))
        self.conversation.move(self.numbers()[self.leaf])
        self.journal.moved(self.conversation.leaf)

    @precondition(lambda self: self.model)
    @rule()
    def reopen(self) -> None:
        self.store.close()
        self.store = Store(self.path)
        transcript = self.store.load(self.journal.session)
        self.conversation = transcript.conversation()
        self.journal = Journal.resume(lambda: self.store, transcript)

    @invariant()
    def what_is_kept_is_what_was_said(self) -> None:
        if not self.model:
            return
        assert self.journal.trouble is None
        with Store(self.path) as other:
            transcript = other.load(self.journal.session)
            texts = {entry.turn.number: entry.turn.message.content for entry in transcript.entries}
            assert {
                entry.turn.message.content: (texts.get(entry.turn.parent), entry.turn.state)
                for entry in transcript.entries
            } == self.model
            assert texts.get(transcript.session.leaf) == self.leaf
            assert all(
                entry.made is None or entry.made["of"] == entry.turn.message.content for entry in transcript.entries
            )
            assert len(other.search("text", 1000)) == len(self.model)


Histories.TestCase.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
TestHistories = Histories.TestCase
