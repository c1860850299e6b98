"""A question before something cannot be undone."""

from __future__ import annotations

from llamachat.environment import Environment
from llamachat.errors import Interrupted, UsageError
from llamachat.ui.sanitise import sanitise_line


def confirm(question: str, environment: Environment, *, yes: bool) -> None:
    """Go on if the user says yes, or said so beforehand. Raises Interrupted for a no, UsageError without a terminal."""
    if yes:
        return
    if not environment.stdin_is_terminal:
        raise UsageError("nobody is there to be asked.", "Say yes beforehand: --yes")
    print(f"{sanitise_line(question)} [y/N] ", end="", file=environment.stderr, flush=True)
    if environment.stdin.readline().strip().lower() not in (b"y", b"yes"):
        raise Interrupted("nothing was done.")
