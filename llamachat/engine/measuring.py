"""The engine's measurements of its own model: at once when they are asked for, or a slice whenever nobody waits."""

from __future__ import annotations

from collections.abc import Callable

from llamachat.engine.protocol import Frame, TuneDone, TuneStep
from llamachat.engine.ready import Ready
from llamachat.errors import LlamachatError, UsageError
from llamachat.llama.lib import AbortFlag
from llamachat.llama.session import Aborted
from llamachat.llama.tuning import Tuning, can_be_tuned

_N_PROOF = 8  # tokens that show whether this build computes at all, before other settings are tried

Send = Callable[[Frame], None]


class Measuring:
    """What is measured of one loaded model. `wanted`: also while nobody waits."""

    def __init__(self, ready: Ready, abort: AbortFlag, send: Send, *, wanted: bool) -> None:
        self._ready = ready
        self._abort = abort
        self._send = send
        self.is_wanted = wanted and can_be_tuned(ready.model)
        self._tuning: Tuning | None = None

    def at_once(self, number: int, on_step: Callable[[], None]) -> None:
        """Measure everything, for the request with this number. Raises UsageError where there is nothing to choose."""
        if not can_be_tuned(self._ready.model):
            raise UsageError("there is nothing to tune: this model runs on a GPU, or has an unusual cache.")
        tuning = Tuning(self._ready.model, self._abort)

        def report(what: str) -> None:
            on_step()
            self._send(TuneStep(number, what))

        try:
            self._prove()
            tuned = tuning.run(report)
        except Aborted:
            self._send(TuneDone(number, None, is_stopped=True))
        else:
            self._send(TuneDone(number, tuned, tuning.tried))

    def a_slice(self) -> None:
        """Go on measuring until it is done or aborted. What fails is not tried again."""
        self._tuning = self._tuning or Tuning(self._ready.model, self._abort)
        self.is_wanted = False
        try:
            tuned = self._tuning.run(lambda what: self._send(TuneStep(0, what)))
            self._send(TuneDone(0, tuned, self._tuning.tried))
        except Aborted:
            self.is_wanted = True
            self._send(TuneStep(0, ""))
        except LlamachatError:  # no memory for it
            self._send(TuneStep(0, ""))

    def _prove(self) -> None:
        """Compute as an answer would: where that ends the process, it is not the fault of what is tried next."""
        vocabulary = self._ready.model.vocabulary
        tokens = [index % vocabulary.n_tokens for index in range(_N_PROOF)]
        self._ready.session.sync(tokens)
        self._ready.session.append(tokens[0])
