"""Lets answers say which file made them where nobody knows its hash yet: it is computed while the prompt waits."""

from __future__ import annotations

from pathlib import Path

from llamachat.engine.process import EngineProcess
from llamachat.models.hashing import Hasher
from llamachat.models.index import Index


class Hashes:
    """The hash of the model that answers: of one engine at a time."""

    def __init__(self, index: Index) -> None:
        self._hasher = Hasher(index, self._is_busy, self._tell)
        self._engine: EngineProcess | None = None

    def watch(self, engine: EngineProcess) -> EngineProcess:
        """An engine that has not been started yet; the engine."""
        self._engine = engine
        if engine.options.sha256 is None:
            self._hasher.note(Path(engine.options.path))
        return engine

    def begin(self) -> None:
        """It has answered: there will be a pause."""
        if self._engine:
            self._hasher.begin(Path(self._engine.options.path))

    def close(self) -> None:
        self._hasher.close()

    def _is_busy(self) -> bool:
        return self._engine is not None and self._engine.is_busy

    def _tell(self, path: Path, sha256: str) -> None:
        if self._engine and Path(self._engine.options.path) == path:
            self._engine.identify(sha256)
