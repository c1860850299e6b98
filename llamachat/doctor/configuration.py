"""What the user wrote: the configuration file, variables, presets."""

from __future__ import annotations

from collections.abc import Iterator

from llamachat import config
from llamachat.doctor.finding import Finding, could_be_better, fine, wrong
from llamachat.doctor.subject import Subject
from llamachat.errors import LlamachatError, did_you_mean
from llamachat.presets import Broken, Shelf
from llamachat.settings import SETTINGS

_SECTION = "configuration"
_PREFIX = "LLAMACHAT_"
_OTHERS = {"LLAMACHAT_HOME"}  # variables that are no settings


def check(subject: Subject) -> Iterator[Finding]:
    """The file, then everything together as a chat would take it, then what nobody reads."""
    path = subject.environment.paths.config_file
    try:
        n_settings = len(config.read(path).values)
        _ = subject.choices  # the variables, too, and the preset that is named
    except LlamachatError as error:
        yield wrong(_SECTION, error)
    else:
        yield fine(_SECTION, f"{path}, settings in it: {n_settings}" if path.exists() else f"none ({path})")
    yield from _unknown_variables(subject)
    for preset in Shelf(subject.environment.paths.presets).all():
        if isinstance(preset, Broken):
            yield could_be_better(_SECTION, preset.error.message.rstrip("."), preset.error.hint)


def _unknown_variables(subject: Subject) -> Iterator[Finding]:
    """Variables that look like settings and are none."""
    known = {setting.variable for setting in SETTINGS} | _OTHERS
    for name in sorted(subject.environment.variables):
        if name.startswith(_PREFIX) and name not in known:
            hint = did_you_mean(name, known) or "All names: llamachat config list"
            yield could_be_better(_SECTION, f"{name} is set, and there is no such setting", hint)
