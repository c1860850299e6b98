"""What to change, in sentences: only what was measured in this run, or is known of this build."""

from __future__ import annotations

from collections.abc import Sequence

from llamachat.bench.bounds import Bounds
from llamachat.bench.trials import Trial
from llamachat.bench.values import Point, Setup
from llamachat.engine.ladder import Rung, notice

_WORTH_IT = 1.1  # a gain that is more than noise
_USUAL_BITS = 4.85  # a weight in Q4_K_M, as Llama 2's files have it
_MANY_BITS = 6.0


def advice(
    setup: Setup,
    points: Sequence[Point],
    *,
    unused: str,
    gpus: Sequence[str],
    rung: Rung,
    trials: Sequence[Trial],
    bounds: Bounds | None,
) -> list[str]:
    """`unused` names what the build leaves unused of the processor, `gpus` are those that there are."""
    found = []
    is_noisy = any(point.is_noisy for point in points)
    if is_noisy:
        widest = max(point.spread for point in points)
        found.append(
            f"Other programs were busy: of the same answers one was {widest:.1f} times as fast as another. "
            "Close them and measure again; until then the ratios say more than the figures."
        )
    if rung is not Rung.AS_CONFIGURED:
        found.append(notice(rung))
    elif unused:
        found.append(
            f"This processor has {unused}, which this build of llama.cpp leaves unused. "
            "What mends it: llamachat doctor --fix"
        )
    if gpus and not setup.n_gpu_layers:
        found.append(
            f"{gpus[0]} did nothing: --gpu-layers is 0, or this build of llama.cpp cannot use it. "
            "What mends that: llamachat doctor"
        )
    if not is_noisy:
        found += [text for trial in trials if (text := _of_trial(trial))]
    if bounds and bounds.is_memory_bound:
        found += _of_memory(setup)
    return found


def _of_trial(trial: Trial) -> str:
    """What a trial showed, if it gained something."""
    if trial.decode is None or trial.decode < _WORTH_IT:
        return ""
    gain = f"{trial.decode:.2f} times as fast"
    if trial.setting == "threads":
        return f"With --threads {trial.value} llama.cpp writes {gain}."
    return f"With flash attention {trial.value} llama.cpp writes {gain} at {trial.depth:,} tokens."


def _of_memory(setup: Setup) -> list[str]:
    """What a machine can do that waits for its memory: fetch less."""
    bits = 8 * setup.size_bytes / max(1, setup.n_params)
    if bits < _MANY_BITS:
        return []
    return [
        f"Answers wait for memory, and this file has {bits:.1f} bits a weight: in Q4_K_M ({_USUAL_BITS} bits) "
        f"they would come about {bits / _USUAL_BITS:.1f} times as fast."
    ]
