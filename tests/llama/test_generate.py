"""The token loop: how an answer ends, and what the cache holds then."""

from __future__ import annotations

import pytest

from llamachat.llama.generate import generate
from llamachat.llama.sampling import Sampler
from llamachat.llama.session import Aborted
from llamachat.types import FinishReason, Sampling
from tests.llama.test_session import TEXT

EOS = 2
WITHOUT_END = Sampling(temperature=1, logit_bias=((EOS, -1e9),))


def run(session, model, sampling=WITHOUT_END, limit=None, take=None):
    tokens: list[int] = []
    with Sampler.build(sampling, 1, model.vocabulary) as sampler:
        reason = generate(
            session, sampler, model.vocabulary, limit, lambda token: (tokens.append(token), not take or take(tokens))[1]
        )
    return reason, tokens


def test_a_limit_ends_the_answer_and_the_last_token_is_not_in_the_cache(session, model):
    session.sync(TEXT[:10])
    reason, tokens = run(session, model, limit=5)
    assert (reason, len(tokens)) == (FinishReason.LENGTH, 5)
    assert session.tokens == [*TEXT[:10], *tokens[:-1]]


def test_the_vocabularys_end_token_ends_the_answer_and_is_not_part_of_it(session, model):
    session.sync(TEXT[:10])
    reason, tokens = run(session, model, Sampling(temperature=0, logit_bias=((EOS, 1e9),)))
    assert (reason, tokens) == (FinishReason.STOP, [])


def test_the_end_of_the_context_ends_the_answer(session, model):
    session.sync(TEXT[:10])
    reason, tokens = run(session, model)
    assert reason is FinishReason.LENGTH
    assert len(tokens) == session.n_ctx - 10


def test_the_receiver_can_end_the_answer(session, model):
    session.sync(TEXT[:10])
    reason, tokens = run(session, model, take=lambda tokens: len(tokens) < 3)
    assert (reason, len(tokens)) == (FinishReason.STOP, 3)


def test_an_abort_ends_the_answer_with_every_token_handed_out(session, model):
    session.sync(TEXT[:10])
    tokens: list[int] = []

    def take(token: int) -> bool:
        tokens.append(token)
        if len(tokens) == 4:
            session.abort.raise_()
        return True

    with Sampler.build(WITHOUT_END, 1, model.vocabulary) as sampler, pytest.raises(Aborted):
        generate(session, sampler, model.vocabulary, None, take)
    assert session.tokens == [*TEXT[:10], *tokens[:-1]]


def test_an_answer_taken_up_by_its_tokens_goes_on_as_if_never_stopped(new_session, model):
    greedy = Sampling(temperature=0, logit_bias=((EOS, -1e9),))
    whole = new_session()
    whole.sync(TEXT[:10])
    _, expected = run(whole, model, greedy, limit=20)
    parted = new_session()
    parted.sync(TEXT[:10])
    _, first = run(parted, model, greedy, limit=8)
    assert parted.sync([*TEXT[:10], *first]) == 17  # all but the token that was never evaluated
    _, rest = run(parted, model, greedy, limit=12)
    assert first + rest == expected
