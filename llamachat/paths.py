"""Where things live: the platform's directories, or one folder when LLAMACHAT_HOME names it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from llamachat.errors import StorageError


@dataclass(frozen=True, slots=True)
class Paths:
    """Our directories, made when first used, readable by their owner alone."""

    state: Path  # input history, what was learned of this machine, logs

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Paths:
        if home := environ.get("LLAMACHAT_HOME"):
            return cls(state=Path(home).expanduser().absolute() / "state")
        import platformdirs  # noqa: PLC0415  30 ms that LLAMACHAT_HOME saves

        return cls(state=Path(platformdirs.user_state_dir("llamachat", appauthor=False)))

    @property
    def history(self) -> Path:
        """What was typed in the REPL."""
        return self.state / "history"

    @property
    def ladder(self) -> Path:
        """What native code could not do on this machine (engine/ladder.py)."""
        return self.state / "ladder.json"

    @property
    def engine_log(self) -> Path:
        return self.state / "engine.log"

    @property
    def log(self) -> Path:
        """Tracebacks of faults of ours."""
        return self.state / "llamachat.log"

    def make(self) -> None:
        """Create the directories. Raises StorageError."""
        try:
            self.state.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise StorageError(
                f"{self.state} cannot be made: {error.strerror}.", "Name another folder with LLAMACHAT_HOME."
            ) from error


def private_file(path: Path) -> Path:
    """Create the file, if there is none, readable by its owner alone. Raises StorageError."""
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600))
    except OSError as error:
        raise StorageError(
            f"{path} cannot be written: {error.strerror}.", "Name another folder with LLAMACHAT_HOME."
        ) from error
    return path
