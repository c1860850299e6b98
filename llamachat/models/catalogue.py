"""The models that llamachat knows by name: which files they are, what they cost, what one may do with them.

The data is in catalogue.toml, which also says what its sizes and hashes rest on. Nothing here asks the network: a
hash given here holds for its own repository and commit only, and says nothing about any other file of that name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Any

_FILE = Path(__file__).with_suffix(".toml")
_SEPARATORS = re.compile(r"[\s_.-]+")
_PLAIN_SUFFIX = (".gguf",)


class Kind(StrEnum):
    """What a model is for. A draft only proposes tokens to a larger one."""

    CHAT = "chat"
    BASE = "base"
    CODE = "code"
    DRAFT = "draft"


class Proof(StrEnum):
    """What a file's size rests on (catalogue.toml). Only a pointer proves a hash."""

    POINTER = "pointer"
    SOURCES = "sources"
    PACKAGE = "package"
    COMPUTED = "computed"
    NONE = ""


@dataclass(frozen=True, slots=True)
class Geometry:
    """The dimensions that memory is computed from. Fewer KV heads than heads: grouped-query attention."""

    n_layers: int
    n_embd: int
    n_heads: int
    n_kv_heads: int
    n_ff: int
    n_vocab: int

    @property
    def n_embd_kv(self) -> int:
        """Elements of a key, or of a value, of one token in one layer."""
        return self.n_embd // self.n_heads * self.n_kv_heads


@dataclass(frozen=True, slots=True)
class Quantisation:
    """One quantisation of a model. `files` are the parts of one model in order, mostly one.

    `n_bytes` is the sum of the parts, None where nobody has said. `sha256` is that of the one file.
    """

    name: str
    files: tuple[str, ...]
    n_bytes: int | None = None
    sha256: str | None = None
    proof: Proof = Proof.NONE

    @property
    def is_proved(self) -> bool:
        """Whether size and hash are certain, to the byte."""
        return self.proof is Proof.POINTER and self.sha256 is not None


@dataclass(frozen=True, slots=True)
class Entry:
    """One model. `commit` is the one that the sizes and hashes are of, None where it is not known.

    `format` is a chat format (formats/), `licence` an id of `licence.py`, `context` counts tokens. `is_draft`: it
    shares Llama 2's vocabulary and is small enough to propose tokens to it. `repo` is empty for the starter, which an
    extra installs and nobody downloads.
    """

    name: str
    aliases: tuple[str, ...]
    repo: str
    commit: str | None
    kind: Kind
    n_params: int
    context: int
    format: str
    licence: str
    language: str
    released: date | None
    trained_on: str
    use: str
    is_draft: bool
    geometry: Geometry
    quantisations: tuple[Quantisation, ...]

    @property
    def is_starter(self) -> bool:
        return not self.repo

    def quantisation(self, name: str) -> Quantisation | None:
        """The quantisation of this name, in any case."""
        return next((each for each in self.quantisations if each.name == name.upper()), None)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Every entry, in the order of the file: what is most asked for first."""

    entries: tuple[Entry, ...]

    def names(self) -> tuple[str, ...]:
        """Each model's own name; aliases are left out."""
        return tuple(entry.name for entry in self.entries)

    def find(self, name: str) -> Entry | None:
        """The model of this name or alias. Case, and what separates the parts of a name, don't matter."""
        wanted = key(name)
        return next((each for each in self.entries if wanted in map(key, (each.name, *each.aliases))), None)

    def of_repo(self, repo: str) -> Entry | None:
        """The model of this repository, whose name the Hub takes in any case."""
        return next((each for each in self.entries if each.repo and each.repo.lower() == repo.lower()), None)

    def of_file(self, repo: str, file: str) -> tuple[Entry, Quantisation] | None:
        """What a file of a repository is; each part of a quantisation counts."""
        entry = self.of_repo(repo)
        found = (each for each in entry.quantisations if file in each.files) if entry else iter(())
        quantisation = next(found, None)
        return (entry, quantisation) if entry and quantisation else None

    def sha256_for(self, repo: str, commit: str | None, file: str) -> str | None:
        """The proved hash of a file at this commit of this repository; None for any other."""
        match self.of_file(repo, file):
            case (entry, quantisation) if quantisation.is_proved and entry.commit == commit:
                return quantisation.sha256
        return None


def load() -> Catalogue:
    """The catalogue that came with llamachat; 2 ms, read anew at each call."""
    import tomllib  # noqa: PLC0415  3 ms that a path or the starter does not need

    tables = tomllib.loads(_FILE.read_text(encoding="utf-8"))
    cards, shapes = tables["card"], tables["shape"]
    return Catalogue(tuple(_entry(table, cards[table["card"]], shapes[table["shape"]]) for table in tables["model"]))


def key(name: str) -> str:
    """What makes a name this name: `llama-2-13b`, `Llama2-13B` and `llama_2 13b` are one.

    A colon counts: `llama2:13b` is Ollama's name for the chat model, `llama-2-13b` Meta's for the base model.
    """
    return _SEPARATORS.sub("", name.lower())


def _entry(table: Mapping[str, Any], card: Mapping[str, Any], shape: Mapping[str, int]) -> Entry:
    """An entry from its table, the card it shares with other sizes and its dimensions."""
    return Entry(
        name=table["name"],
        aliases=tuple(table["aliases"]),
        repo=table.get("repo", ""),
        commit=table.get("commit"),
        kind=Kind(card["kind"]),
        n_params=shape["n_params"],
        context=card["context"],
        format=card["format"],
        licence=card["licence"],
        language=card["language"],
        released=card.get("released"),
        trained_on=card["trained_on"].strip(),
        use=card["use"].strip(),
        is_draft=card.get("is_draft", False),
        geometry=Geometry(**{name: value for name, value in shape.items() if name != "n_params"}),
        quantisations=tuple(
            _quantisation(name, table["files"], facts) for name, facts in table["quantisations"].items()
        ),
    )


def _quantisation(name: str, files: str, facts: Mapping[str, Any]) -> Quantisation:
    stem = files.format(name).removesuffix(".gguf")
    return Quantisation(
        name=name,
        files=tuple(stem + suffix for suffix in facts.get("suffixes", _PLAIN_SUFFIX)),
        n_bytes=facts.get("bytes"),
        sha256=facts.get("sha256"),
        proof=Proof(facts.get("proof", "")),
    )
