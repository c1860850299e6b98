"""The token loop: sample, hand out, evaluate. Text, stop strings and timing belong to the caller."""

from __future__ import annotations

from collections.abc import Callable

from llamachat.llama.sampling import Sampler
from llamachat.llama.session import Session
from llamachat.llama.vocabulary import Vocabulary
from llamachat.types import FinishReason


def generate(
    session: Session, sampler: Sampler, vocabulary: Vocabulary, limit: int | None, take: Callable[[int], bool]
) -> FinishReason:
    """Hand each token of the answer to `take` until the vocabulary, the limit, the context or `take` ends it.

    The session holds the prompt, evaluated; prompt and answer together fill at most the context. A token is
    handed out before it is evaluated, so the last one is never in the KV cache. `take` returns False to end
    the answer. Raises Aborted when the flag is raised.
    """
    n_tokens = 0
    while True:
        token = sampler.sample(session.context)
        if vocabulary.is_end(token) or not take(token):
            return FinishReason.STOP
        n_tokens += 1
        if n_tokens == limit or session.n_free <= 1:
            return FinishReason.LENGTH
        session.append(token)
