"""Guessed tokens: the answer is the target's own, and the cache holds it, however and wherever it ends."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llamachat.errors import ModelError
from llamachat.llama import draft_model
from llamachat.llama.costs import Costs
from llamachat.llama.draft_model import DraftModel, differing
from llamachat.llama.generate import Steps, generate, one_by_one
from llamachat.llama.lib import AbortFlag
from llamachat.llama.model import Model
from llamachat.llama.sampling import Sampler
from llamachat.llama.session import MOST_AT_ONCE, Aborted, Session
from llamachat.llama.speculative import Drafting, Speculation
from llamachat.types import Drafted, FinishReason, LoadOptions, Sampling
from tests.llama.test_session import TEXT, logits, position
from tests.model_files import write_tiny_model

EOS = 2
GREEDY = Sampling(temperature=0, logit_bias=((EOS, -1e9),))
# Noise repeats nothing by itself: a few tokens that are all likely do.
FEW = Sampling(temperature=1.5, logit_bias=((EOS, -1e9), *((token, 40.0) for token in range(10, 14))))
LIST = TEXT[:24]


class Free(Costs):
    """A machine on which a batch costs what one token does, and that is an age: beside it a draft model is quick."""

    def wants_single(self, depth: int) -> bool:
        return False

    def single(self, depth: int) -> float:
        return 1e6

    def ratio(self, n_tokens: int, depth: int) -> float:
        return 1.0


# The loop itself, on a target and a sampler that are ours.


@dataclass
class FakeVocabulary:
    """Twelve tokens; 0 ends an answer."""

    n_tokens: int = 12

    def is_end(self, token: int) -> bool:
        return token == 0


@dataclass
class FakeSession:
    """Tokens, and for each row of the last evaluation what stood there. `aborts_at`: the evaluation that is aborted."""

    tokens: list[int]
    n_ctx: int = 1000
    aborts_at: int | None = None
    rows: list[tuple[int, ...]] = field(default_factory=list)
    n_evaluations: int = 0

    def __post_init__(self) -> None:
        self.rows = [tuple(self.tokens)]

    @property
    def context(self) -> FakeSession:
        return self

    @property
    def n_free(self) -> int:
        return self.n_ctx - len(self.tokens)

    def extend(self, tokens: Sequence[int]) -> None:
        assert len(tokens) <= min(MOST_AT_ONCE, self.n_free)
        self.n_evaluations += 1
        if self.n_evaluations == self.aborts_at:
            raise Aborted
        start = len(self.tokens)
        self.tokens += tokens
        self.rows = [tuple(self.tokens[: start + index + 1]) for index in range(len(tokens))]

    def append(self, token: int) -> None:
        self.extend([token])

    def keep(self, length: int) -> None:
        del self.tokens[length:]


class FakeSampler:
    """Draws by what stands before, with a random state that each draw advances, as a chain with a seed does."""

    def __init__(self, seed: int, weights: Callable[[tuple[int, ...]], Sequence[float]]) -> None:
        self._random = random.Random(seed)
        self._weights = weights

    def sample(self, context: FakeSession, row: int = -1) -> int:
        weights = self._weights(context.rows[row])
        return self._random.choices(range(len(weights)), weights)[0]


def drafting(model: DraftModel | None = None, costs: Costs | None = None) -> Drafting:
    return Speculation(FakeVocabulary(), 1, model, costs or Free()).begin()


def tell(
    session: FakeSession, sampler: FakeSampler, steps: Steps, limit: int | None = None, stop_after: int | None = None
) -> tuple[FinishReason | None, list[int]]:
    """An answer and its end; None for one that was aborted."""
    said: list[int] = []

    def take(token: int) -> bool:
        said.append(token)
        return len(said) != stop_after

    try:
        return generate(session, sampler, FakeVocabulary(), limit, take, steps), said
    except Aborted:
        return None, said


def chain(seed: int, sharpness: int) -> Callable[[tuple[int, ...]], Sequence[float]]:
    """What follows hangs on the last two tokens; the sharper, the more surely."""

    def weights(text: tuple[int, ...]) -> Sequence[float]:
        choose = random.Random(hash((seed, text[-2:])))
        return [choose.random() ** sharpness for _ in range(12)]

    return weights


@settings(max_examples=200, deadline=None)
@given(
    target=st.tuples(st.integers(0, 1000), st.sampled_from([1, 6, 40])),
    seed=st.integers(0, 1000),
    n_ctx=st.integers(9, 90),
    limit=st.none() | st.integers(1, 60),
    stop_after=st.none() | st.integers(1, 40),
)
def test_an_answer_with_guesses_is_the_answer_without(target, seed, n_ctx, limit, stop_after):
    """Draw by draw, and so in its distribution; it ends in the same place, and the cache holds the same."""
    outcomes = []
    for steps in (one_by_one, drafting().steps):
        session = FakeSession([1, 2, 3, 1, 2, 3, 1, 2], n_ctx)
        outcomes.append((tell(session, FakeSampler(seed, chain(*target)), steps, limit, stop_after), session.tokens))
    assert outcomes[0] == outcomes[1]


@settings(max_examples=100, deadline=None)
@given(target=st.tuples(st.integers(0, 1000), st.just(40)), seed=st.integers(0, 1000), aborts_at=st.integers(1, 12))
def test_an_abort_leaves_what_was_said_but_the_last(target, seed, aborts_at):
    session = FakeSession([1, 2, 3, 1, 2], 60, aborts_at)
    reason, said = tell(session, FakeSampler(seed, chain(*target)), drafting().steps)
    if reason is None:
        assert session.tokens == [1, 2, 3, 1, 2, *said[:-1]]


def copying(prompt: Sequence[int]) -> Callable[[tuple[int, ...]], Sequence[float]]:
    """A target that says its prompt again."""
    return lambda text: [float(token == prompt[len(text) % len(prompt)]) for token in range(12)]


def test_a_copy_takes_few_evaluations_and_its_guesses_are_right():
    choose = random.Random(2)
    prompt = [choose.randrange(1, 12) for _ in range(80)]
    session, guesses = FakeSession(list(prompt)), drafting()
    _, said = tell(session, FakeSampler(1, copying(prompt)), guesses.steps, limit=80)
    assert said == prompt
    assert session.n_evaluations < 25
    assert guesses.drafted.accepted == 79 - session.n_evaluations
    assert guesses.drafted.accepted > 0.7 * guesses.drafted.proposed


def test_no_end_of_an_answer_is_guessed():
    """Behind it nothing could be gained."""
    prompt = [5, 6, 7, 8, 0, 9, 3]
    session, guesses = FakeSession(list(prompt)), drafting()
    reason, said = tell(session, FakeSampler(1, copying(prompt)), guesses.steps)
    assert (reason, said) == (FinishReason.STOP, [5, 6, 7, 8])
    assert guesses.drafted == Drafted(2, 2)


# The real thing, on the model of noise.


def say(
    session, model, sampling: Sampling, guesses: Drafting | None, limit: int | None = None, take=None, seed: int = 7
) -> tuple[FinishReason, list[int]]:
    tokens: list[int] = []
    steps = guesses.steps if guesses else one_by_one
    with Sampler.build(sampling, seed, model.vocabulary) as sampler:
        sampler.see(session.tokens)
        reason = generate(
            session,
            sampler,
            model.vocabulary,
            limit,
            lambda token: (tokens.append(token), not take or take(tokens))[1],
            steps,
        )
    return reason, tokens


def guessing(model: Model, smaller: DraftModel | None = None) -> Drafting:
    return Speculation(model.vocabulary, 100 * model.size_bytes, smaller, Free()).begin()


PENALTIES = Sampling(
    temperature=1.5, top_k=8, repeat_penalty=1.2, presence_penalty=0.5, dry_multiplier=0.5, logit_bias=FEW.logit_bias
)
MIROSTAT = Sampling(temperature=1, mirostat=2, logit_bias=FEW.logit_bias)


@pytest.mark.parametrize("sampling", [GREEDY, FEW, PENALTIES, MIROSTAT], ids=["greedy", "few", "penalties", "mirostat"])
def test_every_sampler_says_what_it_says_without_guesses(new_session, model, sampling):
    plain, guessed = new_session(), new_session()
    plain.sync([*LIST, *LIST[:5]])
    guessed.sync([*LIST, *LIST[:5]])
    guesses = guessing(model)
    assert say(guessed, model, sampling, guesses, limit=120) == say(plain, model, sampling, None, limit=120)
    assert guesses.drafted.proposed > 30
    assert guessed.tokens == plain.tokens
    assert position(guessed) == len(guessed.tokens)


class Watched:
    """A sampler that notes what stood in the row of each token it took."""

    def __init__(self, sampler: Sampler, session: Session) -> None:
        self._sampler, self._session = sampler, session
        self.rows: list[np.ndarray] = []

    def sample(self, context, row: int = -1) -> int:
        self.rows.append(logits(self._session, row))
        return self._sampler.sample(context, row)


def test_every_token_is_the_likeliest_by_the_logits_that_it_was_checked_with(session, model):
    """And those are the logits of its place: what single tokens have there, but for the last bits."""
    prompt = [*LIST, *LIST[:5]]
    session.sync(prompt)
    guesses, tokens = guessing(model), []
    with Sampler.build(Sampling(temperature=0), 7, model.vocabulary) as sampler:
        watched = Watched(sampler, session)
        generate(session, watched, model.vocabulary, 60, lambda token: (tokens.append(token), True)[1], guesses.steps)
    assert len(tokens) == len(watched.rows) == 60
    assert guesses.drafted.proposed > 0
    session.sync(prompt)
    for token, row in zip(tokens, watched.rows, strict=True):
        assert token == row.argmax()
        assert np.allclose(row, logits(session), atol=1e-2)
        session.append(token)


ALL_PAIRS = [10, 10, 11, 10, 12, 10, 13, 11, 11, 12, 11, 13, 12, 12, 13, 13, 10]  # so that all can be guessed


def test_answers_are_distributed_as_the_models_logits_say(session, model):
    """A chi-squared test of how 4,000 answers begin, with guesses, against what single tokens' logits make of it."""
    counts, n_right, n_answers = dict.fromkeys(itertools.product(range(10, 14), repeat=3), 0), 0, 4000
    for seed in range(n_answers):
        session.sync(ALL_PAIRS)
        guesses = guessing(model)
        _, tokens = say(session, model, FEW, guesses, limit=6, seed=seed)
        counts[tuple(tokens[:3])] += 1
        n_right += guesses.drafted.accepted
    assert n_right > n_answers / 3
    expected = {answer: n_answers * chance for answer, chance in exact_chances(session, 3).items()}
    deviation = sum((counts[answer] - expected[answer]) ** 2 / expected[answer] for answer in expected)
    assert min(expected.values()) > 5
    assert deviation < 103.4  # of 63 degrees of freedom: one test in a thousand would be above


def exact_chances(session, length: int, before: tuple[int, ...] = ()) -> dict[tuple[int, ...], float]:
    """Of every answer by FEW that is so long, from logits that were computed token by token."""
    if not length:
        return {before: 1.0}
    session.sync([*ALL_PAIRS, *before])
    weights = np.exp(logits(session)[10:14].astype(float) / FEW.temperature)
    found = {}
    for token, chance in zip(range(10, 14), weights / weights.sum(), strict=True):
        found |= {
            answer: chance * rest for answer, rest in exact_chances(session, length - 1, (*before, token)).items()
        }
    return found


def test_the_limit_and_the_context_end_an_answer_inside_a_draft_where_they_would_without(new_session, model):
    for limit in (*range(1, 20), None):
        session = new_session(n_ctx=64)
        session.sync(LIST)
        reason, tokens = say(session, model, FEW, guessing(model), limit)
        assert (reason, len(tokens)) == (FinishReason.LENGTH, limit or 40)
        assert session.tokens == [*LIST, *tokens[:-1]]
        assert position(session) == len(session.tokens)


@pytest.mark.parametrize("length", range(1, 30))
def test_a_receiver_that_ends_the_answer_inside_a_draft_leaves_the_cache_right(new_session, model, length):
    session = new_session()
    session.sync(LIST)
    reason, tokens = say(session, model, FEW, guessing(model), take=lambda tokens: len(tokens) < length)
    assert (reason, len(tokens)) == (FinishReason.STOP, length)
    assert session.tokens == [*LIST, *tokens[:-1]]
    assert position(session) == len(session.tokens)
    assert session.sync([*session.tokens, 5]) == len(LIST) + length - 1


@pytest.mark.parametrize("length", range(1, 30, 4))
def test_an_abort_between_batches_leaves_every_token_handed_out(new_session, model, length):
    session, tokens = new_session(), []
    session.sync(LIST)

    def take(taken: list[int]) -> bool:
        tokens[:] = taken
        if len(taken) == length:
            session.abort.raise_()
        return True

    with pytest.raises(Aborted):
        say(session, model, FEW, guessing(model), take=take)
    assert session.tokens == [*LIST, *tokens[:-1]]
    assert position(session) == len(session.tokens)


def test_an_abort_inside_a_batch_takes_all_of_it_back(session):
    session.sync(LIST)
    session._hears_abort = False  # as if it came a moment after the look
    session.abort.raise_()
    with pytest.raises(Aborted):
        session.extend(TEXT[30:40])
    assert session.tokens == LIST
    assert position(session) == len(LIST)
    session.abort.lower()
    session.extend(TEXT[30:40])
    assert session.tokens == [*LIST, *TEXT[30:40]]


def test_rows_of_a_batch_are_the_logits_that_single_tokens_have(new_session, model):
    whole, single = new_session(), new_session()
    whole.sync(LIST)
    single.sync(LIST)
    whole.extend(TEXT[30:46])
    for row, token in enumerate(TEXT[30:46]):
        single.append(token)
        assert np.allclose(logits(whole, row), logits(single), atol=1e-2)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(n_prompt=st.integers(1, 40), n_said=st.integers(1, 60), n_next=st.integers(1, 80))
def test_after_guesses_an_exact_sync_still_gives_the_same_bits(new_session, model, n_prompt, n_said, n_next):
    used, fresh = new_session(), new_session()
    used.sync(TEXT[:n_prompt])
    say(used, model, FEW, guessing(model), limit=n_said)
    prompt = (used.tokens + TEXT)[:n_next]
    used.sync(prompt, exact=True)
    fresh.sync(prompt, exact=True)
    assert np.array_equal(logits(used), logits(fresh))


def test_a_batch_of_a_chunks_size_is_not_on_the_grid(session):
    session.sync(TEXT[:16])
    session.extend(TEXT[16:32])
    assert session.reusable(TEXT[:40], exact=True) == 16


def test_the_cost_of_batches_is_measured_while_answers_are_made(new_session, model):
    speculation = Speculation(model.vocabulary, model.size_bytes)
    session = new_session()
    session.sync(LIST)
    say(session, model, FEW, speculation.begin(), limit=60)
    assert speculation.costs.single(30) is not None
    assert speculation.costs.single(30) > 0


# A draft model.


@pytest.fixture
def smaller(model, log) -> Iterator[Callable[..., DraftModel]]:
    made = []

    def make(path: Path, n_ctx: int = 256) -> DraftModel:
        target = Model(model.handle, LoadOptions(path="target.gguf", n_threads=1, draft=str(path)), [], 0)
        loaded = draft_model.load(target, log, lambda _done, _total: None)
        made.append(DraftModel(loaded, loaded.session(n_ctx, AbortFlag())))
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_a_draft_model_that_is_the_target_is_always_right(session, model, tiny_model, smaller):
    session.sync(LIST)
    guesses = guessing(model, smaller(tiny_model))
    _, tokens = say(session, model, GREEDY, guesses, limit=60)
    assert len(tokens) == 60
    assert guesses.drafted.proposed > 50
    assert guesses.drafted.accepted == guesses.drafted.proposed


def test_a_draft_model_that_thinks_otherwise_changes_nothing(new_session, model, smaller, tmp_path):
    plain, guessed = new_session(), new_session()
    for each in (plain, guessed):
        each.sync(LIST)
    guesses = guessing(model, smaller(write_tiny_model(tmp_path / "other.gguf", seed=5)))
    assert say(guessed, model, FEW, guesses, limit=80) == say(plain, model, FEW, None, limit=80)
    assert guesses.drafted.proposed > guesses.drafted.accepted


def test_a_text_with_a_token_that_the_draft_model_lacks_goes_on_without(smaller, tiny_model, model):
    draft = smaller(tiny_model)
    assert draft.guess([10, model.vocabulary.n_tokens, 11], 3) == []
    assert len(draft.guess([10, 11], 3)) == 3


def test_a_text_too_long_for_the_draft_model_goes_on_without(session, model, tiny_model, smaller):
    session.sync(LIST)
    _, tokens = say(session, model, GREEDY, guessing(model, smaller(tiny_model, n_ctx=40)), limit=60)
    assert len(tokens) == 60


def test_what_a_guess_takes_is_measured_but_not_reading_the_prompt(model, tiny_model, smaller):
    draft = smaller(tiny_model)
    assert draft.seconds is None
    draft.guess(TEXT[:100], 3)
    assert draft.seconds is None
    draft.guess(TEXT[:102], 3)
    assert draft.seconds is not None


@dataclass
class Words:
    """A vocabulary of texts."""

    texts: Sequence[str] = tuple("abcdefghijkl")
    kind: int = 1
    bos: int = 1
    eos: int = 2

    @property
    def n_tokens(self) -> int:
        return len(self.texts)

    def text(self, token: int) -> str:
        return self.texts[token]


@pytest.mark.parametrize(
    ("draft", "reason"),
    [
        (Words(), ""),
        (Words(texts=tuple("abcdefghijkl") + ("",) * 100), ""),
        (Words(texts=tuple("ABCDefghijkl")), ""),
        (Words(kind=2), "its vocabulary is of the kind BPE, not SPM"),
        (Words(bos=0), "its BOS is token 0, not 1"),
        (Words(eos=3), "its EOS is token 3, not 2"),
        (Words(texts=tuple("abcdefghijkl") + ("",) * 200), "its vocabulary has 212 tokens, not 12"),
        (Words(texts=tuple("abcdefgHijkl")), "its token 7 is 'H', not 'h'"),
    ],
)
def test_a_draft_model_has_the_targets_vocabulary_or_a_reason_why_not(draft, reason):
    assert differing(Words(), draft) == reason


def test_a_model_with_another_vocabulary_is_refused_by_name(smaller, starter):
    with pytest.raises(ModelError) as caught:
        smaller(starter)
    assert caught.value.message.startswith(f"{starter.name} cannot draft for target.gguf: its vocabulary")
    assert "--draft" in caught.value.hint


def test_a_file_that_is_no_model_is_refused_as_a_draft(smaller, tmp_path):
    (tmp_path / "x.gguf").write_bytes(b"no")
    with pytest.raises(ModelError) as caught:
        smaller(tmp_path / "x.gguf")
    assert "--draft" in caught.value.hint


def test_an_answer_that_was_not_begun_has_guessed_nothing(model):
    assert guessing(model).drafted == Drafted(0, 0)


def test_a_generator_that_is_closed_before_the_first_token_leaves_the_prompt(session, model):
    session.sync(LIST)
    with Sampler.build(GREEDY, 1, model.vocabulary) as sampler, closing(guessing(model).steps(session, sampler, 9)):
        pass
    assert session.tokens == LIST
