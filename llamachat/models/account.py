"""Who we are for the Hub, and where its tools keep what they share: their variables, and the file with the token."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

_TRUE = ("1", "ON", "YES", "TRUE")


def is_set(variables: Mapping[str, str], *names: str) -> bool:
    """Whether the first of these variables that has a value says yes, as the Hub's tools read it."""
    value = next((value for name in names if (value := variables.get(name))), "")
    return value.upper() in _TRUE


def home(variables: Mapping[str, str]) -> Path:
    """The folder of the Hub's tools."""
    if path := variables.get("HF_HOME"):
        return _expanded(path)
    return _expanded(variables.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface"


def cache(variables: Mapping[str, str]) -> Path:
    """The folder of the files they fetched."""
    named = variables.get("HF_HUB_CACHE")
    return _expanded(named) if named else home(variables) / "hub"


def mirror(variables: Mapping[str, str]) -> str:
    """The address of another Hub, as it was given; empty for the usual one."""
    return variables.get("HF_ENDPOINT", "").rstrip("/")


def token(variables: Mapping[str, str]) -> str | None:
    """The token of the variable, or of the last login unless that is not to be sent unasked."""
    if value := variables.get("HF_TOKEN", "").strip():
        return value
    if is_set(variables, "HF_HUB_DISABLE_IMPLICIT_TOKEN"):
        return None
    named = variables.get("HF_TOKEN_PATH")
    path = _expanded(named) if named else home(variables) / "token"
    try:
        return path.read_text("utf-8").strip() or None
    except (OSError, UnicodeDecodeError):
        return None


def _expanded(path: str) -> Path:
    """The path with ~ for a user's folder; as it is where there is no such user."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)
