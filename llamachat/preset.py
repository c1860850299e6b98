"""A preset: a system prompt and settings under a name, in a Markdown file.

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
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from llamachat import settings
from llamachat.choices import Layer
from llamachat.errors import UsageError, did_you_mean
from llamachat.paths import read_text
from llamachat.settings import Kind, Value

if TYPE_CHECKING:
    from yaml import Node

# A head that needs no YAML: the default preset's, which every start reads.
_PLAIN_HEAD = re.compile(r"description: ([A-Za-z][A-Za-z0-9 ,.()-]*[A-Za-z0-9.)])\n?")
_HEAD = re.compile(r"---[ \t]*\n(.*?)^---[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE)
_PLACEHOLDER = re.compile(r"\{\{([^{}]*)\}\}")
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
        return f"{self.description} ({', '.join(takes)})".strip() if takes else self.description

    def layer(self, given: Mapping[str, str], *, with_text: bool = True) -> Layer:
        """What the preset chooses, with these values for its variables. Raises UsageError."""
        text = {"system": self.fill(given)} if with_text else {}
        return Layer({**self.values, **text}, f"preset {self.name}")

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
                raise UsageError(
                    f"the preset {self.name} needs a value for {name}.",
                    f"Give one: --var {name}=…; in a chat: /preset {self.name} {name}=…",
                )
        return _PLACEHOLDER.sub(lambda match: values[match[1].strip()] or "", self.text) if values else self.text


@dataclass(slots=True)
class _Head:
    """What stands between the two lines of ---."""

    description: str = ""
    values: dict[str, Value] = field(default_factory=dict)
    variables: dict[str, str | None] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)


def read(path: Path, *, is_own: bool) -> Preset:
    """The preset in a file. Raises UsageError with the line, StorageError."""
    return parse(read_text(path, _mend(path)), path, is_own=is_own)


def parse(text: str, path: Path, *, is_own: bool = True) -> Preset:
    """The preset that a file's text makes. Raises UsageError with the file and the line."""
    head, body, first_line = _split(text.replace("\r\n", "\n"), path)
    parsed = _parse_head(head, path)
    if not body.strip():
        raise _fault(path, first_line, "there is no text: the system prompt stands below the second ---.")
    _check_placeholders(body, parsed.variables, path, first_line)
    return Preset(path.stem, path, is_own, parsed.description, body.strip(), parsed.values, parsed.variables)


def has_head(text: str) -> bool:
    """Whether a text is a preset's whole file, rather than a system prompt alone."""
    return re.match(r"---[ \t]*\r?\n", text) is not None


def compose(description: str, text: str = "") -> str:
    """A preset's file with this system prompt; without one, a file to begin with."""
    import yaml  # noqa: PLC0415

    head = yaml.safe_dump({"description": description}, width=10**6, allow_unicode=True)
    return f"---\n{head}---\n{text}\n" if text else f"---\n{head}{_EXAMPLE}---\nYou are a helpful assistant.\n"


def _split(text: str, path: Path) -> tuple[str, str, int]:
    """Head and body, and the body's first line. A file without a head is all body."""
    if not has_head(text):
        return "", text, 1
    match = _HEAD.match(text)
    if match is None:
        raise _fault(path, 1, "the head that begins with --- does not end: a second --- is missing.")
    return match[1], text[match.end() :], text.count("\n", 0, match.end()) + 1


def _parse_head(head: str, path: Path) -> _Head:
    if plain := _PLAIN_HEAD.fullmatch(head):
        return _Head(plain[1])
    import yaml  # noqa: PLC0415  20 ms of the start

    parsed = _Head()
    try:
        root = yaml.compose(head, yaml.SafeLoader)
        if root is not None and root.id != "mapping":
            raise _fault(path, 2, "the head has to be lines of `name: value`.")
        for name, node in root.value if root else ():
            _take(parsed, name, node, path)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise _fault(path, mark.line + 2 if mark else 2, f"{problem}.") from error
    except RecursionError as error:
        raise _fault(path, 2, "the head is nested too deeply.") from error
    return parsed


def _take(parsed: _Head, name: Node, node: Node, path: Path) -> None:
    """One entry of the head."""
    line = name.start_mark.line + 2
    key = str(name.value) if name.id == "scalar" else ""
    if key not in _KEYS:
        raise _fault(path, line, f"there is no {key!r} in a preset.", did_you_mean(key, _KEYS))
    if key in parsed.seen:
        raise _fault(path, line, f"{key} is there twice.")
    parsed.seen.add(key)
    if key == "variables":
        parsed.variables.update(_variables(node, path))
    elif key == "description":
        parsed.description = _text(node, "the description", path)
    else:
        parsed.values[key] = _value(key, node, path, line)


def _value(key: str, node: Node, path: Path, line: int) -> Value:
    """A setting, by what is written: as everywhere else, not as YAML would have it (010 is ten, no is a word)."""
    setting = settings.BY_KEY[key]
    try:
        if node.id == "sequence" and setting.kind is Kind.TEXTS:
            return setting.check([_text(item, f"an item of {key}", path) for item in node.value], key)
        return setting.parse(_text(node, key, path), key)
    except UsageError as error:
        raise error if str(path) in error.message else _fault(path, line, error.message) from error


def _text(node: Node, name: str, path: Path) -> str:
    """What a scalar says; nothing for an empty one."""
    if node.id != "scalar":
        raise _fault(path, node.start_mark.line + 2, f"{name} has to be one value.")
    return "" if node.tag.endswith(":null") else str(node.value)


def _variables(node: Node, path: Path) -> dict[str, str | None]:
    """Names and defaults as they are written: `no` is Norwegian, not false. Nothing written means no default."""
    if node.id != "mapping":
        raise _fault(path, node.start_mark.line + 2, "variables are lines of `name: default`, indented.")
    variables: dict[str, str | None] = {}
    for name, default in node.value:
        line = name.start_mark.line + 2
        key = str(name.value) if name.id == "scalar" else ""
        if not _VARIABLE.fullmatch(key):
            raise _fault(path, line, f"{key!r} cannot be a variable's name.")
        if key in variables:
            raise _fault(path, line, f"the variable {key} is there twice.")
        text = _text(default, f"the default of {key}", path)
        variables[key] = None if default.tag.endswith(":null") else text
    return variables


def _check_placeholders(body: str, variables: Mapping[str, str | None], path: Path, first_line: int) -> None:
    for match in _PLACEHOLDER.finditer(body) if variables else ():
        if (name := match[1].strip()) not in variables:
            line = first_line + body.count("\n", 0, match.start())
            raise _fault(path, line, f"{{{{{name}}}}} is none of its variables.", did_you_mean(name, variables))


def _fault(path: Path, line: int, problem: str, hint: str = "") -> UsageError:
    return UsageError(f"{path}, line {line}: {problem}", hint or _mend(path))


def _mend(path: Path) -> str:
    return f"Mend it: llamachat presets edit {path.stem}"
