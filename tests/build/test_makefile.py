"""The Makefile: when it starts an installer, and that stdin and stdout belong to the chat."""

import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from llamachat.build import checkout, state

ROOT = Path(__file__).parents[2]
SOURCES = ("llamachat/build/checkout.py", "llamachat/build/flags.py")


@dataclass
class Made:
    """A folder with our Makefile, an installed `.venv` of stand-ins, and a Python that only notes its arguments."""

    folder: Path

    def __post_init__(self) -> None:
        (self.folder / "llamachat" / "build").mkdir(parents=True)
        for name in ("Makefile", "pyproject.toml", *SOURCES):
            (self.folder / name).write_bytes((ROOT / name).read_bytes())
        stamps = self.folder / ".venv" / checkout.FOLDER
        stamps.mkdir(parents=True)
        self.python = self.script(".venv/bin/python", 'echo "$@"; cat; exit ${EXIT:-0}')
        self.script("python3", 'echo "$@" >> installs; echo noise; cat; touch .venv/.llamachat/{chat,dev}')
        for name in state.STAMPS:
            (stamps / name).touch()

    def script(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/usr/bin/env bash\n{text}\n")
        path.chmod(0o755)
        return path

    def make(self, *arguments: str, stdin: str = "", **env: str) -> subprocess.CompletedProcess[str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "CMAKE"))}
        python = f"PYTHON={self.folder / 'python3'}"
        command = ["make", "-s", python, *arguments]
        return subprocess.run(
            command, input=stdin, cwd=self.folder, env=kept | env, capture_output=True, text=True, check=False
        )

    def installs(self) -> list[str]:
        """The arguments of each start of the installer (and of the questions before it)."""
        path = self.folder / "installs"
        lines = path.read_text().splitlines() if path.exists() else []
        return [line for line in lines if "llamachat.build --install" in line]


@pytest.fixture
def made(tmp_path):
    return Made(tmp_path)


def test_make_chat_hands_over_stdin_and_options_and_prints_the_answer_alone(made):
    result = made.make("chat", "ARGS=-t 0 --json", stdin="why?")
    assert result.stdout == "-m llamachat -t 0 --json\nwhy?"
    assert result.stderr == ""


def test_make_starts_no_installer_when_all_is_there(made):
    for target in ("chat", "test", "lint", "bench"):
        assert made.make(target).returncode == 0
    assert made.installs() == []


def test_make_lint_runs_every_check_even_if_one_fails(made):
    result = made.make("lint", EXIT="1")
    assert result.stdout.splitlines() == ["-m ruff check .", "-m ruff format --check .", "-m mypy"]
    assert result.returncode == 2


def test_make_fails_when_the_chat_fails(made):
    assert made.make("chat", EXIT="3").returncode == 2


@pytest.mark.parametrize(
    ("target", "option"), [("chat", ""), ("test", "--dev "), ("lint", "--dev "), ("bench", "--dev ")]
)
def test_each_target_installs_what_it_needs_and_names_itself(made, target, option):
    for name in state.STAMPS:
        (made.folder / ".venv" / checkout.FOLDER / name).unlink()
    result = made.make(target, stdin="for the program alone")
    assert made.installs() == [f"-m llamachat.build --install {option}--again make {target}"]
    assert "noise" in result.stderr
    assert "noise" not in result.stdout
    assert "for the program alone" in result.stdout


@pytest.mark.parametrize("source", ["pyproject.toml", *SOURCES])
def test_an_edited_source_of_the_install_is_looked_at(made, source):
    os.utime(made.folder / source, (time.time() + 5, time.time() + 5))
    made.make("chat")
    assert len(made.installs()) == 1


def test_a_python_that_has_gone_is_looked_at_although_the_stamps_are_there(made):
    made.python.unlink()
    made.python.symlink_to("/nonexistent/python3")
    made.make("chat")
    assert len(made.installs()) == 1


def test_cmake_args_are_looked_at_although_the_stamps_are_there(made):
    made.make("chat", CMAKE_ARGS="-DGGML_VULKAN=on")
    assert len(made.installs()) == 1


def test_a_chat_is_not_started_after_an_install_that_failed(made):
    made.script("python3", 'case "$*" in *install*) exit 1;; esac')
    (made.folder / ".venv" / checkout.FOLDER / "chat").unlink()
    result = made.make("chat", stdin="why?")
    assert (result.returncode, result.stdout) == (2, "")


def test_without_a_python_that_is_new_enough_make_says_so_and_how_to_name_one(made):
    made.script("python3", "exit 1")
    (made.folder / ".venv" / checkout.FOLDER / "chat").unlink()
    result = made.make("chat")
    assert result.returncode == 2
    assert result.stdout == ""
    assert "Python 3.11 or newer" in result.stderr
    assert "make chat PYTHON=" in result.stderr
