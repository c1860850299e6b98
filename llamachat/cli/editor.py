"""The user's own editor on a draft, which replaces the file only when it is right and is kept until then.

Every edit has a draft of its own. One that could not be saved waits beside the file, as `.draft.NAME`, for the next.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from llamachat.environment import Environment
from llamachat.errors import UsageError
from llamachat.paths import read_text, replace_file
from llamachat.ui import external_editor
from llamachat.ui.sanitise import sanitise_line


def edit(
    path: Path, start: bytes, check: Callable[[str], object], environment: Environment, *, as_it_is: bool = False
) -> bool:
    """Let the user change `start`, and write it to `path` when `check` takes it; whether anything was saved.

    `start` is what the file holds, or what a new one begins with, which is saved `as_it_is` when the user does. On a
    terminal a text that is not right can be edited again. If it stays wrong, or the file was changed by somebody else
    meanwhile, UsageError says where the draft is; the next edit of this file goes on from it. Raises StorageError, and
    UsageError without an editor.
    """
    command = external_editor.command(environment)
    draft = path.with_name(f".draft.{os.getpid()}.{path.name}")
    before = _begin(draft, path, start, environment)
    try:
        saved = _edited(command, draft, check, environment)
        if _bytes_of(path) not in (start, None):
            raise UsageError(f"{path} was changed by somebody else meanwhile.", "Look at both.")
    except UsageError as error:
        raise UsageError(error.message, f"{error.hint} {_keep(draft, path, before)}".strip()) from error
    changed = saved != start or (as_it_is and draft.stat().st_mtime_ns != before[1])
    if changed:
        replace_file(path, saved)
    draft.unlink()
    return changed


def is_there(environment: Environment) -> bool:
    """Whether an editor can be expected to work: one is named, or there is a terminal for a usual one."""
    return bool(external_editor.named(environment)) or environment.stdin_is_terminal


def forget_draft(path: Path) -> None:
    """Drop what an edit of this file left: the file itself is gone."""
    _kept(path).unlink(missing_ok=True)


def _begin(draft: Path, path: Path, start: bytes, environment: Environment) -> tuple[bytes, int]:
    """Make the draft, from what the last edit could not save if nothing else came since; its bytes and its time."""
    kept = _kept(path)
    if kept.exists() and path.exists() and path.stat().st_mtime > kept.stat().st_mtime:
        _say(f"an earlier edit, which could not be saved, is in {kept}; the file has changed since.", environment)
    elif kept.exists():
        _say("going on with what could not be saved the last time.", environment)
        start = kept.read_bytes()
        kept.unlink()
    replace_file(draft, start)
    return start, draft.stat().st_mtime_ns


def _edited(command: list[str], draft: Path, check: Callable[[str], object], environment: Environment) -> bytes:
    """What the user made of the draft, checked. Raises UsageError."""
    while True:
        external_editor.run(command, draft)
        saved = _bytes_of(draft)
        if saved is None:
            raise UsageError("the editor removed the draft.", "Nothing is changed.")
        try:
            check(read_text(draft, "Save it as UTF-8."))
            return saved
        except UsageError as error:
            if not _wants_another_try(error, environment):
                raise


def _keep(draft: Path, path: Path, before: tuple[bytes, int]) -> str:
    """Leave the draft for the next edit if there is something in it to keep; where it is, in words."""
    saved = _bytes_of(draft)
    if saved is None or saved == before[0]:
        draft.unlink(missing_ok=True)
        return "Nothing is changed."
    kept = _kept(path)
    number = 1
    while kept.exists():
        number += 1
        kept = _kept(path).with_name(f"{_kept(path).name}.{number}")
    draft.replace(kept)
    return f"The file is as it was; what you wrote is kept in {kept}, where the next edit goes on."


def _kept(path: Path) -> Path:
    return path.with_name(f".draft.{path.name}")


def _wants_another_try(error: UsageError, environment: Environment) -> bool:
    if not environment.stdin_is_terminal:
        return False
    _say(str(error), environment)
    print("Edit again? [Y/n] ", end="", file=environment.stderr, flush=True)
    return environment.stdin.readline().strip(b" \t").lower() in (b"\n", b"\r\n", b"y\n", b"yes\n", b"y\r\n")


def _say(message: str, environment: Environment) -> None:
    print(f"llamachat: {sanitise_line(message)}", file=environment.stderr)


def _bytes_of(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None
