"""llama.cpp built anew with the flags for this machine, tried, and put in the place of the one that is here."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from llamachat.build import binding, flags, replace
from llamachat.build.binding import Check
from llamachat.build.runner import StepFailed
from llamachat.environment import Environment
from llamachat.errors import EngineDied, UsageError


@dataclass(frozen=True, slots=True)
class Mending:
    """A rebuild that was not begun: `command` as it can be typed, `duration` in words."""

    command: str
    duration: str
    _rebuild: replace.Rebuild
    _environment: Environment

    def run(self) -> bool:
        """Build it, with progress on stderr; whether tokens were decoded with it.

        Raises EngineDied; then all is as it was.
        """
        try:
            with replace.workplace(self._environment.stderr) as (runner, state):
                return self._rebuild.run(runner, state) is Check.WORKS
        except StepFailed as failure:
            raise EngineDied(f"{failure.title} failed.", f"{failure.hint} The log: {failure.log}".strip()) from failure


@contextmanager
def mending(environment: Environment) -> Iterator[Mending]:
    """A rebuild for this machine. Raises UsageError where pip cannot install anything."""
    if why := replace.obstacle():
        raise UsageError(f"llama.cpp cannot be rebuilt here: {why}")
    recipe = flags.recipe_for_this_machine(environment.variables)
    with tempfile.TemporaryDirectory(prefix="llamachat-build-") as folder:
        rebuild = replace.Rebuild(sys.executable, binding.installed_requirement(), recipe, Path(folder))
        yield Mending(rebuild.in_words(), binding.duration_of_build(), rebuild, environment)
