"""From options to the parts they ask for: the engine, and how answers are made."""

from __future__ import annotations

import subprocess
from pathlib import Path

from llamachat.chat.turn import Settings
from llamachat.cli.options import ChatOptions
from llamachat.engine.ladder import Ladder
from llamachat.engine.process import EngineProcess
from llamachat.environment import Environment
from llamachat.models import library
from llamachat.types import LoadOptions

Child = subprocess.Popen[bytes]


def make_engine(
    options: ChatOptions, environment: Environment, *, child: Child | None = None, model: str | None = None
) -> EngineProcess:
    """An engine for the model that is wanted, in `child` if there is one already. Raises ModelError."""
    found = library.find(model or options.model, Path())
    load = LoadOptions(
        path=str(found.path),
        name=found.name,
        is_starter=found.is_starter,
        n_ctx=options.n_ctx,
        n_threads=options.n_threads,
        gpu_layers=options.gpu_layers,
        kv_type=options.kv_type,
        format=options.format,
        sampling=found.sampling,
    )
    return EngineProcess(
        load,
        log=environment.paths.engine_log,
        ladder=Ladder(environment.paths.ladder),
        family=found.family,
        started=child,
    )


def make_settings(options: ChatOptions) -> Settings:
    """How answers are to be made."""
    return Settings(
        sampling=options.sampling,
        seed=options.seed,
        max_tokens=options.max_tokens,
        stops=options.stops,
        raw_tags=options.raw_tags,
    )
