"""The model of noise, loaded in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from llamachat.llama.lib import AbortFlag, C, Log, check_abi
from llamachat.llama.model import Model
from llamachat.llama.session import Session
from llamachat.types import LoadOptions


@pytest.fixture(scope="session")
def log() -> Log:
    check_abi()
    log = Log(lambda _text: None)
    C.llama_backend_init()
    return log


@pytest.fixture(scope="session")
def model(log, tiny_model) -> Iterator[Model]:
    model = Model.load(LoadOptions(path=str(tiny_model), n_threads=1), log, lambda _done, _total: None)
    yield model
    model.close()


@pytest.fixture
def new_session(model) -> Iterator[Callable[..., Session]]:
    """Sessions with a small grid, so that a few tokens make several chunks."""
    sessions = []

    def make(n_ctx: int = 256, chunk: int = 16) -> Session:
        session = model.session(n_ctx, AbortFlag())
        session.chunk = chunk
        sessions.append(session)
        return session

    yield make
    for session in sessions:
        session.close()


@pytest.fixture
def session(new_session) -> Session:
    return new_session()
