"""Several answers in one batch: what each says, how they end, how they share the room, and what is reused after."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llamachat.llama.candidates import generate_together
from llamachat.llama.generate import generate
from llamachat.llama.lib import C
from llamachat.llama.sampling import Sampler
from llamachat.llama.session import Aborted
from llamachat.types import FinishReason, Sampling
from tests.llama.test_generate import EOS, WITHOUT_END
from tests.llama.test_session import TEXT, logits, position

GREEDY = Sampling(temperature=0, logit_bias=((EOS, -1e9),))
LENGTH, STOP = FinishReason.LENGTH, FinishReason.STOP


@dataclass
class Said:
    """What the candidates said, and how each ended."""

    tokens: list[list[int]]
    reasons: dict[int, FinishReason] = field(default_factory=dict)


def together(session, model, count=3, sampling=WITHOUT_END, limit=None, take=None, into=None) -> Said:
    said = into or Said([[] for _ in range(count)])

    def hear(index: int, token: int) -> bool:
        said.tokens[index].append(token)
        return not take or take(index, said.tokens[index])

    with ExitStack() as stack:
        samplers = [stack.enter_context(Sampler.build(sampling, 1 + index, model.vocabulary)) for index in range(count)]
        generate_together(session, samplers, model.vocabulary, limit, hear, said.reasons.__setitem__)
    return said


def alone(session, model, sampling=WITHOUT_END, limit=None, seed=1) -> list[int]:
    tokens: list[int] = []
    with Sampler.build(sampling, seed, model.vocabulary) as sampler:
        generate(session, sampler, model.vocabulary, limit, lambda token: (tokens.append(token), True)[1])
    return tokens


def end_of_branch(session, index: int) -> int:
    """Tokens that llama.cpp itself has in a branch, those of the prompt among them."""
    return C.llama_memory_seq_pos_max(C.llama_get_memory(session.context), 2 + index) + 1


def test_without_chance_all_candidates_are_the_single_answer(new_session, model):
    one, many = new_session(), new_session()
    one.sync(TEXT[:20])
    many.sync(TEXT[:20])
    expected = alone(one, model, GREEDY, limit=30)
    said = together(many, model, sampling=GREEDY, limit=30)
    assert said.tokens == [expected] * 3
    assert said.reasons == {0: LENGTH, 1: LENGTH, 2: LENGTH}


def test_with_seeds_each_begins_as_the_single_answer_with_its_seed(new_session, model):
    """After that the last bits of its logits are others, which a seed hardly ever shows."""
    one, many = new_session(), new_session()
    many.sync(TEXT[:20])
    said = together(many, model, limit=3)
    for index in range(3):
        one.sync(TEXT[:20])
        assert alone(one, model, limit=3, seed=1 + index) == said.tokens[index]
    assert len(set(map(tuple, said.tokens))) == 3


def test_the_same_seeds_say_the_same_again_whatever_was_in_the_cache(new_session, model):
    fresh, used = new_session(), new_session()
    fresh.sync(TEXT[:40], exact=True)
    first = together(fresh, model, limit=40)
    used.sync(TEXT[30:90])
    together(used, model, count=5, limit=9)
    used.sync(TEXT[:30])
    used.sync(TEXT[:40], exact=True)
    assert together(used, model, limit=40) == first
    assert np.array_equal(logits(used), logits(fresh))


def test_each_ends_by_itself_and_the_others_go_on(session, model):
    session.sync(TEXT[:10])
    said = together(session, model, limit=8, take=lambda index, tokens: index != 1 or len(tokens) < 3)
    assert [len(tokens) for tokens in said.tokens] == [8, 3, 8]
    assert said.reasons == {1: STOP, 0: LENGTH, 2: LENGTH}


def test_an_end_token_is_no_part_of_an_answer(session, model):
    session.sync(TEXT[:10])
    said = together(session, model, sampling=Sampling(temperature=0, logit_bias=((EOS, 1e9),)))
    assert said == Said([[], [], []], dict.fromkeys(range(3), STOP))


def test_the_session_keeps_each_candidate_but_its_last_token(session, model):
    session.sync(TEXT[:10])
    said = together(session, model, limit=6, take=lambda index, tokens: index != 2 or len(tokens) < 4)
    assert session.tokens == TEXT[:10]
    assert [list(branch) for branch in session.branches] == [tokens[:-1] for tokens in said.tokens]
    assert [end_of_branch(session, index) for index in range(3)] == [15, 15, 13]
    assert session.n_free == 256 - 10 - 5 - 5 - 3


def test_prompt_and_candidates_share_the_context(session, model):
    session.sync(TEXT[:100])
    said = together(session, model)
    assert set(said.reasons.values()) == {LENGTH}
    assert 100 + sum(map(len, said.tokens)) == 256


def test_a_candidate_that_ended_leaves_its_room_to_the_others(session, model):
    session.sync(TEXT[:100])
    said = together(session, model, take=lambda index, tokens: index == 1)
    assert [len(tokens) for tokens in said.tokens] == [1, 256 - 100, 1]


def test_one_candidate_fills_the_context_as_a_single_answer_does(session, model):
    session.sync(TEXT[:100])
    assert len(together(session, model, count=1).tokens[0]) == 256 - 100


@pytest.mark.parametrize("n_prompt", [253, 254, 255])
def test_where_there_is_no_room_for_all_each_says_one_word(session, model, n_prompt):
    session.sync([5] * n_prompt)
    said = together(session, model)
    assert [len(tokens) for tokens in said.tokens] == [1, 1, 1]
    assert set(said.reasons.values()) == {LENGTH}


def test_an_abort_keeps_all_that_was_said_and_the_cache_in_step(session, model):
    session.sync(TEXT[:10])
    said = Said([[], [], []])

    def take(index: int, tokens: list[int]) -> bool:
        if index == 2 and len(tokens) == 4:
            session.abort.raise_()
        return index != 0 or len(tokens) < 2

    with pytest.raises(Aborted):
        together(session, model, take=take, into=said)
    assert [len(tokens) for tokens in said.tokens] == [2, 4, 4]
    assert said.reasons == {0: STOP}
    assert [list(branch) for branch in session.branches] == [tokens[:-1] for tokens in said.tokens]
    session.abort.lower()
    assert session.sync([*TEXT[:10], *said.tokens[2], 7]) == 10 + 3


def test_an_abort_inside_a_batch_takes_its_half_out_of_the_cache(session, model):
    session.sync(TEXT[:10])
    together(session, model, limit=4)

    class Late:
        """Down when asked from Python, up when llama.cpp asks."""

        def __bool__(self) -> bool:
            return False

    flag = session.abort
    flag.raise_()
    session.abort = Late()
    with pytest.raises(Aborted):
        session.grow({0: 5, 2: 6})
    flag.lower()
    assert [end_of_branch(session, index) for index in range(3)] == [13, 13, 13]
    session.grow({0: 5, 2: 6})
    assert [end_of_branch(session, index) for index in range(3)] == [14, 13, 14]


@pytest.mark.parametrize("picked", range(3))
def test_the_one_that_was_picked_is_reused_and_the_others_are_gone(session, model, picked):
    session.sync(TEXT[:20])
    said = together(session, model, limit=9)
    wanted = [*TEXT[:20], *said.tokens[picked], 7, 8, 9]
    assert session.sync(wanted) == 20 + 8
    assert session.tokens == wanted
    assert position(session) == len(wanted)
    assert [end_of_branch(session, index) for index in range(3)] == [0, 0, 0]
    assert session.n_free == 256 - len(wanted)


def test_what_was_picked_has_the_logits_of_a_fresh_evaluation_within_rounding(new_session, model):
    used, fresh = new_session(), new_session()
    used.sync(TEXT[:20])
    said = together(used, model, limit=30)
    wanted = [*TEXT[:20], *said.tokens[1], 7, 8, 9]
    used.sync(wanted)
    fresh.sync(wanted)
    assert np.allclose(logits(used), logits(fresh), atol=1e-2)


def test_another_prompt_forgets_all_candidates(session, model):
    session.sync(TEXT[:20])
    together(session, model, limit=9)
    assert session.sync([*TEXT[:12], 5]) == 12
    assert (session.branches, position(session)) == ((), 13)


def test_a_prompt_that_is_refused_changes_nothing(session, model):
    session.sync(TEXT[:20])
    said = together(session, model, limit=9)
    with pytest.raises(Exception, match="256"):
        session.sync([5] * 256)
    assert session.sync([*TEXT[:20], *said.tokens[2], 7]) == 28


def test_what_was_picked_is_moved_when_turns_leave_before_it(session, model):
    session.sync(TEXT[:120])
    said = together(session, model, limit=30)
    wanted = [*TEXT[:20], *TEXT[60:120], *said.tokens[1], 7]
    assert session.sync(wanted, shift=True) == 20 + 60 + 29
    assert session.tokens == wanted
    assert position(session) == len(wanted)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    histories=st.lists(
        st.tuples(st.integers(1, 90), st.integers(2, 5), st.integers(1, 12), st.integers(0, 5)), min_size=1, max_size=4
    ),
    n_prompt=st.integers(1, 120),
)
def test_an_exact_sync_gives_the_same_bits_after_any_candidates(new_session, model, histories, n_prompt):
    used, fresh = new_session(), new_session()
    for n_tokens, count, limit, picked in histories:
        used.sync(TEXT[:n_tokens])
        said = together(used, model, count=count, limit=limit)
        if picked < count:
            used.sync([*TEXT[:n_tokens], *said.tokens[picked], *TEXT[:20]])
    used.sync(TEXT[:n_prompt], exact=True)
    fresh.sync(TEXT[:n_prompt], exact=True)
    assert np.array_equal(logits(used), logits(fresh))
    assert (used.tokens, position(used)) == (TEXT[:n_prompt], n_prompt)
