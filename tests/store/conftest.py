"""A store in a folder of the test's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from llamachat.chat.conversation import State
from llamachat.store.sessions import Store
from llamachat.types import Message, Role


def user(text: str) -> Message:
    return Message(Role.USER, text)


def answer(text: str) -> Message:
    return Message(Role.ASSISTANT, text, generated=True)


def talk(store: Store, *texts: str, **head: object) -> str:
    """A session in which user and assistant said these by turns; its id."""
    session = store.create(texts[0], **head).id
    parent = None
    for index, text in enumerate(texts):
        parent = store.add(session, parent, answer(text) if index % 2 else user(text))
    return session


def said(store: Store, session: str) -> list[str]:
    """The current branch."""
    return [entry.turn.message.content for entry in store.load(session).branch]


def states(store: Store, session: str) -> list[State]:
    return [entry.turn.state for entry in store.load(session).branch]


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "data" / "sessions.db"


@pytest.fixture
def opened(path) -> Iterator[Callable[..., Store]]:
    """`opened()` opens the file once more; all are closed at the end."""
    stores: list[Store] = []

    def make(**options) -> Store:
        stores.append(Store(path, **options))
        return stores[-1]

    yield make
    for store in stores:
        store.close()


@pytest.fixture
def store(opened) -> Store:
    return opened()
