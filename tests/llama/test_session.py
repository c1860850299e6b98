"""The KV cache: what is reused, what is exact, and what an abort leaves."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llamachat.errors import ContextOverflow
from llamachat.llama.lib import AbortFlag, C
from llamachat.llama.session import Aborted, Session

TEXT = [3 + (7 * i * i + 11 * i) % 500 for i in range(200)]
TOKENS = st.lists(st.integers(3, 500), min_size=1, max_size=60)


def logits(session: Session, row: int = -1) -> np.ndarray:
    """One row of logits, that of the last token evaluated."""
    n_vocab = C.llama_vocab_n_tokens(C.llama_model_get_vocab(C.llama_get_model(session.context)))
    return np.ctypeslib.as_array(C.llama_get_logits_ith(session.context, row), (n_vocab,)).copy()


def position(session: Session) -> int:
    """Tokens that llama.cpp itself has in the cache."""
    return C.llama_memory_seq_pos_max(C.llama_get_memory(session.context), 0) + 1


def test_a_prompt_is_evaluated_once(session):
    assert session.sync(TEXT[:50]) == 0
    assert session.sync(TEXT[:80]) == 50
    assert session.tokens == TEXT[:80]
    assert position(session) == 80


def test_the_last_token_is_evaluated_again_for_its_logits(session):
    session.sync(TEXT[:50])
    before = logits(session)
    assert session.sync(TEXT[:50]) == 49
    assert np.allclose(before, logits(session), atol=1e-2)


def test_a_prompt_that_parts_from_the_cache_keeps_what_they_share(session):
    session.sync(TEXT[:60])
    assert session.sync([*TEXT[:40], 5, 6, 7]) == 40
    assert session.tokens == [*TEXT[:40], 5, 6, 7]
    assert position(session) == 43


@pytest.fixture
def tiled(model, monkeypatch):
    """A session of a model whose weights were repacked."""
    monkeypatch.setattr(model, "is_repacked", True)
    session = model.session(256, AbortFlag())
    yield session
    session.close()


@pytest.mark.parametrize(
    ("n_new", "n_again"), [(1, 0), (2, 0), (12, 0), (13, 3), (14, 2), (15, 1), (16, 0), (17, 0), (30, 2)]
)
def test_a_few_known_tokens_are_evaluated_again_where_that_fills_a_tile(tiled, n_new, n_again):
    tiled.sync(TEXT[:50])
    assert tiled.sync(TEXT[: 50 + n_new]) == 50 - n_again
    assert tiled.tokens == TEXT[: 50 + n_new]
    assert position(tiled) == 50 + n_new


def test_but_none_where_fewer_are_known_or_the_bits_count(tiled):
    tiled.sync(TEXT[:1])
    assert tiled.sync(TEXT[:15]) == 1
    tiled.forget()
    tiled.chunk = 16
    tiled.sync(TEXT[:32])
    assert tiled.sync(TEXT[:46], exact=True) == 32


def test_reuse_gives_the_logits_of_a_fresh_evaluation_within_rounding(new_session):
    used, fresh = new_session(), new_session()
    used.sync([*TEXT[:30], 9, 9, 9])
    used.sync(TEXT[:70])
    fresh.sync(TEXT[:70])
    assert np.allclose(logits(used), logits(fresh), atol=1e-2)


def test_without_exactness_reuse_does_change_the_last_bits(new_session):
    """Or the test of exactness below would show nothing. At which length hangs on the processor."""

    def differ(length: int) -> bool:
        used, fresh = new_session(), new_session()
        for each in range(1, length + 1):
            used.sync(TEXT[:each])
        fresh.sync(TEXT[:length])
        return not np.array_equal(logits(used), logits(fresh))

    assert any(map(differ, (40, 70, 100, 150)))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=st.lists(st.tuples(st.booleans(), TOKENS, st.integers(0, 5)), max_size=5), prompt=TOKENS)
def test_an_exact_sync_gives_the_same_bits_whatever_was_in_the_cache(new_session, history, prompt):
    used, fresh = new_session(), new_session()
    for exact, tokens, n_appended in history:
        used.sync((prompt[: len(prompt) // 2] + tokens)[:100], exact=exact)
        for token in prompt[:n_appended]:
            used.append(token)
    used.sync(prompt, exact=True)
    fresh.sync(prompt, exact=True)
    assert np.array_equal(logits(used), logits(fresh))
    assert used.tokens == prompt
    assert position(used) == len(prompt)


def test_an_exact_sync_reuses_whole_chunks_of_the_grid(session):
    session.sync(TEXT[:50], exact=True)
    assert session.sync(TEXT[:60], exact=True) == 48
    session.append(5)
    assert session.sync([*TEXT[:60], 5, 6], exact=True) == 48


def test_tokens_that_were_appended_one_by_one_are_not_on_the_grid(session):
    session.sync(TEXT[:10])
    for token in TEXT[10:40]:
        session.append(token)
    assert session.reusable(TEXT[:40]) == 39
    assert session.reusable(TEXT[:40], exact=True) == 0


def test_a_prompt_from_nothing_is_on_the_grid_without_asking(session):
    """So that the seed an answer reports repeats it."""
    session.sync(TEXT[:50])
    assert session.reusable(TEXT[:60], exact=True) == 48


def test_forgetting_inside_a_chunk_takes_the_chunk_off_the_grid(session):
    session.sync(TEXT[:48])
    session.sync([*TEXT[:40], 5])
    assert session.reusable(TEXT[:60], exact=True) == 32


def test_progress_counts_the_tokens_that_had_to_be_evaluated(session):
    seen = []
    session.sync(TEXT[:20])
    session.sync(TEXT[:60], on_progress=lambda done, total: seen.append((done, total)))
    assert seen == [(0, 40), (16, 40), (32, 40), (40, 40)]


def test_a_prompt_that_leaves_no_room_is_refused_and_changes_nothing(session):
    session.sync(TEXT[:20])
    with pytest.raises(ContextOverflow) as caught:
        session.sync([5] * 256)
    assert (caught.value.n_tokens, caught.value.n_ctx) == (256, 256)
    assert session.tokens == TEXT[:20]


def test_the_context_can_be_filled_to_the_last_token(session):
    session.sync([5] * 255)
    assert session.n_free == 1
    session.append(6)
    assert session.n_free == 0
    assert position(session) == 256


def test_an_abort_between_chunks_keeps_what_was_evaluated(session):
    def stop_after_two(done: int, _total: int) -> None:
        if done >= 32:
            session.abort.raise_()

    with pytest.raises(Aborted):
        session.sync(TEXT[:100], on_progress=stop_after_two)
    assert session.tokens == TEXT[:32]
    assert position(session) == 32
    session.abort.lower()
    assert session.sync(TEXT[:100]) == 32


def test_an_abort_inside_a_chunk_leaves_the_cache_as_before_it(session):
    session.sync(TEXT[:20])

    class Late:
        """Down when asked from Python, up when llama.cpp asks."""

        def __bool__(self) -> bool:
            return False

    flag = session.abort
    flag.raise_()
    session.abort = Late()
    with pytest.raises(Aborted):
        session.sync(TEXT[:60])
    flag.lower()
    assert session.tokens == TEXT[:20]
    assert position(session) == 20
    assert session.sync(TEXT[:60]) == 20


def test_an_abort_that_cannot_be_undone_forgets_all(session, monkeypatch):
    """A recurrent model's state has gone on, and no further than the last token can it be cut."""
    session.sync(TEXT[:20])
    with monkeypatch.context() as patch:
        patch.setattr(C, "llama_decode", lambda *_: 2)
        patch.setattr(C, "llama_memory_seq_rm", lambda *_: False)
        with pytest.raises(Aborted):
            session.append(5)
    assert session.tokens == []
    assert position(session) == 0
    assert session.sync(TEXT[:20]) == 0


def test_an_aborted_answer_can_be_taken_up(session, new_session):
    session.sync(TEXT[:20])
    session.abort.raise_()
    with pytest.raises(Aborted):
        session.append(7)
    session.abort.lower()
    session.append(7)
    fresh = new_session()
    fresh.sync(TEXT[:20])
    fresh.append(7)
    assert np.array_equal(logits(session), logits(fresh))


def test_an_empty_cache_has_nothing_to_reuse(session):
    assert session.reusable(TEXT) == 0
