"""Blocks on the disk: what comes back is what was evaluated, nothing else is loaded, and nothing unasked is written."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llamachat.cache import Cache
from llamachat.llama.blocks import OFF_GRID, Folder, Name, chain
from llamachat.llama.identity import Identity, identify
from llamachat.llama.rates import Rates
from llamachat.llama.session import Session
from llamachat.llama.snapshot import Snapshots
from llamachat.types import LoadOptions
from tests.llama.test_session import TEXT, logits, position

BLOCK = 8
GIB = 1 << 30
IDENTITY = Identity(b"f" * 16, b"g" * 16, "noise", "a build")
Make = Callable[..., Snapshots]


@pytest.fixture
def cache(tmp_path) -> Cache:
    return Cache(tmp_path / "kv")


@pytest.fixture
def kept(cache) -> Make:
    """The snapshots of a session."""

    def make(session: Session, identity: Identity = IDENTITY, quota: int = GIB, where: Cache = cache) -> Snapshots:
        return Snapshots(where, session, identity, quota, block=BLOCK)

    return make


def save(snapshots: Snapshots, owner: str = "s1", *, tail: bool = True) -> None:
    """Everything that the session holds, as one that was answered."""
    snapshots.sent(owner)
    for _ in snapshots.save(tail=tail):
        pass


def files(cache: Cache) -> list[Path]:
    return sorted(cache.folder.glob("*/*.kv"))


def everything(cache: Cache) -> list[Path]:
    return list(cache.folder.parent.rglob("*"))


def restored(snapshots: Snapshots, session: Session, tokens: list[int], *, exact: bool = False) -> int:
    """The tokens spared, with the prompt evaluated."""
    n_spared = snapshots.restore(tokens, exact=exact)
    session.sync(tokens, exact=exact)
    assert session.tokens == tokens
    assert position(session) == len(tokens)
    return n_spared


@pytest.mark.parametrize("length", [40, 45, 100])
def test_what_is_restored_has_the_bits_of_what_was_evaluated(new_session, kept, length):
    first, live, second = new_session(), new_session(), new_session()
    for session in (first, live):
        session.sync(TEXT[:length])
    save(kept(first))
    question = [*TEXT[:length], 5, 6, 7]
    live.sync(question)
    assert restored(kept(second), second, question) == length
    assert np.array_equal(logits(second), logits(live))


def test_a_restored_answer_can_be_gone_on_with(new_session, kept):
    first, second = new_session(), new_session()
    first.sync(TEXT[:30])
    for token in TEXT[30:60]:
        first.append(token)
    save(kept(first))
    assert restored(kept(second), second, [*TEXT[:56], 5]) == 56
    second.append(9)
    assert position(second) == 58


def test_a_block_is_used_as_far_as_it_has_the_prompt(new_session, kept):
    first, second, fresh = new_session(), new_session(), new_session()
    first.sync(TEXT[:60])
    save(kept(first))
    prompt = [*TEXT[:45], 7, 8, 9]
    assert restored(kept(second), second, prompt) == 45
    fresh.sync(TEXT[:45])
    fresh.sync(prompt)
    assert np.array_equal(logits(second), logits(fresh))


def test_what_is_in_memory_already_is_not_loaded_again(new_session, kept):
    first = new_session()
    first.sync(TEXT[:60])
    snapshots = kept(first)
    save(snapshots)
    assert restored(snapshots, first, [*TEXT[:60], 5]) == 0
    assert restored(snapshots, first, [5, 6]) == 0
    assert restored(snapshots, first, [*TEXT[:60], 5]) > 50


def test_the_disk_goes_on_where_memory_ends(new_session, kept):
    first, second = new_session(), new_session()
    first.sync(TEXT[:80])
    save(kept(first))
    second.sync(TEXT[:21])
    assert restored(kept(second), second, TEXT[:90]) == 80 - 21


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    saved=st.lists(st.tuples(st.booleans(), st.integers(1, 100), st.integers(0, 40)), max_size=3),
    exact=st.booleans(),
    length=st.integers(1, 100),
)
def test_an_exact_prompt_has_the_same_bits_whatever_was_kept(new_session, kept, tmp_path, saved, exact, length):
    folder = Cache(tmp_path / "kv")
    folder.clear()
    for is_exact, n_tokens, n_appended in saved:
        session = new_session()
        session.sync(TEXT[:n_tokens], exact=is_exact)
        for token in TEXT[n_tokens : n_tokens + n_appended]:
            session.append(token)
        save(kept(session, where=folder))
    used, fresh = new_session(), new_session()
    snapshots = kept(used, where=folder)
    restored(snapshots, used, TEXT[:length], exact=exact)
    restored(snapshots, used, TEXT[:length], exact=True)
    fresh.sync(TEXT[:length], exact=True)
    assert np.array_equal(logits(used), logits(fresh))


def test_an_exact_prompt_takes_whole_chunks_from_the_disk(new_session, kept):
    first, second, third = new_session(), new_session(), new_session()
    first.sync(TEXT[:70])
    save(kept(first))
    assert restored(kept(second), second, TEXT[:75], exact=True) == 64
    assert restored(kept(third), third, [*TEXT[:60], 5, 6], exact=True) == 48


def test_what_was_not_on_the_grid_is_nothing_to_an_exact_prompt(new_session, kept, cache):
    first, second, third = new_session(), new_session(), new_session()
    first.sync(TEXT[:3])
    first.sync(TEXT[:70])
    save(kept(first))
    assert restored(kept(second), second, TEXT[:75], exact=True) == 0
    first.sync(TEXT[:70], exact=True)
    save(kept(first))
    assert restored(kept(third), third, TEXT[:75], exact=True) == 64
    assert len(files(cache)) == 9, "those on the grid have taken the place of the others"


def test_a_grid_of_other_threads_or_chunks_is_another(new_session, kept):
    first, second = new_session(), new_session()
    first.sync(TEXT[:70])
    save(kept(first))
    other = replace(IDENTITY, grid=b"h" * 16)
    assert restored(kept(second, other), second, TEXT[:75], exact=True) == 0
    third = new_session()
    assert restored(kept(third, other), third, TEXT[:75]) > 60


def test_only_what_is_new_is_written(new_session, kept, cache):
    session = new_session()
    snapshots = kept(session)
    session.sync(TEXT[:64])
    save(snapshots)
    before = {path: path.stat().st_ino for path in files(cache)}
    assert len(before) == 8
    session.sync(TEXT[:80])
    save(snapshots)
    after = {path: path.stat().st_ino for path in files(cache)}
    assert len(after) == 10
    assert before.items() <= after.items()


def test_a_longer_last_block_takes_the_place_of_a_shorter(new_session, kept, cache):
    session = new_session()
    for length in (66, 68, 70, 72):
        session.sync(TEXT[:length])
        save(kept(session))
        assert len(files(cache)) == 9


def test_two_prompts_that_begin_alike_share_what_they_share(new_session, kept, cache):
    session = new_session()
    session.sync([*TEXT[:64], *range(3, 19)])
    save(kept(session))
    session.sync([*TEXT[:64], *range(40, 56)])
    save(kept(session), "s2")
    assert len(files(cache)) == 8 + 2 + 2


def test_saving_can_be_left_after_any_block_and_gone_on_with(new_session, kept, cache):
    session = new_session()
    session.sync(TEXT[:64])
    snapshots = kept(session)
    snapshots.sent("s1")
    for n_written in range(1, 9):
        for _ in snapshots.save(tail=True):
            break
        assert len(files(cache)) == n_written
    assert list(snapshots.save(tail=True)) == []


# What must not be written


def test_without_somebody_to_keep_it_for_nothing_is_written(new_session, kept, cache):
    session = new_session()
    snapshots = kept(session)
    restored(snapshots, session, TEXT[:64])
    assert list(snapshots.save(tail=True)) == []
    assert everything(cache) == []


def test_what_was_evaluated_ahead_is_not_written(new_session, kept, cache):
    session = new_session()
    snapshots = kept(session)
    session.sync(TEXT[:40])
    snapshots.sent("s1")
    session.sync(TEXT[:80])
    for _ in snapshots.save(tail=True):
        pass
    assert len(files(cache)) == 5


def test_what_follows_in_private_is_not_written(new_session, kept, cache):
    session = new_session()
    snapshots = kept(session)
    session.sync(TEXT[:40])
    snapshots.sent("s1")
    session.sync([*TEXT[:24], *range(40, 90)])
    for _ in snapshots.save(tail=True):
        pass
    assert len(files(cache)) == 3
    other = new_session()
    assert restored(kept(other), other, [*TEXT[:24], *range(40, 90)]) == 24


def test_looking_for_blocks_leaves_no_trace(new_session, kept, cache):
    session, private = new_session(), new_session()
    session.sync(TEXT[:64])
    save(kept(session))
    before = {path: path.stat().st_mtime_ns for path in everything(cache)}
    assert restored(kept(private), private, TEXT[:70]) == 64
    assert {path: path.stat().st_mtime_ns for path in everything(cache)} == before


def test_a_cache_that_was_shifted_is_not_written(new_session, kept, cache):
    session = new_session()
    session.sync(TEXT)
    session.sync([*TEXT[:20], 7, 8, 9, *TEXT[80:200], 5, 6], shift=True)
    assert not session.is_pure
    save(kept(session))
    assert everything(cache) == []


def test_files_are_their_owners_alone(new_session, kept, cache):
    session = new_session()
    session.sync(TEXT[:64])
    save(kept(session))
    for path in everything(cache):
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path


# What must not be loaded


@pytest.fixture
def on_disk(new_session, kept, cache) -> list[Path]:
    """Eight blocks, in order."""
    session = new_session()
    session.sync(TEXT[:64])
    save(kept(session))
    by_parent = {path.name.split("-")[0]: path for path in files(cache)}
    chain_, parent = [], IDENTITY.fingerprint.hex()
    while parent in by_parent:
        chain_.append(by_parent[parent])
        parent = by_parent[parent].name.split("-")[1]
    assert len(chain_) == 8
    return chain_


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(index=st.integers(0, 7), at=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_anywhere_is_found_and_the_block_removed(new_session, kept, cache, on_disk, index, at, bit):
    path = on_disk[index]
    right = path.read_bytes()
    data = bytearray(right)
    data[int(at * len(data))] ^= 1 << bit
    path.write_bytes(data)
    session, fresh = new_session(), new_session()
    assert restored(kept(session), session, TEXT[:70]) == 8 * index
    assert not path.exists()
    fresh.sync(TEXT[: 8 * index or 1])
    fresh.sync(TEXT[:70])
    assert np.allclose(logits(session), logits(fresh), atol=1e-2)
    path.write_bytes(right)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.floats(0, 1, exclude_max=True))
def test_a_truncated_block_is_removed(new_session, kept, on_disk, at):
    right = on_disk[2].read_bytes()
    on_disk[2].write_bytes(right[: int(at * len(right))])
    session = new_session()
    assert restored(kept(session), session, TEXT[:70]) == 16
    assert not on_disk[2].exists()
    on_disk[2].write_bytes(right)


def test_a_block_with_something_behind_it_is_removed(new_session, kept, on_disk):
    with on_disk[0].open("ab") as file:
        file.write(b"x")
    session = new_session()
    assert restored(kept(session), session, TEXT[:70]) == 0
    assert not on_disk[0].exists()


def test_a_block_under_another_ones_name_is_removed(new_session, kept, on_disk):
    shutil.copy(on_disk[3], on_disk[1])
    session = new_session()
    assert restored(kept(session), session, TEXT[:70]) == 8
    assert not on_disk[1].exists()


def test_a_right_block_that_llama_cpp_refuses_is_removed(new_session, kept, cache, on_disk):
    """Of a model with other layers, say, under this one's name."""
    folder = Folder(on_disk[0].parent)
    name = Name.of(on_disk[1].name)
    folder.write(name, 8, TEXT[8:16], b"nonsense" * 20)
    session = new_session()
    assert restored(kept(session), session, TEXT[:70]) == 8
    assert not on_disk[1].exists()


def test_a_state_of_other_positions_is_not_taken(new_session, kept, on_disk):
    folder, name = Folder(on_disk[0].parent), Name.of(on_disk[1].name)
    state = folder.read(Name.of(on_disk[2].name), 16).state
    folder.write(name, 8, TEXT[8:16], state)
    session = new_session()
    assert restored(kept(session), session, TEXT[:70]) == 8
    assert not on_disk[1].exists()


@pytest.mark.skipif(sys.platform == "win32", reason="the tests set owners and modes of files, which Windows lacks")
class TestOthersFiles:
    def test_a_block_that_others_can_write_to_is_removed(self, new_session, kept, on_disk):
        on_disk[1].chmod(0o620)
        session = new_session()
        assert restored(kept(session), session, TEXT[:70]) == 8
        assert not on_disk[1].exists()

    def test_a_link_is_removed_and_what_it_leads_to_stays(self, new_session, kept, on_disk, tmp_path):
        elsewhere = tmp_path / "elsewhere"
        on_disk[1].rename(elsewhere)
        on_disk[1].symlink_to(elsewhere)
        session = new_session()
        assert restored(kept(session), session, TEXT[:70]) == 8
        assert not on_disk[1].is_symlink()
        assert elsewhere.exists()

    def test_a_pipe_in_its_place_is_not_waited_for(self, new_session, kept, on_disk):
        on_disk[1].unlink()
        os.mkfifo(on_disk[1], 0o600)
        session = new_session()
        assert restored(kept(session), session, TEXT[:70]) == 8

    def test_a_folder_that_others_can_write_to_is_not_read(self, new_session, kept, cache, on_disk):
        on_disk[0].parent.chmod(0o770)
        session = new_session()
        assert restored(kept(session), session, TEXT[:70]) == 0
        assert len(files(cache)) == 8

    @pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root gives files away")
    def test_a_block_of_another_user_is_removed(self, new_session, kept, on_disk):
        os.chown(on_disk[1], 12345, -1)
        session = new_session()
        assert restored(kept(session), session, TEXT[:70]) == 8
        assert not on_disk[1].exists()


def test_another_model_finds_nothing(new_session, kept, on_disk):
    session = new_session()
    assert restored(kept(session, replace(IDENTITY, fingerprint=b"o" * 16)), session, TEXT[:70]) == 0


def test_what_another_build_has_left_is_removed(new_session, kept, cache, on_disk):
    session = new_session()
    session.sync(TEXT[:64])
    save(kept(session, Identity(b"n" * 16, b"g" * 16, "noise", "the next build")))
    assert {path.parent.name for path in files(cache)} == {(b"n" * 16).hex()}


def test_a_context_that_is_too_small_takes_what_it_can(new_session, kept, on_disk):
    session = new_session(n_ctx=40)
    assert restored(kept(session), session, TEXT[:30]) == 29
    assert kept(session).restore(TEXT[:64]) == 0


def test_a_request_that_was_cancelled_loads_nothing(new_session, kept, on_disk):
    session = new_session()
    session.abort.raise_()
    assert kept(session).restore(TEXT[:64]) == 0
    assert session.tokens == []


# Room


def test_the_oldest_go_when_the_quota_is_full(new_session, kept, cache, on_disk):
    n_bytes = on_disk[0].stat().st_size
    session = new_session()
    other = [5, *TEXT[:47]]
    session.sync(other)
    save(kept(session, quota=10 * n_bytes), "s2")
    assert sum(path.stat().st_size for path in files(cache)) <= 10 * n_bytes
    third, fourth = new_session(), new_session()
    assert restored(kept(third), third, [*other, 9]) == 48
    assert restored(kept(fourth), fourth, TEXT[:70]) == 8 * 4, "the first blocks, which others need, are the last to go"


def test_what_is_used_again_is_not_old(new_session, kept, cache, on_disk):
    n_bytes = on_disk[0].stat().st_size
    session, other = new_session(), new_session()
    other.sync([5, *TEXT[:47]])
    save(kept(other), "s2")
    session.sync(TEXT[:64])
    save(kept(session))
    cache.trim(8 * n_bytes)
    third = new_session()
    assert restored(kept(third), third, TEXT[:70]) == 64


def test_a_session_that_is_larger_than_the_quota_keeps_its_beginning(new_session, kept, cache, on_disk):
    n_bytes = on_disk[0].stat().st_size
    cache.clear()
    session = new_session()
    session.sync(TEXT[:64])
    save(kept(session, quota=5 * n_bytes))
    third = new_session()
    assert restored(kept(third), third, TEXT[:70]) == 8 * 5


def test_a_disk_that_cannot_be_written_costs_nothing_but_the_snapshot(new_session, kept, cache):
    cache.folder.parent.mkdir(exist_ok=True)
    cache.folder.write_text("a file is in the way")
    session = new_session()
    session.sync(TEXT[:64])
    save(kept(session))
    assert restored(kept(session), session, TEXT[:70]) == 0


def test_a_disk_that_refuses_once_is_tried_again_and_one_that_goes_on_is_not(new_session, kept, cache, monkeypatch):
    real = Folder.write
    refusals: list[str] = []

    def refuse(*_arguments) -> int:
        refusals.append("no")
        raise OSError

    session = new_session()
    snapshots = kept(session)
    session.sync(TEXT[:64])
    monkeypatch.setattr(Folder, "write", refuse)
    save(snapshots)
    monkeypatch.setattr(Folder, "write", real)
    session.sync(TEXT[:72])
    save(snapshots)
    assert len(files(cache)) == 9
    monkeypatch.setattr(Folder, "write", refuse)
    for length in range(80, 160, 8):
        session.sync(TEXT[:length])
        save(snapshots)
    assert len(refusals) == 1 + 3


def test_what_other_processes_write_counts(new_session, kept, cache, on_disk):
    n_bytes = on_disk[0].stat().st_size
    first, second = new_session(), new_session()
    here, there = kept(first, quota=20 * n_bytes), kept(second, quota=20 * n_bytes)
    for length in (40, 80):
        first.sync([5, *TEXT[:length]])
        save(here, "s2")
        second.sync([6, *TEXT[:length]])
        save(there, "s3")
    assert sum(path.stat().st_size for path in files(cache)) <= 20 * n_bytes


# Several processes

_WRITER = """
import sys
from pathlib import Path
from llamachat.cache import Cache
from llamachat.llama.blocks import OFF_GRID, Folder, Name, chain
folder, cache = Folder(Path(sys.argv[1]) / ("f" * 32)), Cache(Path(sys.argv[1]))
for round_ in range(60):
    parent = b"f" * 16
    for start in range(0, 40, 8):
        tokens = list(range(start, start + 8))
        own = chain(parent, tokens)
        name = Name(parent, own, OFF_GRID)
        content = folder.read(name, start)
        assert content is None or bytes(content.state) == bytes([start]) * 50_000, "a block that is not whole"
        if content is None:
            folder.write(name, start, tokens, bytes([start]) * 50_000)
        cache.claim(f"s{round_ % 3}", [name.file])
        parent = own
    cache.trim(120_000 if round_ % 2 else 200_000)
"""


def test_processes_that_write_read_and_remove_at_once_see_whole_blocks_or_none(cache):
    command = [sys.executable, "-c", _WRITER, str(cache.folder)]
    writers = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(3)]
    for writer in writers:
        assert (writer.communicate(timeout=60)[1], writer.returncode) == (b"", 0)
    assert not list(cache.folder.glob("*/.draft-*"))
    assert cache.usage().n_bytes <= 200_000


# What it depends on


def test_the_fingerprint_follows_what_the_cache_depends_on(model, new_session, tmp_path):
    session = new_session()
    known = identify(model, session)
    assert identify(model, session) == known
    options = model.options
    try:
        for other in (replace(options, name="another", n_threads=7, format="plain", is_starter=True), options):
            model.options = other
            assert identify(model, session).fingerprint == known.fingerprint
        model.options = replace(options, n_threads=7)
        assert identify(model, session).grid != known.grid
        model.options = replace(options, kv_type="q8_0")
        assert identify(model, session).fingerprint != known.fingerprint
        copy = tmp_path / "copy.gguf"
        shutil.copy2(options.path, copy)
        model.options = replace(options, path=str(copy))
        assert identify(model, session).fingerprint == known.fingerprint
        data = bytearray(copy.read_bytes())
        data[len(data) // 2] ^= 1
        times = copy.stat().st_atime_ns, copy.stat().st_mtime_ns
        copy.write_bytes(data)
        os.utime(copy, ns=times)
        assert identify(model, session).fingerprint != known.fingerprint
    finally:
        model.options = options


def test_every_option_of_loading_counts_unless_it_is_known_not_to(model, new_session):
    """Whoever adds one that changes what tokens evaluate to need not think of this."""
    from llamachat.llama.identity import _WITHOUT_EFFECT

    assert {"kv_type"} == {field for field in LoadOptions.__dataclass_fields__ if field not in _WITHOUT_EFFECT}


# When it pays


def test_loading_has_to_beat_evaluating():
    rates = Rates(prefill=100, load=1e6)
    assert rates.pays(100, 500_000)
    assert not rates.pays(100, 2_000_000)


def test_what_was_slower_is_tried_again_after_a_while():
    rates = Rates(prefill=100, load=1e6)
    answers = [rates.pays(100, 1_500_000) for _ in range(10)]
    assert answers[0] is False
    assert answers[-1] is True


def test_what_nobody_notices_is_neither_loaded_nor_written(new_session, kept, cache, on_disk):
    session = new_session()
    snapshots = kept(session)
    snapshots.rates.evaluated(100, 0.01)
    assert restored(snapshots, session, TEXT[:70]) == 0
    cache.clear()
    save(snapshots)
    assert everything(cache) == []


def test_rates_are_remembered_with_the_blocks(new_session, kept, cache):
    session = new_session()
    snapshots = kept(session)
    session.sync(TEXT[:64])
    snapshots.rates.evaluated(64, 16)
    save(snapshots)
    assert kept(new_session()).rates == Rates(4.0, None)
    assert [(model.name, model.n_blocks) for model in cache.usage().models] == [("noise", 8)]


# Whose it is


def test_a_session_takes_its_blocks_with_it_and_leaves_those_of_others(new_session, kept, cache):
    session = new_session()
    snapshots = kept(session)
    session.sync(TEXT[:64])
    save(snapshots)
    session.sync([*TEXT[:32], *range(3, 35)])
    save(snapshots, "s2")
    assert len(files(cache)) == 12
    cache.forget(["s1"])
    assert len(files(cache)) == 8
    other = new_session()
    assert restored(kept(other), other, [*TEXT[:32], *range(3, 35), 5]) == 64
    cache.forget(["s2"])
    assert files(cache) == []
    cache.forget(["s3"])


def test_a_session_that_was_removed_is_not_written_back_by_who_has_it_open(new_session, kept, cache):
    session = new_session()
    snapshots = kept(session)
    session.sync(TEXT[:64])
    save(snapshots, tail=False)
    cache.forget(["s1"])
    session.sync(TEXT[:77])
    save(snapshots)
    assert files(cache) == []
    save(snapshots, "s2")
    assert files(cache), "another session is not concerned"
    cache.forget(["s2"])
    assert files(cache) == []


def test_a_block_that_is_written_again_is_claimed_again(new_session, kept, cache):
    session = new_session()
    snapshots = kept(session)
    session.sync(TEXT[:64])
    save(snapshots)
    files(cache)[0].unlink()
    session.sync(TEXT[:72])
    save(snapshots)
    cache.forget(["s1"])
    assert files(cache) == []


def test_emptying_says_what_there_was(new_session, kept, cache):
    session = new_session()
    session.sync(TEXT[:64])
    save(kept(session))
    before = cache.usage()
    assert (before.n_blocks, before.n_bytes) == (8, sum(path.stat().st_size for path in files(cache)))
    assert cache.clear() == before
    assert (cache.usage().n_blocks, everything(cache)) == (0, [])


def test_drafts_of_the_dead_and_lists_of_nothing_are_swept_away(cache, new_session, kept):
    session = new_session()
    session.sync(TEXT[:64])
    save(kept(session))
    folder = files(cache)[0].parent
    old, new = folder / ".draft-1", folder / ".draft-2"
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (0, 0))
    cache.claim("s9", ["gone/gone.kv"])
    cache.trim(GIB)
    assert (old.exists(), new.exists(), cache.owned("s9")) == (False, True, set())
    assert len(cache.owned("s1")) == 8


def test_an_owner_is_no_path(cache):
    for owner in ("", "../up", "a/b", "a" * 65):
        with pytest.raises(ValueError, match="session"):
            cache.claim(owner, ["x"])


def test_names_are_read_strictly():
    name = Name(b"p" * 16, chain(b"p" * 16, [1, 2]), OFF_GRID)
    assert Name.of(name.file) == name
    for wrong in ("model.json", name.file.upper(), name.file[1:], f"{name.file}.kv", "--.kv", ""):
        with suppress(AssertionError):
            assert Name.of(wrong) is None
            continue
        raise AssertionError(wrong)
