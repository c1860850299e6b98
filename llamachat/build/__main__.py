"""The commands of this package; what they have to say goes to stderr.

    python -m llamachat.build               rebuild llama.cpp in this environment, then check it
    python -m llamachat.build --check       only decode tokens with it; exit status 77 if there is no model
    python -m llamachat.build --install     install the checkout in this folder into .venv (`make` does this)

Where there is no make, on Windows say: `py -m llamachat.build --install`, then `.venv\\Scripts\\llamachat`.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from llamachat.build import binding, checkout, replace, selfcheck
from llamachat.build.flags import recipe_for_this_machine
from llamachat.build.runner import guarded

COMMAND = "python -m llamachat.build"


def main(arguments: Sequence[str], out: TextIO) -> int:
    """Run one of the commands; return its exit status."""
    options = _parser().parse_args(arguments)
    if options.check:
        return selfcheck.main()
    if options.install:
        again = options.again or f"{COMMAND} --install"
        return guarded(out, again, lambda: _install(options.venv.absolute(), out, dev=options.dev))
    return guarded(out, COMMAND, lambda: _rebuild(out))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(COMMAND, description="Rebuild llama.cpp in this environment, then check it.")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--check", action="store_true", help="only decode tokens with it")
    what.add_argument("--install", action="store_true", help="install the checkout in this folder instead")
    parser.add_argument("--venv", type=Path, default=Path(".venv"), help="where to install it (.venv)")
    parser.add_argument("--dev", action="store_true", help="with the development tools")
    parser.add_argument("--again", help="the command to name if that fails")
    return parser


def _install(venv: Path, out: TextIO, *, dev: bool) -> int:
    project = checkout.Project.read(Path.cwd())
    with checkout.workplace(venv, out) as runner:
        checkout.Install(project, venv, runner, os.environ).run(dev=dev)
    return 0


def _rebuild(out: TextIO) -> int:
    with replace.workplace(out) as (runner, state), tempfile.TemporaryDirectory(prefix="llamachat-build-") as folder:
        recipe = recipe_for_this_machine(os.environ)
        rebuild = replace.Rebuild(sys.executable, binding.installed_requirement(), recipe, Path(folder))
        result = rebuild.run(runner, state)
        if result is binding.Check.WORKS:
            runner.say("llama.cpp decodes with it. llamachat uses it from its next start.")
    return 1 if result is binding.Check.CRASHED else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], sys.stderr))
