"""What is examined: one install, seen by one environment."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from llamachat.choices import Choices
from llamachat.engine.base import Engine
from llamachat.engine.launch import WORKER
from llamachat.engine.probe import probe
from llamachat.engine.protocol import Hello
from llamachat.environment import Environment
from llamachat.errors import LlamachatError, StorageError
from llamachat.models import memory
from llamachat.models.library import Library, ModelFile
from llamachat.models.memory import Machine


@dataclass(frozen=True)
class Subject:
    """The environment, and ways to the parts of a chat, each of which may raise what it would raise in one.

    `make_engine` gives an engine for a model file. `worker` is the command of the engine's process.
    """

    environment: Environment
    choose: Callable[[], Choices]
    make_library: Callable[[], Library]
    make_engine: Callable[[Path], Engine]
    worker: Sequence[str] = WORKER

    @cached_property
    def hello(self) -> Hello:
        """What the engine says of its build, with or without a place for its log. Raises EngineDied."""
        try:
            return probe(self.environment.paths.engine_log, self.worker)
        except StorageError:
            with tempfile.TemporaryDirectory() as folder:
                return probe(Path(folder) / "engine.log", self.worker)

    @cached_property
    def library(self) -> Library:
        return self.make_library()

    @cached_property
    def choices(self) -> Choices:
        """Raises UsageError for a mistake in the configuration or in a variable."""
        return self.choose()

    @cached_property
    def valid_choices(self) -> Choices:
        """The same; none where there is a mistake, so that the rest can be looked at."""
        try:
            return self.choices
        except LlamachatError:
            return Choices()

    @cached_property
    def model(self) -> ModelFile:
        """The model that is used where none is named. Raises ModelError."""
        return self.library.find(self.valid_choices.text("model"), Path())

    @cached_property
    def machine(self) -> Machine:
        """Memory, disk and GPUs."""
        return memory.look(self.library.cache)
