"""The user's own editor on a draft, which replaces the file only when it is right and is kept until then."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from llamachat.environment import Environment
from llamachat.errors import UsageError
from llamachat.paths import read_text, replace_file
from llamachat.ui.sanitise import sanitise_line

_USUAL = ("notepad",) if sys.platform == "win32" else ("sensible-editor", "nano", "vim", "vi")


def edit(path: Path, text: str, check: Callable[[str], object], environment: Environment) -> bool:
    """Let the user change `text`, and write it to `path` when `check` takes it; whether anything was changed.

    On a terminal a text that is not right can be edited again. If it stays wrong, what `check` raises is raised, and
    the next edit of this file goes on where this one stopped. Raises StorageError, and UsageError without an editor.
    """
    command = _command(environment)
    draft = _draft(path, text, environment)
    while True:
        _run(command, draft)
        edited = read_text(draft, "Save it as UTF-8.")
        try:
            check(edited)
            break
        except UsageError as error:
            if not _wants_another_try(error, environment):
                again = f"Nothing is changed; what you wrote is kept in {draft}, where the next edit goes on."
                raise UsageError(error.message, again) from error
    if edited != text:
        replace_file(path, edited)
    draft.unlink()
    return edited != text


def _draft(path: Path, text: str, environment: Environment) -> Path:
    """The file to edit: what was left of the last time, unless the real file has changed since, or `text`."""
    draft = path.with_name(f".draft.{path.name}")
    if draft.exists() and path.exists() and path.stat().st_mtime > draft.stat().st_mtime:
        draft.replace(draft.with_name(f"{draft.name}.old"))
    if draft.exists():
        _say("going on with what could not be saved the last time.", environment)
    else:
        replace_file(draft, text)
    return draft


def is_there(environment: Environment) -> bool:
    """Whether an editor can be expected to work: one is named, or there is a terminal for a usual one."""
    return bool(_named(environment)) or environment.stdin_is_terminal


def _named(environment: Environment) -> str:
    return environment.variables.get("VISUAL") or environment.variables.get("EDITOR") or ""


def _command(environment: Environment) -> list[str]:
    if named := _named(environment):
        return shlex.split(named, posix=os.name != "nt")
    usual = next(filter(shutil.which, _USUAL), None) if environment.stdin_is_terminal else None
    if usual is None:
        raise UsageError("there is no editor to open.", "Name one: EDITOR=nano, for example.")
    return [usual]


def _run(command: list[str], path: Path) -> None:
    try:
        code = subprocess.run([*command, str(path)], check=False).returncode
    except OSError as error:
        raise UsageError(
            f"the editor {command[0]} cannot be run: {error.strerror}.", "Set EDITOR to another."
        ) from error
    if code:
        raise UsageError(f"the editor {command[0]} ended with {code}.", f"What you wrote is kept in {path}")


def _wants_another_try(error: UsageError, environment: Environment) -> bool:
    if not environment.stdin_is_terminal:
        return False
    _say(error.message, environment)
    print("Edit again? [Y/n] ", end="", file=environment.stderr, flush=True)
    return environment.stdin.readline().strip().lower() in (b"", b"y", b"yes")


def _say(message: str, environment: Environment) -> None:
    print(f"llamachat: {sanitise_line(message)}", file=environment.stderr)
