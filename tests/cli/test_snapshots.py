"""What was read once, through the whole program: another process finds it, and what is not to be kept is not."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from llamachat.cache import Cache
from llamachat.chat.conversation import Conversation
from llamachat.chat.keeping import Head
from llamachat.cli.keep import Kept
from llamachat.environment import Environment
from llamachat.store.sessions import Store
from llamachat.types import Message, Role

DOCUMENT = " ".join(f"Item {number}: {number * number % 97} stones." for number in range(45)).encode()  # 450 tokens


@pytest.fixture
def ask(run, starter, tmp_path):
    """A one-shot with the starter, slow enough that reading is noticed; what it says of itself."""

    def call(*arguments: str, stdin: bytes = DOCUMENT, **variables: str) -> dict:
        result = run("-m", str(starter), "-n", "4", "--json", *arguments, stdin=stdin, **variables)
        assert result.code == 0, result.err
        return json.loads(result.out)

    return call


@pytest.fixture
def kept(tmp_path):
    """The files under the cache's folder."""
    return lambda: [path for path in (tmp_path / "home" / "cache").rglob("*") if path.is_file()]


def blocks(files: list[Path]) -> list[Path]:
    return [path for path in files if path.suffix == ".kv"]


def test_another_process_finds_the_document_and_only_reads_the_question(ask, kept):
    first = ask("How many stones are there?")
    assert first["usage"]["reused_tokens"] == 0
    assert blocks(kept())
    second = ask("Which item has the most?")
    n_new = second["usage"]["prompt_tokens"] - second["usage"]["reused_tokens"]
    assert n_new < 30
    assert second["timings"]["first_token"] < first["timings"]["first_token"]


def test_a_session_that_goes_on_reads_only_what_is_new(ask, kept):
    first = ask("How many stones are there?")
    second = ask("--resume", first["session"], "And items?", stdin=b"")
    usage = first["usage"]
    assert second["usage"]["reused_tokens"] >= usage["prompt_tokens"] + usage["completion_tokens"] - 10


def test_a_seed_gives_the_same_answer_whatever_is_kept(ask):
    alone = ask("--seed", "7", "-n", "24", "How many?", LLAMACHAT_CACHE="0")["text"]
    ask("Which item has the most?")
    again = [ask("--seed", "7", "-n", "24", "How many?")["text"] for _ in range(2)]
    assert again == [alone, alone]


def test_without_saving_nothing_is_written(ask, kept):
    ask("--no-save", "How many stones are there?")
    assert kept() == []


def test_a_cache_of_nothing_keeps_nothing(ask, kept):
    ask("How many stones are there?", LLAMACHAT_CACHE="0")
    assert kept() == []


def test_a_removed_session_takes_its_blocks_with_it(ask, run, kept):
    first, second = ask("How many stones are there?"), ask("Which item has the most?")
    n_blocks = len(blocks(kept()))
    assert run("sessions", "remove", "--yes", first["session"]).code == 0
    assert 0 < len(blocks(kept())) <= n_blocks
    assert ask("--no-save", "Which item has the most?")["usage"]["reused_tokens"] > 400
    assert run("sessions", "remove", "--yes", second["session"]).code == 0
    assert blocks(kept()) == []


def test_what_was_written_for_a_session_that_was_removed_while_it_was_open_goes_at_its_end(tmp_path):
    """Its engine did not know, and had written nothing before."""
    environment = replace(Environment.of_process(), variables={"LLAMACHAT_HOME": str(tmp_path)})
    paths = environment.paths
    paths.make()
    kept = Kept(environment, print)
    keeping = kept.keep()
    keeping.begin(Head("hi"))
    Conversation.of((Message(Role.USER, "hi"),), keeping)
    session = keeping.session
    with Store(paths.sessions) as store:
        store.remove([session])
    block = paths.blocks / "model" / "block.kv"
    block.parent.mkdir(parents=True)
    block.write_bytes(b"KV")
    other = block.with_name("other.kv")
    other.write_bytes(b"KV")
    Cache(paths.blocks).claim(session, ["model/block.kv"])
    kept.close()
    assert not block.exists()
    assert other.exists()
