"""What was measured of the models on this machine, remembered; and what of it a question uses.

One small file of ours. What is said of a model holds for one file, one build of llama.cpp and one processor. What
cannot be read, or is no such thing, counts as not there.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from llamachat.engine.ladder import machine_print
from llamachat.types import Layout, LoadOptions, Tuned

_MOST = 64  # models that are remembered, the latest
_WORTH_IT = 0.95  # of the time that a chat's way would take: then a one-shot takes the other
_USUAL_ANSWER = 200  # tokens, where nobody set a limit

_LARGE = 3 << 30  # bytes of a model that takes seconds to repack
_BRIEF = 50  # tokens of an answer that are written sooner without
_LARGEST = 512  # threads that llama.cpp takes, and tokens of a batch


@dataclass(frozen=True, slots=True)
class Known:
    """What is remembered of a model's file. `tuned` is None where the engine ended while it measured: `fault` says how.

    `measured` is in seconds since 1970.
    """

    path: str
    measured: float
    tuned: Tuned | None = None
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Errand:
    """What a one-shot asks for, in tokens, as far as it is known before its input is read. `n_answer`: its limit."""

    n_prompt: int
    n_answer: int | None = None

    def seconds(self, layout: Layout) -> float:
        """What it takes, loading included."""
        n_answer = _USUAL_ANSWER if self.n_answer is None else self.n_answer
        return layout.load + self.n_prompt / layout.prefill + n_answer / layout.decode


@dataclass(frozen=True, slots=True)
class Tunings:
    """The file. Failing to write it costs another measurement, no more."""

    path: Path

    def known(self, model: str) -> Known | None:
        """What is remembered of this model file, here; None when nothing is."""
        return self._read().get(_key(model)) if self.path.exists() else None

    def lacks(self, model: str, kv_type: str | None) -> bool:
        """Whether there is something to measure with this type of cache: a quantised one leaves no choice in part."""
        known = self.known(model)
        if known is None:
            return True
        return known.tuned is not None and known.tuned.kv_type != "f16" and kv_type in (None, "f16")

    def remember(self, model: str, tuned: Tuned | None, fault: str = "") -> None:
        """Keep what was measured, or that measuring ends the engine. What was not measured now stays as it was."""
        if not (key := _key(model)):
            return
        before = self._read()
        if tuned and key in before:
            tuned = _completed(tuned, before[key].tuned)
        known = {**before, key: Known(str(Path(model).absolute()), time.time(), tuned, fault)}
        latest = sorted(known.items(), key=lambda item: item[1].measured)[-_MOST:]
        with suppress(OSError):
            temporary = self.path.with_suffix(f".{os.getpid()}")
            temporary.touch(0o600)
            temporary.write_bytes(msgspec.json.encode(dict(latest)))
            temporary.replace(self.path)

    def here(self) -> list[Known]:
        """All that holds for this build, this processor and files that are still what they were."""
        return [known for key, known in self._read().items() if key == _key(known.path)]

    def _read(self) -> dict[str, Known]:
        found = {}
        with suppress(OSError, msgspec.MsgspecError):
            for key, raw in msgspec.json.decode(self.path.read_bytes(), type=dict[str, msgspec.Raw]).items():
                with suppress(msgspec.MsgspecError):
                    known = msgspec.json.decode(raw, type=Known)
                    if known.tuned is None or _is_sane(known.tuned):
                        found[key] = known
        return found


def apply(options: LoadOptions, known: Known | None, errand: Errand | None = None) -> LoadOptions:
    """The options with what was measured. A chat, without an errand, takes the layout that answers quicker.

    The same errand takes the same way as long as the same is known.
    """
    if known is None:
        return replace(options, use_extra_buffers=not _is_brief(options.path, errand))
    if known.tuned is None:
        return options
    tuned = known.tuned
    return replace(options, tuned=tuned, use_extra_buffers=repacks(tuned, errand))


def repacks(tuned: Tuned, errand: Errand | None) -> bool:
    """Whether the weights are laid out anew: for a chat as it was found best, for a one-shot if it ends sooner so."""
    if errand is None or tuned.repacked is None or tuned.plain is None:
        return tuned.repack
    repacked, plain = errand.seconds(tuned.repacked), errand.seconds(tuned.plain)
    chats, other = (repacked, plain) if tuned.repack else (plain, repacked)
    return tuned.repack if other > _WORTH_IT * chats else not tuned.repack


def _is_brief(model: str, errand: Errand | None) -> bool:
    """Whether an answer is at its end before repacking would pay, by what was measured elsewhere (docs/tuning.md).

    Both what a large model's repacking takes and what it gains a token grow with its size, so tokens tell.
    """
    if errand is None or errand.n_answer is None or errand.n_answer > _BRIEF:
        return False
    with suppress(OSError):
        return Path(model).stat().st_size > _LARGE
    return False


def in_words(tuned: Tuned) -> str:
    """What was chosen, and what it gains."""
    flash = {None: "", True: "flash attention", False: "no flash attention"}[tuned.flash_attention]
    batches = f"batches of {tuned.chunk}" if tuned.chunk else ""
    weights = f"weights {'' if tuned.repack else 'not '}repacked" if tuned.plain else ""
    chosen = list(filter(None, (_threads(tuned), batches, flash, weights)))
    if tuned.decode_gain == tuned.prefill_gain == 1:
        return ", ".join((*chosen, "as by default: nothing is quicker"))
    gains = f"writes {tuned.decode_gain:.2f} and reads {tuned.prefill_gain:.2f} times as fast as by default"
    return f"{', '.join(chosen)}: {gains}"


def _completed(tuned: Tuned, before: Tuned | None) -> Tuned:
    """With the threads and the flash attention of an earlier measurement, where the user's choice left none to make.

    The gains are the earlier ones then: they are those of what holds without such a choice.
    """
    if before is None or before.n_cores != tuned.n_cores:
        return tuned
    kept: dict[str, Any] = {}
    if tuned.n_threads is None:
        kept |= {"n_threads": before.n_threads, "n_threads_prefill": before.n_threads_prefill}
    if tuned.flash_attention is None and before.flash_attention is not None:
        kept |= {"flash_attention": before.flash_attention, "kv_type": before.kv_type}
    if kept:
        kept |= {"decode_gain": before.decode_gain, "prefill_gain": before.prefill_gain}
    return replace(tuned, **kept)


def _threads(tuned: Tuned) -> str:
    writing, reading = tuned.n_threads, tuned.n_threads_prefill
    if writing is None or reading is None:
        return ""
    words = f"{writing} {'thread' if writing == 1 else 'threads'}"
    return words if writing == reading else f"{words} to write and {reading} to read"


def _is_sane(tuned: Tuned) -> bool:
    """Whether these are numbers that llama.cpp can be given."""
    counts = (tuned.n_cores, tuned.n_threads, tuned.n_threads_prefill, tuned.chunk)
    rates = (rate for each in (tuned.repacked, tuned.plain) if each for rate in (each.prefill, each.decode))
    return all(count is None or 0 < count <= _LARGEST for count in counts) and all(rate > 0 for rate in rates)


def _key(model: str) -> str:
    """Identifies a model's file, and what it is run by; empty for none. A copy of it is another file."""
    path = Path(model)
    with suppress(OSError):
        status = path.stat()
        return f"{machine_print()} | {path.resolve().name} {status.st_size} {status.st_mtime_ns}"
    return ""
