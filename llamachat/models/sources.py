"""GGUF files that other programs hold on this machine, found where those programs keep them.

Nothing is copied: a model that is taken in is used where it lies. Ollama keeps models under the names of their hashes,
with a manifest for each name; the others keep files under names of their own.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from llamachat.models.installed import is_model, name_of
from llamachat.models.names import quantisation_of

_MODEL_LAYER = "application/vnd.ollama.image.model"
_DIGEST = re.compile(r"sha256[:-]([0-9a-f]{64})")
_SYSTEM_OLLAMA = Path("/usr/share/ollama/.ollama/models")  # where its service on Linux keeps them
_OLLAMAS_OWN = "library"


@dataclass(frozen=True, slots=True)
class Found:
    """A model file of another program's. `sha256` is what that program says it is, empty if it says nothing."""

    name: str
    path: Path
    origin: str
    quantisation: str
    sha256: str = ""


def everywhere(variables: Mapping[str, str], home: Path) -> Iterator[Found]:
    """Every GGUF of the programs we know, by program. `home` is the user's folder."""
    named = variables.get("OLLAMA_MODELS")
    for folder in (Path(named),) if named else (home / ".ollama/models", _SYSTEM_OLLAMA):
        yield from ollama(folder)
    for origin, folders in _folders(variables, home).items():
        for folder in folders:
            yield from in_folder(folder, origin)


def in_folder(folder: Path, origin: str = "folder") -> Iterator[Found]:
    """The GGUF files in a folder and below it; of a model in parts the first."""
    files = [folder] if folder.is_file() else sorted(path for path in folder.rglob("*.gguf") if path.is_file())
    for path in files:
        if is_model(path):
            yield Found(name_of(path), path.absolute(), origin, quantisation_of(path.name) or "")


def ollama(folder: Path) -> Iterator[Found]:
    """Ollama's models: a manifest names the layers, the one with the weights is a GGUF."""
    manifests = folder / "manifests"
    for manifest in sorted(path for path in manifests.glob("*/*/**/*") if path.is_file()):
        digest = _weights_of(manifest)
        blob = folder / "blobs" / f"sha256-{digest}"
        if digest and blob.is_file():
            yield Found(_ollama_name(manifest.relative_to(manifests)), blob.absolute(), "ollama", "", digest)


def _ollama_name(manifest: Path) -> str:
    """`HOST/library/llama2/7b` is llama2:7b, `HOST/OWNER/NAME/TAG` is OWNER/NAME:TAG."""
    *folders, name, tag = manifest.parts[1:]
    owners = [] if folders == [_OLLAMAS_OWN] else folders
    return f"{'/'.join([*owners, name])}:{tag}"


def _weights_of(manifest: Path) -> str:
    """The hash of a manifest's weights; empty for one that has none or cannot be read."""
    try:
        layers = json.loads(manifest.read_text(encoding="utf-8"))["layers"]
        digests = (_DIGEST.fullmatch(layer["digest"]) for layer in layers if layer.get("mediaType") == _MODEL_LAYER)
        return next((match[1] for match in digests if match), "")
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return ""


def _folders(variables: Mapping[str, str], home: Path) -> dict[str, tuple[Path, ...]]:
    """Where each program keeps its files, on this system."""
    cache = Path(variables.get("XDG_CACHE_HOME") or home / ".cache")
    data = Path(variables.get("XDG_DATA_HOME") or home / ".local/share")
    if sys.platform == "darwin":
        cache, data = home / "Library/Caches", home / "Library/Application Support"
    elif os.name == "nt":
        cache = data = Path(variables.get("LOCALAPPDATA") or home / "AppData/Local")
    return {
        "lm-studio": (home / ".lmstudio/models", home / ".cache/lm-studio/models"),
        "llama.cpp": (Path(variables.get("LLAMA_CACHE") or cache / "llama.cpp"),),
        "gpt4all": (data / "nomic.ai/GPT4All", home / ".cache/gpt4all"),
    }
