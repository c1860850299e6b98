"""Several tokens of an answer from one evaluation: some are guessed, and those the model would have said stand.

Reading the weights is most of what a token costs, and reading them once serves several. Each token that is handed out
is the one that the sampler takes from the logits of its place, with its state advanced token by token as without
guesses; a guess is right when it is that token. So an answer is distributed as it would be otherwise. It is not the
same to the last bit: llama.cpp's logits depend on how tokens were batched, and at a near tie another may win.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from itertools import takewhile

from llamachat.llama.costs import Costs
from llamachat.llama.draft_model import DraftModel
from llamachat.llama.ngrams import Match, Ngrams
from llamachat.llama.policy import MOST, Plan, Policy, Source
from llamachat.llama.sampling import Sampler
from llamachat.llama.session import Session
from llamachat.llama.vocabulary import Vocabulary
from llamachat.types import Drafted


class Speculation:
    """What outlives an answer: costs, and the draft model if there is one, which it owns.

    `vocabulary` and `size_bytes` are the target's, which can forget a part of its tokens.
    """

    def __init__(
        self, vocabulary: Vocabulary, size_bytes: int, model: DraftModel | None = None, costs: Costs | None = None
    ) -> None:
        self.costs = costs or Costs()
        self.vocabulary = vocabulary
        self.model = model
        self._size_bytes = size_bytes

    def close(self) -> None:
        if self.model:
            self.model.close()

    def forget(self) -> None:
        """Forget all texts; what they have cost stays."""
        if self.model:
            self.model.forget()

    def begin(self) -> Drafting:
        """For one answer."""
        return Drafting(self)

    def model_cost(self, depth: int) -> float | None:
        """What a guess of the draft model's costs, in single tokens of the target; None where it has none to give.

        So it is without such a model, and behind so many tokens that its context is full.
        """
        if self.model is None or depth + 1 + MOST > self.model.n_ctx:
            return None
        seconds, single = self.model.seconds, self.costs.single(depth)
        return seconds / single if seconds and single else self.model.size_bytes / self._size_bytes


@dataclass(frozen=True, slots=True)
class _Guesses:
    """Guesses to be checked in a batch, or (`aside`) the one that is only compared with what comes."""

    source: Source
    agreed: int  # tokens of the text before them that agree with an earlier place
    tokens: Sequence[int] = ()
    aside: Sequence[int] = ()


class Drafting:
    """The steps of one answer, for `generate`, and how its guesses fared."""

    def __init__(self, speculation: Speculation) -> None:
        self._speculation = speculation
        self._costs = speculation.costs
        self._policy = Policy(speculation.costs)
        self._n_proposed = self._n_right = 0

    @property
    def drafted(self) -> Drafted:
        return Drafted(self._n_proposed, self._n_right)

    def steps(self, session: Session, sampler: Sampler, most: int) -> Generator[int]:
        """The tokens of an answer, of which at most `most` are wanted.

        Closed after any of them, the session holds those before it. Raises Aborted, after which that is as true, and
        DecodeFault.
        """
        token = sampler.sample(session.context)
        yield token
        text, n_left = Ngrams(session.tokens), most - 1
        while True:
            text.add(token)
            depth = len(session.tokens)
            guesses = self._guess(text, n_left - 1, depth)
            said = yield from self._check(session, sampler, token, guesses.tokens)
            self._learn(guesses, said, depth)
            for known in said[:-1]:
                text.add(known)
            token = said[-1]
            n_left -= len(said)

    def _guess(self, text: Ngrams, most: int, depth: int) -> _Guesses:
        """What to check with the next token. Raises Aborted."""
        match = text.match()
        agreed = match.length if match else 0
        plan = self._policy.plan(agreed, most, depth, self._speculation.model_cost(depth))
        tokens = self._without_end(self._tokens(plan, text, match))
        if tokens or match is None:
            return _Guesses(plan.source, agreed, tokens)
        return _Guesses(Source.TEXT, agreed, aside=text.after(match, 1))

    def _tokens(self, plan: Plan, text: Ngrams, match: Match | None) -> list[int]:
        model = self._speculation.model
        if plan.count and plan.source is Source.MODEL and model and (guesses := model.guess(text.tokens, plan.count)):
            return guesses
        return text.after(match, plan.count) if match else []

    def _without_end(self, guesses: Sequence[int]) -> list[int]:
        """As far as they are tokens of the target's, and none ends the answer: nothing is gained behind that."""
        vocabulary = self._speculation.vocabulary
        return list(takewhile(lambda token: token < vocabulary.n_tokens and not vocabulary.is_end(token), guesses))

    def _check(
        self, session: Session, sampler: Sampler, token: int, guesses: Sequence[int]
    ) -> Generator[int, None, list[int]]:
        """Evaluate a token and the guesses behind it; the tokens that are said: as many guesses as are right, one more.

        Its price is taken up to the first of them: some devices compute until the logits are asked for.
        """
        started, depth, n_right, said = time.perf_counter(), len(session.tokens), 0, list[int]()
        session.extend([token, *guesses])
        self._n_proposed += len(guesses)
        try:
            while True:
                said.append(sampler.sample(session.context, len(said)))
                if len(said) == 1:
                    self._costs.add(1 + len(guesses), depth, time.perf_counter() - started)
                yield said[-1]
                if n_right == len(guesses) or said[-1] != guesses[n_right]:
                    return said
                n_right += 1
        finally:
            self._n_right += n_right
            session.keep(depth + 1 + n_right)

    def _learn(self, guesses: _Guesses, said: Sequence[int], depth: int) -> None:
        for index, (guess, token) in enumerate(zip(guesses.tokens or guesses.aside, said, strict=False)):
            self._policy.odds.learn(guesses.source, guesses.agreed + index, was_right=guess == token)
        if guesses.tokens:
            cost = self._costs.ratio(1 + len(guesses.tokens), depth)
            if guesses.source is Source.MODEL:
                cost += len(guesses.tokens) * (self._speculation.model_cost(depth) or 0)
            self._policy.judge(len(said), cost)
