"""llamachat/build/replace.py: another build takes the place of the one that is here, or nothing changes."""

from __future__ import annotations

import importlib.util
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from llamachat.build import replace
from llamachat.build.binding import Check
from llamachat.build.flags import Recipe
from llamachat.build.replace import Rebuild
from llamachat.build.runner import StepFailed
from llamachat.build.state import RUNNING, State
from tests.build.place import CRASHES, STUB, WORKS, Place, write_binding
from tests.build.scripted import ScriptedRunner

BINDING = "llama-cpp-python==0.3.36"
CPU, CUDA = Recipe("-DX='a b'"), Recipe("-DGGML_CUDA=on -DX=1", exact=True, fallback=Recipe("-DX=1"))
GOOD, BAD, BROKEN = STUB.format(decode=WORKS), STUB.format(decode=CRASHES), "raise OSError('no such library')\n"


@dataclass
class Building(ScriptedRunner):
    """A scripted runner whose `pip wheel` leaves a wheel where it succeeds."""

    def run(self, title, command, env=None) -> int:
        status = super().run(title, command, env)
        if "wheel" in command and status == 0:
            (Path(command[command.index("--wheel-dir") + 1]) / "new.whl").touch()
        return status

    def installs(self) -> list[str]:
        return [command for command, _ in self.commands if "--force-reinstall" in command]


def rebuild(folder: Path, recipe: Recipe = CPU) -> Rebuild:
    return Rebuild("py", BINDING, recipe, folder)


def test_a_build_is_tried_before_it_is_installed_and_nothing_comes_from_pips_cache(tmp_path):
    runner = Building()
    assert rebuild(tmp_path).run(runner) is Check.WORKS
    commands = [command for command, _ in runner.commands]
    order = [" wheel ", "--target", "--check", "--force-reinstall"]
    places = [next(number for number, command in enumerate(commands) if part in command) for part in order]
    assert places == sorted(places)
    [(compiling, flags)] = runner.builds()
    assert "--no-cache-dir" in compiling
    assert flags == CPU.cmake_args


def test_the_command_can_be_typed(tmp_path):
    assert rebuild(tmp_path).in_words().startswith("""CMAKE_ARGS='-DX='"'"'a b'"'"'' py -m pip """)
    assert rebuild(tmp_path, Recipe("")).in_words().startswith("py -m pip ")


def test_a_cuda_build_that_fails_is_followed_by_one_for_the_processor(tmp_path):
    runner = Building(statuses={" wheel ": [1]})
    assert rebuild(tmp_path, CUDA).run(runner) is Check.WORKS
    assert [flags for _, flags in runner.builds()] == ["-DGGML_CUDA=on -DX=1", "-DX=1"]


def test_where_there_is_no_pip_it_is_installed_first(tmp_path):
    runner = Building(statuses={"pip --version": [1]})
    rebuild(tmp_path).run(runner)
    assert runner.commands[1][0] == "py -m ensurepip"


def test_a_build_that_fails_installs_nothing(tmp_path):
    runner = Building(statuses={" wheel ": [1]})
    with pytest.raises(StepFailed) as failure:
        rebuild(tmp_path, Recipe("", hint="install g++.")).run(runner)
    assert failure.value.hint == f"install g++. {replace.KEPT}"
    assert runner.installs() == []


def test_a_build_that_crashes_does_not_take_the_place_of_one_that_works(tmp_path):
    runner = Building(statuses={"--check": [-signal.SIGILL, 0]})
    with pytest.raises(StepFailed, match="decoding with the new build"):
        rebuild(tmp_path).run(runner)
    assert runner.installs() == []


def test_a_build_that_crashes_takes_the_place_of_one_that_does_not_work_either(tmp_path):
    runner = Building(statuses={"--check": [-signal.SIGILL, -signal.SIGILL]})
    assert rebuild(tmp_path).run(runner) is Check.CRASHED
    assert len(runner.installs()) == 1


def test_what_cannot_be_loaded_is_never_installed(tmp_path):
    runner = Building(statuses={"--check": [1, 1], "import llama_cpp": [1]})
    with pytest.raises(StepFailed, match="loading the new build"):
        rebuild(tmp_path).run(runner)
    assert runner.installs() == []


def test_make_knows_of_an_install_that_was_cut_short(tmp_path):
    state = State(tmp_path)
    state.finish("binding", "the key")
    rebuild(tmp_path).run(Building(), state)
    assert (State(tmp_path)[RUNNING], State(tmp_path)["binding"]) == ("", "the key")
    with pytest.raises(StepFailed):
        rebuild(tmp_path).run(Building(statuses={"--force-reinstall": [-signal.SIGKILL]}), state)
    assert (State(tmp_path)[RUNNING], State(tmp_path)["binding"]) == ("binding", "")


def test_where_nothing_can_be_installed_that_is_said_before_anything_is_built(monkeypatch):
    assert replace.obstacle() == ""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert replace.obstacle() == f"{sys.prefix} has no pip: install it there, or install llamachat with pipx."


@pytest.mark.skipif(os.name == "nt", reason="the stub of a crashing build dies of SIGILL, which Windows lacks")
@pytest.mark.parametrize(
    ("here", "new", "left", "status"),
    [
        (BAD, GOOD, GOOD, 0),
        (BROKEN, GOOD, GOOD, 0),
        (GOOD, BAD, GOOD, 1),
        (GOOD, BROKEN, GOOD, 1),
        (GOOD, None, GOOD, 1),
        (BROKEN, BAD, BAD, 1),
        (BAD, BROKEN, BAD, 1),
    ],
)
def test_in_a_real_environment_the_better_build_is_left(tmp_path, here, new, left, status):
    place = Place(tmp_path)
    place.add_starter()
    place.install(here)
    built = write_binding(tmp_path / "built", new) if new else None
    done = place.run("llamachat.build", new=built)
    assert (done.returncode, place.installed) == (status, left), done.stderr
    assert (replace.KEPT in done.stderr) is (left == here)
