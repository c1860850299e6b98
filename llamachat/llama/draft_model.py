"""A small model that guesses what a large one will say: quicker by its size, right as often as it resembles it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median

from llamachat.errors import ModelError
from llamachat.llama.lib import Log
from llamachat.llama.model import Model
from llamachat.llama.sampling import Sampler
from llamachat.llama.session import Session
from llamachat.llama.vocabulary import Vocabulary
from llamachat.llama.weights import OnProgress
from llamachat.types import Sampling

_KINDS = {1: "SPM", 2: "BPE", 3: "WPM", 4: "UGM", 5: "RWKV", 6: "PLaMo"}  # llama_vocab_type
_MOST_EXTRA = 128  # tokens that one vocabulary may have more: padding
_FIRST_TEXT = 5  # ids before it are control tokens, which models name differently
_GREEDY = Sampling(temperature=0)
_REMEMBERED = 7
_HINT = "Name another with --draft, or none."


class DraftModel:
    """A loaded model with a session of its own, which it owns. Close it before the target."""

    def __init__(self, model: Model, session: Session) -> None:
        self._model = model
        self._session = session
        self._seconds: deque[float] = deque(maxlen=_REMEMBERED)  # of one guess
        self.size_bytes = model.size_bytes

    def close(self) -> None:
        self._session.close()
        self._model.close()

    def forget(self) -> None:
        """Forget the text."""
        self._session.forget()

    @property
    def seconds(self) -> float | None:
        """What a guess takes; None before the first."""
        return median(self._seconds) if self._seconds else None

    @property
    def n_ctx(self) -> int:
        """Tokens of the longest text, guesses included."""
        return self._session.n_ctx

    def guess(self, tokens: Sequence[int], count: int) -> list[int]:
        """The likeliest continuation of a text; both fit. None of a text with a token that it lacks. Raises Aborted."""
        if max(tokens) >= self._model.vocabulary.n_tokens:
            return []
        session = self._session
        started = time.perf_counter()
        n_new = len(tokens) - session.sync(tokens)
        guesses: list[int] = []
        with Sampler.build(_GREEDY, 0, self._model.vocabulary) as sampler:
            while True:
                guesses.append(sampler.sample(session.context))
                if len(guesses) == count:
                    break
                session.append(guesses[-1])
        if n_new <= count + 1:  # a longer text is read once, and no guess's fault
            self._seconds.append((time.perf_counter() - started) / count)
        return guesses


def load(target: Model, log: Log, on_progress: OnProgress) -> Model:
    """The weights of the model that `target`'s options name to draft for it. Raises ModelError, also when it cannot."""
    options = target.options
    assert options.draft is not None
    n_layers = options.gpu_layers if options.gpu_layers in (0, -1) else None
    try:
        draft = Model.load(
            replace(options, path=options.draft, name="", gpu_layers=n_layers, tuned=None), log, on_progress
        )
    except ModelError as error:
        raise ModelError(error.message, _HINT) from error
    if reason := _why_not(target, draft):
        draft.close()
        name, for_ = Path(options.draft).name, Path(options.path).name
        raise ModelError(f"{name} cannot draft for {for_}: {reason}.", _HINT)
    return draft


def _why_not(target: Model, draft: Model) -> str:
    if not target.can_forget:
        return "it keeps a state that cannot go back to an earlier token"
    if not draft.can_forget:
        return "a draft model has to go back to earlier tokens, and this one cannot"
    return differing(target.vocabulary, draft.vocabulary)


def differing(target: Vocabulary, draft: Vocabulary) -> str:
    """In what two vocabularies differ, as a reason; empty where the ids of one mean the same in the other.

    llama.cpp's own rule (common/speculative.cpp); 60 ms for 32,000 tokens.
    """
    if draft.kind != target.kind:
        mine, theirs = (_KINDS.get(each.kind, "unknown") for each in (draft, target))
        return f"its vocabulary is of the kind {mine}, not {theirs}"
    for name in ("bos", "eos"):
        if getattr(draft, name) != getattr(target, name):
            return f"its {name.upper()} is token {getattr(draft, name)}, not {getattr(target, name)}"
    if abs(draft.n_tokens - target.n_tokens) > _MOST_EXTRA:
        return f"its vocabulary has {draft.n_tokens:,} tokens, not {target.n_tokens:,}"
    for token in range(_FIRST_TEXT, min(draft.n_tokens, target.n_tokens)):
        if draft.text(token) != target.text(token):
            return f"its token {token:,} is {draft.text(token)!r}, not {target.text(token)!r}"
    return ""
