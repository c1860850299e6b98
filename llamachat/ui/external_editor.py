"""The user's own editor: which one it is, and a text that goes through it."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from llamachat.environment import Environment
from llamachat.errors import UsageError
from llamachat.ui.interrupt import on_interrupt

_USUAL = ("notepad",) if sys.platform == "win32" else ("sensible-editor", "nano", "vim", "vi")


def edit_text(text: str, environment: Environment) -> str:
    """What the user makes of a text. Raises UsageError: there is no editor, it failed, or this is not text."""
    editor = command(environment)
    try:
        with tempfile.TemporaryDirectory(prefix="llamachat-") as folder:
            path = Path(folder) / "message.md"
            path.write_bytes(text.encode("utf-8", "replace"))
            run(editor, path)
            edited = path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise UsageError("what the editor saved is not UTF-8 text.", "The message is as it was.") from error
    except OSError as error:
        raise UsageError(f"the message cannot be edited: {error.strerror or error}.", "It is as it was.") from error
    return edited if text.endswith("\n") else edited.removesuffix("\n")  # editors end the last line


def named(environment: Environment) -> str:
    """The editor that $VISUAL or $EDITOR names; empty if neither does."""
    visual = environment.variables.get("VISUAL", "").strip()
    return visual or environment.variables.get("EDITOR", "").strip()


def command(environment: Environment) -> list[str]:
    """The command line of the editor, without the file. Raises UsageError if there is none."""
    if name := named(environment):
        try:
            return shlex.split(name, posix=os.name != "nt")
        except ValueError as error:
            raise UsageError(f"EDITOR={name} has a quote that does not close.", "Set it to a command.") from error
    usual = next(filter(shutil.which, _USUAL), None) if environment.stdin_is_terminal else None
    if usual is None:
        raise UsageError("there is no editor to open.", "Name one: EDITOR=nano, for example.")
    return [usual]


def run(editor: list[str], path: Path) -> None:
    """The editor until it ends; Ctrl-C is its own affair. Raises UsageError."""
    try:
        with on_interrupt(lambda: None):
            code = subprocess.run([*editor, str(path)], check=False).returncode
    except OSError as error:
        raise UsageError(
            f"the editor {editor[0]} cannot be run: {error.strerror}.", "Set EDITOR to another."
        ) from error
    if code:
        ending = f"with {code}" if code > 0 else f"by {signal.Signals(-code).name}"
        raise UsageError(f"the editor {editor[0]} ended {ending}.")
