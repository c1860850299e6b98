"""From options to the parts they ask for: what was chosen, and the engine."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from llamachat import config, presets, settings
from llamachat.choices import Choices, Layer, Origin
from llamachat.engine.ladder import Ladder
from llamachat.engine.process import EngineProcess
from llamachat.engine.tunings import Errand, Tunings, apply
from llamachat.environment import Environment
from llamachat.errors import UsageError
from llamachat.models import account
from llamachat.models.headers import Headers
from llamachat.models.index import Index
from llamachat.models.library import Library
from llamachat.paths import turns_file
from llamachat.presets import Shelf
from llamachat.settings import SETTINGS, Value
from llamachat.types import LoadOptions

if TYPE_CHECKING:
    from llamachat.engine.warm import Warm

Child = subprocess.Popen[bytes]


def choose(flags: Mapping[str, Value], variables: Mapping[str, str], environment: Environment) -> Choices:
    """Everything that was chosen, by the options and before them. Raises UsageError, which names the place."""
    layers = {
        Origin.FLAG: Layer(flags),
        Origin.ENVIRONMENT: _environment_layer(environment.variables),
        Origin.FILE: config.read(environment.paths.config_file),
    }
    choices = Choices(layers)
    named = choices.find("preset")
    origin = Origin.PRESET if named.origin in (Origin.FLAG, Origin.ENVIRONMENT) else Origin.DEFAULT_PRESET
    try:
        return presets.switch(choices, origin, str(named.value), variables, Shelf(environment.paths.presets))
    except UsageError as error:
        place = f"{named.place}: " if named.place else ""
        raise UsageError(f"{place}{error.message}", error.hint) from error


def _environment_layer(variables: Mapping[str, str]) -> Layer:
    """The settings among the environment's variables; an empty one counts as unset. Raises UsageError."""
    given = ((setting, variables.get(setting.variable)) for setting in SETTINGS)
    return Layer({setting.key: setting.parse(text, setting.variable) for setting, text in given if text})


def make_library(environment: Environment) -> Library:
    """The models of this user."""
    paths = environment.paths
    variables = environment.variables
    return Library(
        Index(paths.models),
        account.cache(variables),
        paths.joined,
        Headers(paths.headers),
        mirror=account.mirror(variables),
    )


def make_engine(
    choices: Choices,
    environment: Environment,
    child: Child | None = None,
    *,
    stays: bool = False,
    tuned: bool = True,
    measures: bool = False,
    errand: Errand | None = None,
) -> EngineProcess:
    """An engine for the model that was chosen, in `child` if there is one already. Raises ModelError.

    `stays`: if it was chosen so, the engine is left to the next that asks for one that stays. `tuned`: as measured
    before, for an `errand` in the way that ends it sooner; `measures`: what was not, while nobody waits.
    """
    library = make_library(environment)
    found = library.find(choices.text("model"), Path())
    draft = choices.text("draft") or "none"
    layers = choices.find("gpu_layers").value
    load = LoadOptions(
        path=str(found.path),
        name=found.name,
        sha256=found.sha256,
        is_starter=found.is_starter,
        n_ctx=choices.whole("ctx_size"),
        n_threads=choices.whole("threads"),
        gpu_layers={"auto": None, "all": -1}.get(str(layers), choices.whole("gpu_layers")),
        kv_type=choices.text("kv_type"),
        format=choices.text("format") or found.format,
        sampling=found.sampling,
        draft=str(library.find(draft, Path()).path) if draft != "none" else None,
        cache_folder=str(environment.paths.blocks),
        cache_bytes=settings.n_bytes(choices.text("cache") or "0"),
        turns=str(turns_file()) if choices.switch("engine.take_turns") else None,
        measures=measures and choices.switch("engine.tune") and choices.whole("threads") is None,
    )
    warm = _warm(choices, environment) if stays else None
    known = Tunings(environment.paths.tunings)
    if tuned and choices.switch("engine.tune"):
        load = apply(load, known.known(load.path), None if warm else errand)  # one that stays serves others, too
    return EngineProcess(
        load,
        log=environment.paths.engine_log,
        ladder=Ladder(environment.paths.ladder),
        family=found.family,
        started=child,
        idle_seconds=settings.n_seconds(choices.text("engine.idle_unload") or "0"),
        warm=warm,
        tunings=known,
    )


def why_not_warm(choices: Choices, platform: str = sys.platform) -> str:
    """Why no engine stays although it was chosen; empty where one does."""
    wanted = settings.n_seconds(choices.text("engine.keep_warm") or "0")
    return "engine.keep_warm does nothing on Windows." if wanted and platform == "win32" else ""


def _warm(choices: Choices, environment: Environment) -> Warm | None:
    """Where the engine may stay; None where it is not to, or cannot."""
    seconds = settings.n_seconds(choices.text("engine.keep_warm") or "0")
    if not seconds or why_not_warm(choices):
        return None
    from llamachat.engine.warm import Warm  # noqa: PLC0415  socket, which few need

    return Warm(environment.paths.warm, seconds)
