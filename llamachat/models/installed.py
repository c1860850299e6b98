"""Model files on this disk: what their place says of them, which files are one model, and how they are taken away."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from llamachat.models import names
from llamachat.models.index import Record

_QUANTISATION = re.compile(r"[.-](I?Q\d\w*|B?F16|F32)$", re.IGNORECASE)
_PART = re.compile(r"[.-]\d{5}-of-\d{5}(?=\.gguf$)|-split-[a-z]$")
_LATER_PART = re.compile(r"-(?!00001)\d{5}-of-\d{5}\.gguf$")
_NO_MODEL = re.compile(r"mmproj|imatrix", re.IGNORECASE)  # GGUF files beside a model
_FOLDER = "models--"  # how the Hub's cache begins a repository's


@dataclass(frozen=True, slots=True)
class Installed:
    """A model on this machine. `is_gone`: its record is there, its file no more. `is_usual`: it is the one that is used
    where none is named."""

    name: str
    path: Path
    record: Record
    is_usual: bool = False
    is_gone: bool = False
    is_starter: bool = False

    @property
    def title(self) -> str:
        """A name that tells it from other quantisations, to be given with -m. Ollama's names do already."""
        quantisation = self.record.quantisation
        return f"{self.name}:{quantisation}" if quantisation and ":" not in self.name else self.name

    def is_called(self, name: str) -> bool:
        """Whether this is one of its own names, in any case."""
        own = (self.name, self.title, self.path.name, str(self.path))
        return name.lower() in (each.lower() for each in own)


def is_model(path: Path) -> bool:
    """Whether a GGUF by this name is a model's only or first file."""
    return not _LATER_PART.search(path.name) and not _NO_MODEL.search(path.name)


def name_of(path: Path) -> str:
    """A model's name by its file's: without quantisation and part."""
    return _QUANTISATION.sub("", Path(whole_name(path.name)).stem)


def whole_name(file: str) -> str:
    """What the file would be called if it were not in parts."""
    return _PART.sub("", file)


def later_parts(path: Path) -> list[Path]:
    """The other files of a model whose first part this is."""
    match = re.search(r"-00001-of-(\d{5})\.gguf$", path.name)
    if match is None:
        return []
    stem = path.name[: match.start()]
    return [path.with_name(f"{stem}-{number:05}-of-{match[1]}.gguf") for number in range(2, int(match[1]) + 1)]


def size_of(path: Path) -> int:
    """Bytes of a model, all its parts together, as far as they are there."""
    return sum(file.stat().st_size for file in (path, *later_parts(path)) if file.is_file())


def cached(cache: Path) -> Iterator[Path]:
    """The models in the Hub's cache, whichever tool fetched them; of a set in parts the first."""
    for path in sorted(cache.absolute().glob(f"{_FOLDER}*/snapshots/*/**/*.gguf")):
        if path.is_file() and is_model(path):
            yield path


def record_of_cached(path: Path) -> Record:
    """What the place of a file in the cache says of it."""
    parts = path.parts
    at = max(index for index, part in enumerate(parts) if part.startswith(_FOLDER))
    return Record(
        name=name_of(path),
        origin="hub",
        n_bytes=size_of(path),
        repo=parts[at].removeprefix(_FOLDER).replace("--", "/"),
        file="/".join(parts[at + 3 :]),
        commit=parts[at + 2],
        sha256="" if later_parts(path) else blob_hash(path),
        quantisation=names.quantisation_of(path.name) or "",
    )


def joined(folder: Path) -> Iterator[tuple[Path, Record]]:
    """The models that were put together from halves, by the folder of their repository."""
    for path in sorted(folder.absolute().glob("*/*.gguf")):
        repo = path.parent.name.replace("--", "/", 1)
        quantisation = names.quantisation_of(path.name) or ""
        yield path, Record(name_of(path), "joined", size_of(path), repo, path.name, quantisation=quantisation)


def blob_hash(path: Path) -> str:
    """The sha256 of a large file in the cache: the name of its blob. Empty where that does not tell."""
    blob = path.resolve().name
    return blob if re.fullmatch(r"[0-9a-f]{64}", blob) else ""


def take_away(path: Path, *, is_cached: bool) -> int:
    """Remove a model's file and its later parts; the bytes that are free again. Raises OSError."""
    remove = _remove_link if is_cached else _remove_file
    return sum(remove(file) for file in (path, *later_parts(path)))


def _remove_link(path: Path) -> int:
    """Take a file out of the Hub's cache, with its blob unless another revision or name has it, too."""
    blob = path.resolve()
    if not path.is_symlink():  # Windows without developer mode: the file itself lies here
        return _remove_file(path)
    path.unlink()
    repo = next(folder for folder in path.parents if folder.name.startswith(_FOLDER))
    others = (other for other in (repo / "snapshots").rglob("*") if other.is_symlink() or other.is_file())
    if any(other.resolve() == blob for other in others):
        return 0
    return _remove_file(blob)


def _remove_file(path: Path) -> int:
    n_bytes = path.stat().st_size if path.exists() else 0
    path.unlink(missing_ok=True)
    return n_bytes
