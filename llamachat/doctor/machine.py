"""Memory and disk, and which models they hold."""

from __future__ import annotations

from collections.abc import Iterator

from llamachat.doctor.finding import Finding, could_be_better, fine
from llamachat.doctor.subject import Subject
from llamachat.errors import LlamachatError
from llamachat.models import gguf, memory, plan
from llamachat.models.catalogue import Kind
from llamachat.models.memory import Judgement, Verdict
from llamachat.models.sizes import size_in_words

_MEMORY, _DISK = "memory", "disk"
_RECOMMEND = "llamachat models recommend"
_USUAL_DOWNLOAD = 4_100_000_000  # bytes of Llama 2 7B in Q4_K_M


def check_memory(subject: Subject) -> Iterator[Finding]:
    """What there is, the largest Llama 2 that fits, and how the usual model fits."""
    machine = subject.machine
    parts = [f"{size_in_words(machine.ram_total)}, {size_in_words(machine.ram_available)} of it available"]
    parts += [f"{each.name} with {size_in_words(each.vram_free)} free" for each in machine.devices]
    fits = _largest_that_fits(subject)
    yield fine(_MEMORY, f"{', '.join(parts)}: {f'{fits} fits' if fits else 'no Llama 2 fits'}")
    try:
        judged = _usual(subject)
    except LlamachatError:
        return  # the model's own section tells
    if judged and judged.verdict is Verdict.TOO_LARGE:
        needed = size_in_words(judged.need.total)
        text = f"{subject.model.name} needs {needed} and does not fit: end other programs, or take a smaller model"
        yield could_be_better(_MEMORY, text, _RECOMMEND)
    elif judged and judged.verdict is Verdict.SMALLER_CONTEXT:
        text = f"{subject.model.name} fits with a context of {judged.n_ctx:,} tokens, not with its whole one"
        yield could_be_better(_MEMORY, text, _RECOMMEND)


def check_disk(subject: Subject) -> Iterator[Finding]:
    """Room where models are downloaded to."""
    free, cache = subject.machine.disk_free, subject.library.cache
    text = f"{size_in_words(free)} free for models in {cache}"
    if free < _USUAL_DOWNLOAD:
        yield could_be_better(_DISK, f"{text}: Llama 2 7B takes 4 GB", "Make room, or name another folder in HF_HOME")
    else:
        yield fine(_DISK, text)


def _largest_that_fits(subject: Subject) -> str:
    """The Llama 2 to pull here, with its quantisation; empty if none fits."""
    entries = subject.library.catalogue.entries
    chats = [entry for entry in entries if entry.kind is Kind.CHAT and entry.licence == "llama2"]
    for entry in sorted(chats, key=lambda entry: -entry.n_params):
        if best := plan.best_of(entry, subject.machine, None, "f16"):
            return f"{entry.name}:{best.name}"
    return ""


def _usual(subject: Subject) -> Judgement | None:
    """How the usual model fits, with the context that was chosen; None where its file does not tell its size."""
    choices, path = subject.valid_choices, subject.model.path
    checked = gguf.check(path)
    geometry = plan.geometry_of(checked.facts)
    if geometry is None:
        return None
    n_bytes = sum(part.stat().st_size for part in checked.parts)
    n_ctx = choices.whole("ctx_size") or checked.facts.context_length
    judged = memory.judge(n_bytes, geometry, n_ctx, subject.machine, choices.text("kv_type") or "f16")
    if judged.verdict is Verdict.SMALLER_CONTEXT and not (choices.text("kv_type") or choices.whole("ctx_size")):
        return memory.judge(n_bytes, geometry, n_ctx, subject.machine, "q8_0")  # as the engine does by itself
    return judged
