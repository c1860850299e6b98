"""Writing a file that a command names."""

from __future__ import annotations

from pathlib import Path

from llamachat.errors import StorageError, UsageError
from llamachat.ui.chat import Chat


def path_of(text: str) -> Path:
    """The path that was typed, with its quotes and `~` resolved."""
    path = Path(text.strip('"'))
    try:
        return path.expanduser()
    except RuntimeError:  # a home that nobody knows is a name like any other
        return path


def write(chat: Chat, path: Path, text: str) -> bool:
    """Write the text unless the user wants to keep what is there; whether it was written. Raises StorageError."""
    if path.is_dir():
        raise UsageError(f"{path} is a folder.", "Name a file in it.")
    if path.exists() and chat.ask_key(f"{path} exists. Write over it? [y/N]", "ny") != "y":
        chat.say("Nothing was written.")
        return False
    try:
        path.write_text(text, encoding="utf-8", errors="replace", newline="\n")
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror}.") from error
    return True
