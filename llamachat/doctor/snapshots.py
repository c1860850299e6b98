"""What prompts have evaluated to, kept on the disk."""

from __future__ import annotations

from collections.abc import Iterator

from llamachat import settings
from llamachat.cache import Cache, Usage, is_ours
from llamachat.doctor.finding import Finding, could_be_better, fine
from llamachat.doctor.subject import Subject
from llamachat.models.sizes import size_in_words

_SECTION = "snapshots"
_CLEAR = "llamachat doctor --clear-cache"


def check(subject: Subject) -> Iterator[Finding]:
    """How much there is of how much there may be, and whether it can be used."""
    folder = subject.environment.paths.blocks
    usage = Cache(folder).usage()
    quota = settings.n_bytes(subject.valid_choices.text("cache") or "0")
    if folder.exists() and not is_ours(folder):
        text = f"{folder} belongs to somebody else or can be written by others, and is not used"
        yield could_be_better(_SECTION, text, f"chmod 700 {folder}, or remove it")
    elif not quota and usage.n_blocks:
        yield could_be_better(_SECTION, f"off (cache = 0), and {size_in_words(usage.n_bytes)} are left", _CLEAR)
    elif not quota:
        yield fine(_SECTION, "off (cache = 0)")
    else:
        yield fine(_SECTION, f"{_describe(usage)}; up to {size_in_words(quota)} in {folder}")


def _describe(usage: Usage) -> str:
    if not usage.n_blocks:
        return "none yet"
    names = ", ".join(dict.fromkeys(model.name for model in usage.models if model.name))
    return f"{size_in_words(usage.n_bytes)} of {names}" if names else size_in_words(usage.n_bytes)
