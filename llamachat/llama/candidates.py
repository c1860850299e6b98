"""Several answers to one prompt, a token of each in every batch: reading the weights once serves all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from llamachat.llama.sampling import Sampler
from llamachat.llama.session import Session
from llamachat.llama.vocabulary import Vocabulary
from llamachat.types import FinishReason


def generate_together(
    session: Session,
    samplers: Sequence[Sampler],
    vocabulary: Vocabulary,
    limit: int | None,
    take: Callable[[int, int], bool],
    end: Callable[[int, FinishReason], None],
) -> None:
    """As `generate`, one answer for each sampler: `take(index, token)` gets its tokens, `end(index, reason)` its end.

    The prompt and all answers share the context: when it is full, those that are not at their end are cut. Each is
    a branch of the session, which keeps them until it is synced to one of them or to something else. Raises Aborted
    when the flag is raised; then those that have not ended were interrupted.
    """
    session.branch(len(samplers))
    rows = dict.fromkeys(range(len(samplers)), -1)  # of the logits: each begins with those of the prompt
    n_tokens = 0  # of each that goes on
    while rows:
        n_tokens += 1
        chosen: dict[int, int] = {}
        for index, row in rows.items():
            token = samplers[index].sample(session.context, row)
            if vocabulary.is_end(token) or not take(index, token):
                end(index, FinishReason.STOP)
            else:
                chosen[index] = token
        if n_tokens == limit or session.n_free <= len(chosen):
            for index in chosen:
                end(index, FinishReason.LENGTH)
            return
        if chosen:
            session.grow(chosen)
        rows = {index: row for row, index in enumerate(chosen)}
