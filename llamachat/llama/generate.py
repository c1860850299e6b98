"""The token loop: sample, hand out, evaluate. Text, stop strings and timing belong to the caller."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing

from llamachat.llama.sampling import Sampler
from llamachat.llama.session import Session
from llamachat.llama.vocabulary import Vocabulary
from llamachat.types import FinishReason

Steps = Callable[[Session, Sampler, int], Generator[int]]


def one_by_one(session: Session, sampler: Sampler, _most: int) -> Generator[int]:
    """The tokens of an answer. A token is evaluated when the one after it is wanted."""
    while True:
        token = sampler.sample(session.context)
        yield token
        session.append(token)


def generate(
    session: Session,
    sampler: Sampler,
    vocabulary: Vocabulary,
    limit: int | None,
    take: Callable[[int], bool],
    steps: Steps = one_by_one,
) -> FinishReason:
    """Hand each token of the answer to `take` until the vocabulary, the limit, the context or `take` ends it.

    The session holds the prompt, evaluated; prompt and answer together fill at most the context. A token is
    handed out before it is evaluated, so the last one is never in the KV cache. `take` returns False to end
    the answer. `steps` makes the tokens (`speculative` has others). Raises Aborted when the flag is raised.
    """
    most = session.n_free if limit is None else min(limit, session.n_free)
    with closing(steps(session, sampler, most)) as tokens:
        for n_tokens, token in enumerate(tokens, start=1):
            if vocabulary.is_end(token) or not take(token):
                return FinishReason.STOP
            if n_tokens >= most:
                break
    return FinishReason.LENGTH
