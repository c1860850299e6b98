"""Turns that have left: the rest of the cache moves, is where it should be, and nothing is lost on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llamachat.llama.lib import AbortFlag, C
from llamachat.llama.model import Model
from llamachat.llama.session import Aborted, Session
from llamachat.types import LoadOptions
from tests import model_files
from tests.llama.test_session import TEXT, logits, position
from tests.model_files import write_tiny_model

CUT = [*TEXT[:20], 7, 8, 9, *TEXT[80:200], 5, 6]  # 60 tokens gone, three others at the seam


@pytest.fixture
def load(log, tmp_path, monkeypatch) -> Iterator[Callable[..., Model]]:
    """A tiny model with other layers or heads."""
    models: list[Model] = []

    def make(n_layers: int = 2, n_heads: int = 4, **options) -> Model:
        monkeypatch.setattr(model_files, "N_LAYERS", n_layers)
        monkeypatch.setattr(model_files, "N_HEADS", n_heads)
        path = write_tiny_model(tmp_path / f"{n_layers}-{n_heads}.gguf")
        options = LoadOptions(path=str(path), n_threads=1, **options)
        models.append(Model.load(options, log, lambda _done, _total: None))
        return models[-1]

    yield make
    for model in models:
        model.close()


def two_sessions(model: Model) -> tuple[Session, Session]:
    return model.session(256, AbortFlag()), model.session(256, AbortFlag())


def distance(left: np.ndarray, right: np.ndarray) -> float:
    """The Kullback-Leibler divergence of what the logits predict."""
    p, q = (np.exp(each - each.max()) / np.exp(each - each.max()).sum() for each in (left, right))
    return float((p * np.log(p / q)).sum())


def test_after_a_shift_the_cache_holds_what_was_asked_for(session):
    session.sync(TEXT)
    assert session.sync(CUT, shift=True) == 20 + 120
    assert session.tokens == CUT
    assert position(session) == len(CUT)
    assert C.llama_memory_seq_pos_max(C.llama_get_memory(session.context), 1) == -1


def test_where_keys_do_not_depend_on_what_came_before_a_shift_is_exact(load):
    """In a model of one layer they don't, so every place has to be right, and turned there once."""
    model = load(n_layers=1)
    used, fresh = two_sessions(model)
    used.sync(TEXT)
    used.sync(CUT, shift=True)
    fresh.sync(CUT)
    assert np.allclose(logits(used), logits(fresh), atol=2e-2)
    again = [*CUT[:10], *CUT[40:], 11]
    used.sync(again, shift=True)
    fresh.sync(again)
    assert used.tokens == again
    assert np.allclose(logits(used), logits(fresh), atol=2e-2)
    assert not np.allclose(logits(used), _of_other_places(model, again), atol=0.1)
    used.close()
    fresh.close()


def _of_other_places(model: Model, tokens: list[int]) -> np.ndarray:
    """The logits when the tokens in the middle stand in another order."""
    session = model.session(256, AbortFlag())
    session.sync([*tokens[:10], *tokens[70:130], *tokens[10:70], *tokens[130:]])
    other = logits(session)
    session.close()
    return other


def test_several_cuts_are_one_shift(load):
    model = load(n_layers=1)
    used, fresh = two_sessions(model)
    wanted = [*TEXT[:20], *TEXT[60:90], 3, 4, *TEXT[120:], 5]
    used.sync(TEXT)
    assert used.sync(wanted, shift=True) == 20 + 30 + 80
    fresh.sync(wanted)
    assert used.tokens == wanted
    assert np.allclose(logits(used), logits(fresh), atol=2e-2)
    used.close()
    fresh.close()


def test_deeper_keys_keep_a_trace_and_the_prediction_stays_near(new_session):
    """Measured: a divergence of 0.001 and less, where another text of that length has 0.02 and more."""
    used, fresh, other = new_session(), new_session(), new_session()
    used.sync(TEXT)
    used.sync(CUT, shift=True)
    fresh.sync(CUT)
    other.sync([*TEXT[100:123], *TEXT[:120], 5, 6])
    assert 0 < distance(logits(fresh), logits(used)) < 0.005
    assert distance(logits(fresh), logits(other)) > 0.01


def test_without_being_asked_or_with_exactness_nothing_is_moved(session):
    session.sync(TEXT)
    assert session.sync(CUT) == 20
    session.sync(TEXT)
    assert session.sync(CUT, exact=True, shift=True) == 16
    assert session.is_pure


def test_a_model_whose_keys_cannot_turn_is_evaluated_again(session):
    session.can_shift = False
    session.sync(TEXT)
    assert session.sync(CUT, shift=True) == 20
    assert (session.tokens, session.is_pure) == (CUT, True)


def test_a_shift_makes_the_cache_impure_until_all_that_it_moved_is_gone(session):
    session.sync(TEXT)
    session.sync(CUT, shift=True)
    session.append(5)
    assert not session.is_pure
    session.sync(CUT[:30])
    assert not session.is_pure
    session.sync(CUT[:20])
    assert session.is_pure
    session.sync(CUT)
    assert session.is_pure


def test_an_abort_before_a_shift_leaves_the_cache_as_it_was(session):
    session.sync(TEXT)
    session.abort.raise_()
    with pytest.raises(Aborted):
        session.sync(CUT, shift=True)
    assert session.tokens == TEXT
    session.abort.lower()
    assert session.sync(CUT, shift=True) == 140


class Late(AbortFlag):
    """Down when asked from Python the first time, up ever after, and up for llama.cpp."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0
        self.raise_()

    def __bool__(self) -> bool:
        self.asked += 1
        return self.asked > 1


def test_an_abort_in_the_middle_waits_until_the_keys_are_turned(load):
    """Aborted between two layers, some of them would be turned and others not."""
    model = load(n_layers=1)
    used, fresh = two_sessions(model)
    used.sync(TEXT)
    quiet, used.abort = used.abort, Late()
    C.llama_set_abort_callback(used.context, used.abort.callback, used.abort.data)
    with pytest.raises(Aborted):
        used.sync(CUT, shift=True)
    used.abort.lower()
    used.abort = quiet
    assert used.tokens == CUT[:143]
    assert position(used) == 143
    used.sync(CUT)
    fresh.sync(CUT)
    assert np.allclose(logits(used), logits(fresh), atol=2e-2)
    used.close()
    fresh.close()


def test_a_quantised_cache_is_moved_where_llama_cpp_can(load):
    """Its keys are rotated for heads of 64 and 128 numbers; for others it would crash."""
    model = load(n_layers=1, n_heads=1, kv_type="q8_0")
    used, fresh = two_sessions(model)
    assert used.can_shift
    used.sync(TEXT)
    assert used.sync(CUT, shift=True) == 140
    fresh.sync(CUT)
    assert np.allclose(logits(used), logits(fresh), atol=0.2)
    used.close()
    fresh.close()
    other = load(n_heads=2, kv_type="q8_0")
    session = other.session(256, AbortFlag())
    assert not session.can_shift
    session.sync(TEXT)
    assert session.sync(CUT, shift=True) == 20
    session.close()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    cuts=st.lists(st.tuples(st.integers(0, 150), st.integers(16, 60), st.integers(0, 4)), min_size=1, max_size=4),
    n_appended=st.integers(0, 5),
)
def test_an_exact_sync_gives_the_same_bits_after_any_shifts(new_session, cuts, n_appended):
    used, fresh = new_session(), new_session()
    tokens = TEXT
    used.sync(tokens)
    for start, length, n_new in cuts:
        tokens = [*tokens[:start], *TEXT[:n_new], *tokens[start + length :], 5][:240]
        used.sync(tokens, shift=True)
        assert used.tokens == tokens
        assert position(used) == len(tokens)
        for token in TEXT[:n_appended]:
            used.append(token)
    for wanted in (tokens, TEXT):
        used.sync(wanted, exact=True)
        fresh.sync(wanted, exact=True)
        assert np.array_equal(logits(used), logits(fresh))
