"""llama-cpp-python, built into one environment and checked there."""

from __future__ import annotations

import importlib.metadata
import os
from contextlib import suppress
from enum import Enum
from pathlib import Path

from llamachat.build import selfcheck
from llamachat.build.flags import Recipe
from llamachat.build.runner import Runner, StepFailed, must

BINDING = "llama-cpp-python"
BUILD_CORE_MINUTES = 10
ROOT = Path(__file__).parents[2]  # of the package that this file is part of


class Check(Enum):
    """What came of decoding tokens in a child process."""

    WORKS = "works"
    CRASHED = "crashed"
    NO_MODEL = "no model to decode with"


def build_and_check(python: str, requirement: str, recipe: Recipe, runner: Runner) -> Check:
    """Install `requirement` into the environment of `python` and have it decode; return what came of that.

    A wheel that pip had in its cache may have been built with other flags or for another processor. If
    what was installed crashes and may be such a wheel, it is built once more without the cache. If it
    still crashes, the install goes on: llamachat itself falls back to settings that avoid the fault.
    """
    if recipe.note:
        runner.say(f"  llama.cpp: {recipe.note}")
    built = _build_or_fall_back(python, requirement, recipe, runner)
    result = check(python, runner)
    if result is Check.CRASHED and not built.exact:
        runner.say("  llama.cpp crashed at its first tokens (a wheel cached from another build?): building it afresh")
        _build(python, requirement, built, runner, fresh=True)
        result = check(python, runner)
    if result is Check.CRASHED:
        runner.say(f"  llama.cpp still crashes at its first tokens ({runner.log}): expect slower, safer settings")
    if result is Check.NO_MODEL:
        runner.say("  llama.cpp is not checked: the starter model is not installed")
    return result


def check(python: str, runner: Runner, beside: Path | None = None) -> Check:
    """Decode tokens with the starter model in a child process, where a crash costs nothing.

    `beside` is a folder with a binding that is not installed, to be tried instead.
    """
    command = [python, "-m", "llamachat.build", "--check"]  # which is not installed there yet
    places = [str(place) for place in (beside, ROOT) if place]
    status = runner.run("checking llama.cpp", command, {"PYTHONPATH": os.pathsep.join(places)})
    return {0: Check.WORKS, selfcheck.NO_MODEL: Check.NO_MODEL}.get(status, Check.CRASHED)


def pip(python: str, *arguments: str, command: str = "install") -> list[str]:
    """Spell the command that runs `pip install`, or another of pip's, in the environment of `python`."""
    return [python, "-m", "pip", "--no-input", "--disable-pip-version-check", command, *arguments]


def _build_or_fall_back(python: str, requirement: str, recipe: Recipe, runner: Runner) -> Recipe:
    try:
        _build(python, requirement, recipe, runner, fresh=recipe.exact)
    except StepFailed:
        if recipe.fallback is None:
            raise
        runner.say(f"  the build with CUDA failed ({runner.log}): building for the processor alone")
        return _build_or_fall_back(python, requirement, recipe.fallback, runner)
    return recipe


def _build(python: str, requirement: str, recipe: Recipe, runner: Runner, *, fresh: bool) -> None:
    """Install the binding and what it depends on; `fresh` compiles it even where pip has it, or it is installed."""
    env = {"CMAKE_ARGS": recipe.cmake_args}
    if fresh:
        afresh = ["--no-cache-dir", "--force-reinstall", "--no-deps", "--no-binary", BINDING]
        must(runner, "compiling llama.cpp", pip(python, "-v", *afresh, requirement), env, hint=recipe.hint)
        must(runner, "installing what llama.cpp's binding needs", pip(python, requirement), env)
    else:
        must(runner, "installing llama.cpp", pip(python, "-v", requirement), env, hint=recipe.hint)


def duration_of_build() -> str:
    """Say how long compiling llama.cpp takes here."""
    n_cpus = os.cpu_count() or 1
    return f"about {max(1, round(BUILD_CORE_MINUTES / n_cpus))} minutes on {n_cpus} CPUs"


def installed_requirement() -> str:
    """Return the binding as llamachat requires it here, or as it is installed, or whatever is newest."""
    with suppress(importlib.metadata.PackageNotFoundError):
        for requirement in importlib.metadata.requires("llamachat") or ():
            if requirement.startswith(BINDING):
                return requirement
    with suppress(importlib.metadata.PackageNotFoundError):
        return f"{BINDING}=={importlib.metadata.version(BINDING)}"
    return BINDING
