"""The configuration file: TOML, one `key = value` a line, the keys of `settings`.

Reading checks every key and value, and an error names the line. Writing changes one value and leaves every comment
and blank line where it was; a file is replaced whole or not at all.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from llamachat import settings
from llamachat.choices import Layer
from llamachat.errors import UsageError
from llamachat.paths import locked, read_text, replace_file
from llamachat.settings import Value

if TYPE_CHECKING:
    from tomlkit import TOMLDocument

_MEND = "Mend it: llamachat config edit"
TEMPLATE = """\
# What llamachat uses unless told otherwise, one `name = value` a line, for example:
#
# temperature = 0.3
# preset = "concise"
#
# All names, and what is in force: llamachat config list
"""


def read(path: Path) -> Layer:
    """The values in the file; none if there is no file. Raises UsageError with the line, StorageError."""
    return Layer(check(text, path) if (text := read_text(path, _MEND)) else {}, str(path))


def check(text: str, path: Path) -> dict[str, Value | None]:
    """The values that a file's text sets. Raises UsageError with the file and the line."""
    import tomllib  # noqa: PLC0415  10 ms that nobody without a configuration pays

    try:
        table = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # TOMLDecodeError is one; a number of too many digits another
        raise UsageError(f"{path}: {_lower(str(error))}.", _MEND) from error
    values: dict[str, Value | None] = {}
    for key, value in table.items():
        place = f"{path}{_line(text, key)}"
        try:
            setting = settings.find(key)
            if setting.key != key:
                raise UsageError(f"there is no setting {key!r}.", f"Did you mean {setting.key}?")
            values[key] = setting.check(value, key)
        except UsageError as error:
            raise UsageError(f"{place}: {error.message}", error.hint or _MEND) from error
    return values


def set_value(path: Path, key: str, value: Value) -> None:
    """Write one value; comments stay. Raises UsageError when the file is no TOML, StorageError."""

    def change(document: TOMLDocument) -> None:
        document[key] = list(value) if isinstance(value, tuple) else value

    _change(path, change)


def unset(path: Path, key: str) -> bool:
    """Take a value out; whether there was one. Raises as `set_value`."""
    found: list[object] = []

    def change(document: TOMLDocument) -> None:
        found.append(document.pop(key, None))

    if path.exists():
        _change(path, change)
    return any(value is not None for value in found)


def _change(path: Path, change: Callable[[TOMLDocument], None]) -> None:
    import tomlkit  # noqa: PLC0415  20 ms that only a change needs
    from tomlkit.exceptions import ParseError  # noqa: PLC0415

    with locked(path):
        try:
            document = tomlkit.parse(read_text(path, _MEND) if path.exists() else TEMPLATE)
        except (ParseError, ValueError, RecursionError) as error:
            raise UsageError(f"{path}: {_lower(str(error))}.", _MEND) from error
        change(document)
        replace_file(path, tomlkit.dumps(document))


def _line(text: str, key: str) -> str:
    """Where a key of the file stands."""
    match = re.search(rf"""^\s*\[*\s*["']?{re.escape(key)}["']?\s*[=.\]]""", text, re.MULTILINE)
    return f", line {text.count(chr(10), 0, match.end()) + 1}" if match else ""


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:].rstrip(".")
