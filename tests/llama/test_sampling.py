"""The sampler chain against what the logits say."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from llamachat.llama.sampling import Sampler
from llamachat.types import Sampling
from tests.llama.test_session import TEXT, logits


@pytest.fixture
def ready(session):
    """A session with the logits of a prompt, and those logits."""
    session.sync(TEXT[:30])
    return session, logits(session)


def draw(ready, model, sampling: Sampling, n: int = 1, seed: int = 1, before: list[int] | None = None) -> list[int]:
    session, _ = ready
    with Sampler.build(sampling, seed, model.vocabulary) as sampler:
        sampler.see(before or [])
        return [sampler.sample(session.context) for _ in range(n)]


def best(ready, n: int) -> list[int]:
    return [int(token) for token in np.argsort(-ready[1])[:n]]


@pytest.mark.parametrize(
    "sampling",
    [Sampling(temperature=0), Sampling(top_k=1), Sampling(top_p=0.0), Sampling(min_p=1.0), Sampling(temperature=1e-4)],
)
def test_what_leaves_one_choice_takes_the_likeliest_token(ready, model, sampling):
    assert draw(ready, model, sampling) == best(ready, 1)


def test_top_k_draws_from_the_k_likeliest_and_from_all_of_them(ready, model):
    drawn = set(draw(ready, model, Sampling(top_k=3, temperature=5), n=300))
    assert drawn == set(best(ready, 3))


def test_top_p_keeps_the_smallest_set_of_that_probability(ready, model):
    odds = np.exp(ready[1] - ready[1].max())
    order = np.argsort(-odds)
    total = np.cumsum(odds[order]) / odds.sum()
    kept = set(order[: int(np.searchsorted(total, 0.1)) + 1].tolist())
    drawn = set(draw(ready, model, Sampling(top_p=0.1), n=500))
    assert drawn <= kept
    assert len(drawn) > len(kept) / 2


def test_min_p_keeps_tokens_that_likely_beside_the_likeliest(ready, model):
    odds = np.exp(ready[1] - ready[1].max())
    drawn = draw(ready, model, Sampling(min_p=0.5, temperature=2), n=300)
    assert min(odds[token] for token in drawn) >= 0.5
    assert len(set(drawn)) > 1


def test_the_same_seed_draws_the_same_tokens(ready, model):
    first, again, other = (draw(ready, model, Sampling(), n=20, seed=seed) for seed in (1, 1, 2))
    assert first == again != other


def test_temperature_flattens(ready, model):
    def n_distinct(temperature: float) -> int:
        return len(set(draw(ready, model, Sampling(temperature=temperature), n=300)))

    assert n_distinct(0.2) < n_distinct(1) < n_distinct(5)


def test_a_logit_bias_forbids_or_forces_a_token(ready, model):
    first, second = best(ready, 2)
    assert draw(ready, model, Sampling(temperature=0, logit_bias=((first, -1e9),))) == [second]
    assert draw(ready, model, Sampling(temperature=0, logit_bias=((77, 1e9),))) == [77]


def test_a_bias_on_a_token_that_does_not_exist_is_ignored(ready, model):
    assert draw(ready, model, Sampling(temperature=0, logit_bias=((10**6, 1e9), (-1, 1e9)))) == best(ready, 1)


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(temperature=0, presence_penalty=1e6),
        Sampling(temperature=0, frequency_penalty=1e6),
        Sampling(temperature=0, repeat_penalty=100),
    ],
)
def test_penalties_count_what_stands_before_the_answer(ready, model, sampling):
    favourite = best(ready, 1)
    assert draw(ready, model, sampling) == favourite
    assert draw(ready, model, sampling, before=favourite) != favourite


def test_penalties_look_back_only_so_far(ready, model):
    sampling = Sampling(temperature=0, presence_penalty=1e6, repeat_last_n=3)
    favourite = best(ready, 1)
    assert draw(ready, model, sampling, before=[*favourite, 5, 6, 7]) == favourite


def test_dry_breaks_a_repetition_that_would_go_on(ready, model):
    favourite = best(ready, 1)
    loop = [5, 6, 7, *favourite, 5, 6, 7]  # the likeliest token would repeat four in a row
    assert draw(ready, model, Sampling(temperature=0), before=loop) == favourite
    assert draw(ready, model, Sampling(temperature=0, dry_multiplier=100.0), before=loop) != favourite


def test_xtc_takes_the_likeliest_away(ready, model):
    sampling = Sampling(top_k=5, xtc_probability=1.0, xtc_threshold=0.01)
    plain, excluded = (Counter(draw(ready, model, s, n=200)) for s in (Sampling(top_k=5), sampling))
    favourite = best(ready, 1)[0]
    assert plain[favourite] > 0
    assert excluded[favourite] == 0


def test_typical_sampling_narrows_the_choice(ready, model):
    everything, typical = (set(draw(ready, model, Sampling(typical_p=p), n=500)) for p in (1.0, 0.05))
    assert len(typical) < len(everything)


@pytest.mark.parametrize("version", [1, 2])
def test_mirostat_draws_by_its_seed_and_aims_at_its_surprise(ready, model, version):
    low, again, high = (
        draw(ready, model, Sampling(mirostat=version, mirostat_tau=tau), n=200) for tau in (0.5, 0.5, 4.0)
    )
    assert low == again
    assert len(set(low)) < len(set(high))


def test_temperature_nought_wins_over_mirostat(ready, model):
    assert draw(ready, model, Sampling(temperature=0, mirostat=2)) == best(ready, 1)
