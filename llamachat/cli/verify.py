"""`models verify`: a model's file against all that is known of it."""

from __future__ import annotations

import hashlib
import re
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path

import msgspec

from llamachat.choices import Choices, Layer, Origin
from llamachat.cli.assemble import make_engine
from llamachat.engine.base import Request
from llamachat.environment import Environment
from llamachat.errors import DownloadError
from llamachat.models import gguf
from llamachat.models.gguf import Facts
from llamachat.models.index import Record
from llamachat.models.installed import Installed, blob_hash, later_parts
from llamachat.models.library import Library, is_ours
from llamachat.models.transfer import Progress
from llamachat.types import Message, Role

_BLOCK = 4 << 20
_GOLDEN = resources.files("llamachat.models") / "golden.json"
_LLAMA2_VOCABULARY = 32_000
_LLAMA2 = re.compile(r"llama-?2", re.IGNORECASE)


class _Golden(msgspec.Struct):
    """A dialog, and the ids that Meta's reference gives it with Llama 2's vocabulary (tests/data/make_golden.py)."""

    dialog: list[tuple[Role, str]]
    ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Result:
    """What was checked, each with its outcome in words, and what is to be remembered."""

    checks: dict[str, str]
    record: Record


def verify_file(model: Installed, library: Library, environment: Environment, progress: Progress) -> Result:
    """Check hash, header and, for Llama 2's vocabulary, tokens. Raises ModelError and DownloadError."""
    known, found = _known_hashes(model, library), _hashes(model.path, progress)
    for file, digest in found.items():
        if known[file] not in ("", digest):
            raise DownloadError(
                f"{file} is not what it should be: its sha256 is {digest}, not {known[file]}.", _mend(model, library)
            )
    checks = {
        f"sha256 of {file.name}": f"{digest} ({'as it should be' if known[file] else 'remembered from now on'})"
        for file, digest in found.items()
    }
    checked = gguf.check(model.path)
    checks["header"] = f"{checked.quantisation or 'unknown quantisation'}, {len(checked.tensors)} tensors"
    if _is_llama2(model, library, checked.facts):
        n_dialogs = _check_tokens(model, environment)
        checks["tokens"] = f"{n_dialogs} dialogs give those of Meta's reference"
    sha256 = found[model.path] if len(found) == 1 else ""
    return Result(checks, msgspec.structs.replace(model.record, sha256=sha256, verified=datetime.now(UTC)))


def _known_hashes(model: Installed, library: Library) -> dict[Path, str]:
    """What each file's hash should be: the catalogue's for its commit, else what the Hub said; empty if nobody has."""
    record = model.record
    parts = later_parts(model.path)
    known = {file: blob_hash(file) for file in (model.path, *parts)}
    if not parts:
        proved = library.catalogue.sha256_for(record.repo, record.commit, record.file) if record.repo else None
        known[model.path] = proved or record.sha256 or known[model.path]
    return known


def _hashes(model: Path, progress: Progress) -> dict[Path, str]:
    """The sha256 of each of a model's files. A part that is missing has none."""
    files = [model, *(part for part in later_parts(model) if part.exists())]
    total = sum(path.stat().st_size for path in files)
    hashes, done = {}, 0
    for path in files:
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
                done += len(block)
                progress.moved(done, total)
        hashes[path] = digest.hexdigest()
    return hashes


def _mend(model: Installed, library: Library) -> str:
    """How to get a right file in place of one that is not."""
    if not is_ours(model):
        return f"It is {model.record.origin}'s: get it again there."
    name = library.name_to_pull(model.record)
    return f"llamachat models remove {model.title}, then: llamachat pull {name}"


def _is_llama2(model: Installed, library: Library, facts: Facts) -> bool:
    """Whether it has, or says that it has, Llama 2's own vocabulary."""
    entry = library.entry_of(model.record)
    if entry is not None:
        return entry.geometry.n_vocab == _LLAMA2_VOCABULARY
    return facts.n_vocab == _LLAMA2_VOCABULARY and bool(_LLAMA2.search(f"{model.name} {facts.name}"))


def _check_tokens(model: Installed, environment: Environment) -> int:
    """How many golden dialogs were compared. Raises DownloadError for a broken conversion."""
    choices = Choices({Origin.FLAG: Layer({"model": str(model.path), "format": "llama2", "ctx_size": 512})})
    cases = msgspec.json.decode(_GOLDEN.read_bytes(), type=list[_Golden])
    with closing(make_engine(choices, environment)) as engine:
        for case in cases:
            messages = tuple(Message(role, content) for role, content in case.dialog)
            if engine.render(Request(messages, raw_tags=True)).tokens != case.ids:
                raise DownloadError(
                    f"{model.path.name} splits text into other tokens than Llama 2 does: its conversion is broken.",
                    "Take another file or repository.",
                )
    return len(cases)
