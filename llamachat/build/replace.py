"""Another build of llama.cpp in place of the one that is here, which stays until there is a better one.

The wheel is compiled in a folder of its own, unpacked there and tried there. One that crashes does not take the
place of one that works. So neither a build that fails nor Ctrl-C costs anything before pip's last step, a second long;
in a checkout, `make` repairs even that (`state`).
"""

from __future__ import annotations

import importlib.util
import os
import shlex
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TextIO

from llamachat.build import checkout
from llamachat.build.binding import BINDING, Check, check, duration_of_build, pip
from llamachat.build.flags import Recipe
from llamachat.build.runner import LoggedRunner, Runner, StepFailed, is_live, must
from llamachat.build.state import State

STEP = "binding"  # as a checkout's install calls it
KEPT = "What was installed stays as it was."


def obstacle() -> str:
    """Why pip cannot install into the environment of this Python, in a line that says what to do; empty if it can."""
    python, place = sys.executable, Path(sysconfig.get_path("platlib"))
    if not (importlib.util.find_spec("pip") or importlib.util.find_spec("ensurepip")):
        return f"{sys.prefix} has no pip: install it there, or install llamachat with pipx."
    managed = Path(sysconfig.get_path("stdlib"), "EXTERNALLY-MANAGED")
    if sys.prefix == sys.base_prefix and managed.exists():
        return f"{python} is the system's own, where pip installs nothing: install llamachat with pipx."
    if not os.access(place, os.W_OK):
        return f"{place} cannot be written: whoever installed llamachat has to do this."
    return ""


@dataclass(frozen=True)
class Rebuild:
    """A build of `requirement` by `recipe` for the environment of `python`; `folder` holds its files meanwhile."""

    python: str
    requirement: str
    recipe: Recipe
    folder: Path

    @property
    def command(self) -> list[str]:
        """What compiles it. Nothing comes from pip's cache, which does not know flags."""
        afresh = ["-v", "--no-cache-dir", "--no-deps", "--no-binary", BINDING]
        return pip(self.python, *afresh, "--wheel-dir", str(self.folder), self.requirement, command="wheel")

    def in_words(self) -> str:
        """The command as it can be typed."""
        flags = self.recipe.cmake_args
        return (f"CMAKE_ARGS={shlex.quote(flags)} " if flags else "") + shlex.join(self.command)

    def run(self, runner: Runner, state: State | None = None) -> Check:
        """Compile, try and install it; what came of decoding tokens. Raises StepFailed, with all as it was.

        `state` is a checkout's, which knows then that an install was cut short.
        """
        runner.say(f"llama.cpp is compiled for this machine: {duration_of_build()}.")
        if runner.run("looking for pip", [self.python, "-m", "pip", "--version"]) != 0:  # uv makes environments without
            must(runner, "installing pip", [self.python, "-m", "ensurepip"])
        wheel = self._compile(runner)
        result = self._try(wheel, runner)
        key = state[STEP] if state else ""
        if state and key:
            state.begin(STEP)
        must(runner, "installing llama.cpp", pip(self.python, "--no-deps", "--no-index", "--force-reinstall", wheel))
        must(runner, "installing what llama.cpp's binding needs", pip(self.python, self.requirement))
        if state and key:
            state.finish(STEP, key)
        return result

    def _compile(self, runner: Runner) -> str:
        """The wheel's path; of the fallback if the recipe has one and does not build."""
        if self.recipe.note:
            runner.say(f"  llama.cpp: {self.recipe.note}")
        environment = {"CMAKE_ARGS": self.recipe.cmake_args}
        try:
            must(runner, "compiling llama.cpp", self.command, environment, hint=_hint(self.recipe.hint))
        except StepFailed:
            if self.recipe.fallback is None:
                raise
            runner.say(f"  the build with CUDA failed ({runner.log}): building for the processor alone")
            return replace(self, recipe=self.recipe.fallback)._compile(runner)
        wheel = next(self.folder.glob("*.whl"), None)
        if wheel is None:
            raise StepFailed("compiling llama.cpp", runner.log, _hint(""))
        return str(wheel)

    def _try(self, wheel: str, runner: Runner) -> Check:
        """Decode tokens with it, unpacked beside what is installed. Raises StepFailed if it is no better than that."""
        beside = self.folder / "unpacked"
        target = ["--no-deps", "--no-index", "--target", str(beside)]
        must(runner, "unpacking llama.cpp", pip(self.python, *target, wheel), hint=KEPT)
        result = check(self.python, runner, beside)
        if result is Check.CRASHED and check(self.python, runner) is not Check.CRASHED:
            raise StepFailed("decoding with the new build", runner.log, KEPT)
        if result is not Check.WORKS:
            self._must_load(beside, runner)
        if result is Check.CRASHED:
            runner.say(f"  llama.cpp crashes at its first tokens ({runner.log}): expect slower, safer settings")
        if result is Check.NO_MODEL:
            runner.say("  llama.cpp is loaded, but not checked: the starter model is not installed")
        return result

    def _must_load(self, beside: Path, runner: Runner) -> None:
        command = [self.python, "-c", "import llama_cpp.llama_cpp"]
        must(runner, "loading the new build", command, {"PYTHONPATH": str(beside)}, hint=KEPT)


@contextmanager
def workplace(out: TextIO) -> Iterator[tuple[LoggedRunner, State | None]]:
    """A runner for the environment of this Python: with the lock and the state of a checkout's, if it is one."""
    prefix = Path(sys.prefix)
    if (prefix / checkout.FOLDER).is_dir():
        with checkout.workplace(prefix, out) as runner:
            yield runner, State(prefix / checkout.FOLDER)
        return
    handle, log = tempfile.mkstemp(prefix="llamachat-build-", suffix=".log")
    os.close(handle)
    yield LoggedRunner(Path(log), out, live=is_live(out, os.environ)), None


def _hint(hint: str) -> str:
    return f"{hint} {KEPT}".strip()
