"""Questions at a terminal: before something cannot be undone, or where only the user can tell."""

from __future__ import annotations

from llamachat.environment import Environment
from llamachat.errors import Interrupted, UsageError
from llamachat.ui.sanitise import sanitise


def confirm(question: str, environment: Environment, *, yes: bool) -> None:
    """Go on if the user says yes, or said so beforehand. Raises Interrupted for a no, UsageError without a terminal."""
    if yes:
        return
    if not environment.stdin_is_terminal:
        raise UsageError("nobody is there to be asked.", "Say yes beforehand: --yes")
    if answer(f"{question} [y/N]", environment).lower() not in ("y", "yes"):
        raise Interrupted("nothing was done.")


def answer(question: str, environment: Environment) -> str:
    """One line from the terminal."""
    print(f"{sanitise(question)} ", end="", file=environment.stderr, flush=True)
    return environment.stdin.readline().decode("utf-8", "replace").strip()
