"""A Hub on loopback, and the command line pointed at it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from llamachat.models.catalogue import load
from tests.conftest import Result
from tests.hub import Hub

LLAMA = load().find("llama-2-7b-chat")


@pytest.fixture(scope="session")
def weights(tiny_model) -> bytes:
    return tiny_model.read_bytes()


@pytest.fixture
def hub(weights) -> Iterator[Hub]:
    """Llama 2 7B chat in two quantisations whose hashes nobody has proved, and in one whose hash is another."""
    with Hub() as hub:
        files = {f"llama-2-7b-chat.{quantisation}.gguf": weights for quantisation in ("Q4_0", "Q5_K_M", "Q4_K_M")}
        hub.add(LLAMA.repo, files, commit=LLAMA.commit, license="llama2")
        hub.add("me/small-GGUF", {"small.Q4_K_M.gguf": weights, "small.Q2_K.gguf": weights}, license="apache-2.0")
        yield hub


@pytest.fixture
def cache(tmp_path) -> Path:
    return tmp_path / "hf" / "hub"


@pytest.fixture
def go(run, hub, tmp_path) -> Callable[..., Result]:
    """`run` with this Hub, a cache and a home of its own."""

    def call(*arguments: str, **options) -> Result:
        place = {"HF_ENDPOINT": hub.endpoint, "HF_HOME": str(tmp_path / "hf"), "HOME": str(tmp_path / "user")}
        return run(*arguments, **{**place, **options})

    return call


@pytest.fixture
def llama(go) -> Path:
    """Llama 2 7B chat in Q4_0, pulled."""
    result = go("pull", "llama-2-7b-chat:Q4_0", "--accept-licence")
    assert result.code == 0, result.err
    return Path(result.out.splitlines()[0].partition(" is here: ")[2])
