"""The presets there are: the user's own before those that came with llamachat, and which of them holds.

A file that cannot be used says so where it is asked for, and stops none of the others.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from llamachat import preset
from llamachat.choices import Choices, Origin
from llamachat.errors import LlamachatError, StorageError, UsageError, did_you_mean
from llamachat.preset import Preset

NONE = "none"  # the name that means: no preset
_SUFFIX = ".md"
_PACKAGE = Path(__file__).parent
_NAME = re.compile(r"\w[\w.-]*")
_LONGEST_NAME = 100


@dataclass(frozen=True, slots=True)
class Broken:
    """A preset's file that cannot be used, and why."""

    name: str
    path: Path
    is_own: bool
    error: LlamachatError

    @property
    def summary(self) -> str:
        return f"cannot be used: {self.error.message}"


@dataclass(frozen=True, slots=True)
class Shelf:
    """The presets there are: the user's `own` folder, which need not exist, before the shipped one."""

    own: Path

    def names(self) -> list[str]:
        return sorted({name for folder in self._folders for name in _names_in(folder)})

    def all(self) -> list[Preset | Broken]:
        """Every preset by name, the broken ones among them."""
        return [self._look(name) for name in self.names()]

    def get(self, name: str) -> Preset:
        """The preset of this name. Raises UsageError: none, with the nearest, or what is wrong in its file."""
        if name not in self.names():
            hint = did_you_mean(name, self.names()) or "All of them: llamachat presets list"
            raise UsageError(f"there is no preset {name!r}.", hint)
        found = self._look(name)
        if isinstance(found, Broken):
            raise found.error
        return found

    def path(self, name: str) -> Path:
        """The file that the name means now, broken or not; one that may not exist."""
        folders = (folder for folder in self._folders if name in _names_in(folder))
        return next(folders, self.own) / f"{name}{_SUFFIX}"

    def own_path(self, name: str) -> Path:
        """Where the user's own preset of this name is. Raises UsageError when no preset can have it."""
        if not _NAME.fullmatch(name) or name == NONE or len(name) > _LONGEST_NAME:
            raise UsageError(
                f"{name!r} cannot be a preset's name.", "It is of letters, digits, - and _; none is taken."
            )
        return self.own / f"{name}{_SUFFIX}"

    def has_own(self, name: str) -> bool:
        return name in _names_in(self.own)

    @property
    def _folders(self) -> tuple[Path, ...]:
        return (self.own, shipped())

    def _look(self, name: str) -> Preset | Broken:
        path = self.path(name)
        try:
            if name == NONE:
                self.own_path(name)
            return preset.read(path, is_own=self.has_own(name))
        except (UsageError, StorageError) as error:
            return Broken(name, path, self.has_own(name), error)


def switch(choices: Choices, origin: Origin, name: str, given: Mapping[str, str], shelf: Shelf) -> Choices:
    """The choices with this preset instead of any other; `none` is none. Raises UsageError."""
    without = choices.with_layer(Origin.DEFAULT_PRESET, None).with_layer(Origin.PRESET, None)
    if name != NONE:
        is_other_text_given = without.find("system").origin in (Origin.CHAT, Origin.FLAG)
        return without.with_layer(origin, shelf.get(name).layer(given, with_text=not is_other_text_given))
    if given:
        raise UsageError(f"without a preset there is no variable {next(iter(given))!r}.", "Name one with -p.")
    return without


def shipped() -> Path:
    """The folder of the presets that came with llamachat: in the package, or beside it in a checkout."""
    packaged = _PACKAGE / "prompts"
    return packaged if packaged.is_dir() else _PACKAGE.parent / "prompts"


def _names_in(folder: Path) -> list[str]:
    return [path.stem for path in folder.glob(f"*{_SUFFIX}") if _NAME.fullmatch(path.stem)]
