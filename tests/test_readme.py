"""Every command in the README and the page on presets is run. What would take minutes is adapted as the table says."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from llamachat.models.catalogue import load
from tests.hub import Hub

ROOT = Path(__file__).parent.parent
COMMANDS = [
    line
    for page in ("README.md", "docs/presets.md", "docs/models.md")
    for block in re.findall(r"^```sh\n(.*?)^```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    for line in block.splitlines()
]
# As shown → as run here, and what its output must match.
ADAPTED = {
    "make chat": ("make -s chat ARGS='--version'", r"^llamachat \d"),
    'echo "Name three colours." | make -s chat': (None, r"."),
    "make test": ("make -s test ARGS='--version'", r"^pytest \d"),
    "make lint": ("make -n lint", "ruff[\\s\\S]*mypy"),
    "make bench": ("make -s bench ARGS='--help'", "rounds"),
    'pip install ".[starter]"': ("pip install --dry-run --no-deps --no-build-isolation '.[starter]'", "llamachat-"),
    'llamachat -p pirate "Where is the treasure?"': (
        'llamachat presets new pirate "You are a pirate." >&2 && llamachat -p pirate "Where is the treasure?"',
        r".",
    ),
    "llamachat pull llama-2-7b-chat": ("llamachat pull llama-2-7b-chat:Q4_0 --accept-licence", "is here"),
    "llamachat -m llama-2-7b-chat.Q4_K_M.gguf": (
        "llamachat -m llama-2-7b-chat.Q4_K_M.gguf --dry-run hi",
        r"hi \[/INST\]",
    ),
}

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the README shows a POSIX shell")


@pytest.fixture
def folder(tmp_path, tiny_model):
    """A checkout of somebody's with a change in it, the files that the README names beside it."""
    shutil.copy(tiny_model, tmp_path / "llama-2-7b-chat.Q4_K_M.gguf")
    (tmp_path / "notes.txt").write_text("We met on Monday and chose the blue one.\n")
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@localhost"]
    for arguments in (["init", "-q"], ["add", "notes.txt"], ["commit", "-qm", "Notes"]):
        subprocess.run([*git, *arguments], cwd=tmp_path, check=True)
    (tmp_path / "notes.txt").write_text("We met on Tuesday and chose the blue one.\n")
    return tmp_path


def test_there_are_commands_to_run():
    assert len(COMMANDS) >= 10
    assert set(ADAPTED) <= set(COMMANDS), "the table names a command that is shown no more"


@pytest.fixture
def hub(tiny_model):
    """A Hub with Llama 2, as far as its name goes: the quantisation whose hash nobody has proved."""
    entry = load().find("llama-2-7b-chat")
    with Hub() as hub:
        hub.add(entry.repo, {"llama-2-7b-chat.Q4_0.gguf": tiny_model}, commit=entry.commit, license="llama2")
        yield hub


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.timeout(600)
def test_a_command_of_the_readme_runs(command, folder, hub, tmp_path):
    adapted, expected = ADAPTED.get(command, (None, r"\S"))
    in_checkout = "make" in command or command.startswith("pip")
    scripts = str(Path(sys.executable).parent)
    done = subprocess.run(
        ["sh", "-c", adapted or command],
        cwd=ROOT if in_checkout else folder,
        env={
            **os.environ,
            "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}",
            "LLAMACHAT_HOME": str(tmp_path / "home"),
            "LLAMACHAT_MAX_TOKENS": "5",
            "HF_ENDPOINT": hub.endpoint,
            "HF_HOME": str(tmp_path / "hf"),
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert re.search(expected, done.stdout, re.MULTILINE), done.stdout


def test_every_file_the_readme_links_to_is_there():
    links = re.findall(r"\]\(((?!https?:)[^)#]+)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_every_option_in_the_docs_exists():
    commands = ([], ["pull"], ["presets", "new"], ["presets", "remove"], ["config", "list"], ["doctor"], ["bench"])
    help_page = "".join(
        subprocess.run(
            [sys.executable, "-m", "llamachat", *command, "--help"],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "COLUMNS": "200"},
        ).stdout
        for command in commands
    )
    for page in ("README.md", "docs/command-line.md", "docs/presets.md", "docs/settings.md", "docs/models.md"):
        text = (ROOT / page).read_text(encoding="utf-8")
        for option in set(re.findall(r"(?<=[\s`(])(?:--[a-z][a-z-]+)", text)):
            assert option in help_page, f"{page}: {option}"
