"""Presets: a system prompt and settings under a name, one Markdown file each.

    ---
    description: Translate into a language
    temperature: 0.2
    variables:
      language: English
    ---
    Translate what the user writes into {{language}}.

The head is YAML. It takes `description`, `variables` with their defaults (none: a value must be given) and the
settings that `settings` allows in a preset. The body is the system prompt. Where the head declares variables,
`{{name}}` in the body stands for one; where it declares none, the body is taken as it is.

The user's own presets win over those that came with llamachat. A file that cannot be used says so where it is asked
for, with its line, and nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from llamachat import settings
from llamachat.choices import Choices, Layer, Origin
from llamachat.errors import UsageError, did_you_mean
from llamachat.paths import read_text
from llamachat.settings import Value

if TYPE_CHECKING:
    from yaml import Node

NONE = "none"  # the name that means: no preset
_SUFFIX = ".md"
_PACKAGE = Path(__file__).parent
_NAME = re.compile(r"\w[\w.-]*")
_HEAD = re.compile(r"---[ \t]*\n(.*?)^---[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE)
_PLACEHOLDER = re.compile(r"\{\{\s*([^{}]*?)\s*\}\}")
_VARIABLE = re.compile(r"[^\W\d][\w-]*")
_EXAMPLE = """\
# temperature: 0.2
# variables:
#   language: English     {{language}} in the text stands for it
"""
_KEYS = ("description", "variables", *(key for key, setting in settings.BY_KEY.items() if setting.in_preset))


@dataclass(frozen=True, slots=True)
class Preset:
    """One preset. `variables` are names with defaults; None where a value has to be given."""

    name: str
    path: Path
    is_own: bool
    description: str
    text: str
    values: Mapping[str, Value]
    variables: Mapping[str, str | None]

    @property
    def summary(self) -> str:
        """What it is for, and the variables it takes, in a line."""
        takes = [name if default is None else f"{name}={default}" for name, default in self.variables.items()]
        return f"{self.description} ({', '.join(takes)})" if takes else self.description

    def layer(self, given: Mapping[str, str]) -> Layer:
        """What the preset chooses, with these values for its variables. Raises UsageError."""
        return Layer({**self.values, "system": self.fill(given)}, f"preset {self.name}")

    def fill(self, given: Mapping[str, str]) -> str:
        """The system prompt with these values for the variables. Raises UsageError."""
        for name in given:
            if name not in self.variables:
                known = f"It has: {', '.join(self.variables)}." if self.variables else "It has none."
                raise UsageError(
                    f"the preset {self.name} has no variable {name!r}.", did_you_mean(name, self.variables) or known
                )
        values = {**self.variables, **given}
        for name, value in values.items():
            if value is None:
                raise UsageError(f"the preset {self.name} needs a value for {name}.", f"Give one: --var {name}=…")
        return _PLACEHOLDER.sub(lambda match: values[match[1]] or "", self.text) if values else self.text


@dataclass(frozen=True, slots=True)
class Broken:
    """A preset's file that cannot be used, and why."""

    name: str
    path: Path
    is_own: bool
    error: UsageError

    @property
    def summary(self) -> str:
        return f"cannot be used: {self.error.message}"


@dataclass(slots=True)
class _Head:
    """What stands between the two lines of ---."""

    description: str = ""
    values: dict[str, Value] = field(default_factory=dict)
    variables: dict[str, str | None] = field(default_factory=dict)


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
        return next((folder / f"{name}{_SUFFIX}" for folder in folders), self.own_path(name))

    def own_path(self, name: str) -> Path:
        """Where the user's own preset of this name is. Raises UsageError when no preset can have it."""
        if not _NAME.fullmatch(name) or name == NONE:
            raise UsageError(f"{name!r} cannot be a preset's name.", "Letters, digits, - and _ can be in one.")
        return self.own / f"{name}{_SUFFIX}"

    def has_own(self, name: str) -> bool:
        return name in _names_in(self.own)

    @property
    def _folders(self) -> tuple[Path, ...]:
        return (self.own, shipped())

    def _look(self, name: str) -> Preset | Broken:
        path = self.path(name)
        try:
            return read(path, is_own=self.has_own(name))
        except UsageError as error:
            return Broken(name, path, self.has_own(name), error)


def switch(choices: Choices, origin: Origin, name: str, given: Mapping[str, str], shelf: Shelf) -> Choices:
    """The choices with this preset instead of any other; `none` is none. Raises UsageError."""
    without = choices.with_layer(Origin.DEFAULT_PRESET, None).with_layer(Origin.PRESET, None)
    if name != NONE:
        return without.with_layer(origin, shelf.get(name).layer(given))
    if given:
        raise UsageError(f"without a preset there is no variable {next(iter(given))!r}.", "Name one with -p.")
    return without


def shipped() -> Path:
    """The folder of the presets that came with llamachat: in the package, or beside it in a checkout."""
    packaged = _PACKAGE / "prompts"
    return packaged if packaged.is_dir() else _PACKAGE.parent / "prompts"


def _names_in(folder: Path) -> list[str]:
    return [path.stem for path in folder.glob(f"*{_SUFFIX}") if _NAME.fullmatch(path.stem)]


def read(path: Path, *, is_own: bool) -> Preset:
    """The preset in a file. Raises UsageError with the line, StorageError."""
    return parse(read_text(path, _mend(path)), path, is_own=is_own)


def parse(text: str, path: Path, *, is_own: bool = True) -> Preset:
    """The preset that a file's text makes. Raises UsageError with the file and the line."""
    head, body, first_line = _split(text, path)
    parsed = _parse_head(head, path)
    if not body.strip():
        raise _fault(path, first_line, "there is no text: the system prompt stands below the second ---.")
    _check_placeholders(body, parsed.variables, path, first_line)
    return Preset(path.stem, path, is_own, parsed.description, body.strip(), parsed.values, parsed.variables)


def compose(description: str, text: str = "") -> str:
    """A preset's file with this system prompt; without one, a file to begin with."""
    import yaml  # noqa: PLC0415

    head = yaml.safe_dump({"description": description}, width=10**6, allow_unicode=True)
    return f"---\n{head}---\n{text}\n" if text else f"---\n{head}{_EXAMPLE}---\nYou are a helpful assistant.\n"


def _split(text: str, path: Path) -> tuple[str, str, int]:
    """Head and body, and the body's first line. A file without a head is all body."""
    if not text.startswith("---"):
        return "", text, 1
    match = _HEAD.match(text)
    if match is None:
        raise _fault(path, 1, "the head that begins with --- does not end: a second --- is missing.")
    return match[1], text[match.end() :], text.count("\n", 0, match.end()) + 1


def _parse_head(head: str, path: Path) -> _Head:
    import yaml  # noqa: PLC0415  30 ms that `-p none` and a page of help save

    loader = yaml.SafeLoader(head)
    parsed = _Head()
    try:
        root = loader.get_single_node()
        if root is not None and not isinstance(root, yaml.MappingNode):
            raise _fault(path, 2, "the head has to be lines of `name: value`.")
        for name, node in root.value if root else ():
            key, line = str(name.value), name.start_mark.line + 2
            if key not in _KEYS:
                raise _fault(path, line, f"there is no {key!r} in a preset.", did_you_mean(key, _KEYS))
            if key == "variables":
                parsed.variables.update(_variables(node, path))
            elif key == "description":
                parsed.description = str(node.value)
            else:
                parsed.values[key] = _value(key, loader.construct_object(node, deep=True), path, line)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise _fault(path, mark.line + 2 if mark else 2, f"{problem}.") from error
    finally:
        loader.dispose()
    return parsed


def _value(key: str, value: object, path: Path, line: int) -> Value:
    try:
        return settings.BY_KEY[key].check(value, key)
    except UsageError as error:
        raise _fault(path, line, error.message) from error


def _variables(node: Node, path: Path) -> dict[str, str | None]:
    """Names and defaults as they are written: `no` is Norwegian, not false. Nothing written means no default."""
    if node.id != "mapping":
        raise _fault(path, node.start_mark.line + 2, "variables are lines of `name: default`, indented.")
    variables: dict[str, str | None] = {}
    for name, default in node.value:
        line = name.start_mark.line + 2
        if not _VARIABLE.fullmatch(str(name.value)):
            raise _fault(path, line, f"{name.value!r} cannot be a variable's name.")
        if default.id != "scalar":
            raise _fault(path, line, f"the default of {name.value} has to be a text.")
        variables[name.value] = None if default.tag.endswith(":null") else default.value
    return variables


def _check_placeholders(body: str, variables: Mapping[str, str | None], path: Path, first_line: int) -> None:
    for match in _PLACEHOLDER.finditer(body) if variables else ():
        if match[1] not in variables:
            line = first_line + body.count("\n", 0, match.start())
            raise _fault(path, line, f"{match[0]} is none of its variables.", did_you_mean(match[1], variables))


def _fault(path: Path, line: int, problem: str, hint: str = "") -> UsageError:
    return UsageError(f"{path}, line {line}: {problem}", hint or _mend(path))


def _mend(path: Path) -> str:
    return f"Mend it: llamachat presets edit {path.stem}"
