"""The configuration file: TOML, one `key = value` a line, the keys of `settings`.

Reading checks every key and value, and an error names the line. Writing changes one value and leaves every comment
and blank line where it was; a file is replaced whole or not at all.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
    values: dict[str, Value | None] = {}
    for key, value in _flat(_table(text, path)):
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
        table, name = _place(document, key)
        table[name] = list(value) if isinstance(value, tuple) else value

    _change(path, change)


def unset(path: Path, key: str) -> bool:
    """Take a value out; whether there was one. Raises as `set_value`."""
    found: list[object] = []

    def change(document: TOMLDocument) -> None:
        table, name = _place(document, key)
        found.append(table.pop(name, None))
        if not table and table is not document:
            document.pop(key.rpartition(".")[0])

    if path.exists():
        _change(path, change)
    return any(value is not None for value in found)


def _table(text: str, path: Path) -> dict[str, Any]:
    """What a file's text says. Raises UsageError, with the line as far as that is known."""
    import tomllib  # noqa: PLC0415  10 ms that nobody without a configuration pays

    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # TOMLDecodeError is one; a number of too many digits another
        raise _fault(path, error) from error


def _fault(path: Path, error: Exception) -> UsageError:
    text = str(error)
    return UsageError(f"{path}: {text[:1].lower()}{text[1:].rstrip('.')}.", _MEND)


def _flat(table: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Each value, with its key as the settings spell it: `sessions.save` stands in the table `sessions`."""
    tables = {key.partition(".")[0] for key in settings.BY_KEY if "." in key}
    for key, value in table.items():
        if isinstance(value, dict) and key in tables:
            yield from ((f"{key}.{name}", inner) for name, inner in value.items())
        else:
            yield key, value


def _place(document: TOMLDocument, key: str) -> tuple[MutableMapping[str, Any], str]:
    """The table that a key stands in, which is made if there is none, and its name there."""
    head, _, name = key.rpartition(".")
    return (document.setdefault(head, {}) if head else document), name


def _change(path: Path, change: Callable[[TOMLDocument], None]) -> None:
    import tomlkit  # noqa: PLC0415  20 ms that only a change needs

    with locked(path):
        text = read_text(path, _MEND) if path.exists() else TEMPLATE
        _table(text, path)  # what is wrong with it is told as in `check`
        try:
            document = tomlkit.parse(text)
        except (ValueError, RecursionError) as error:
            raise _fault(path, error) from error
        change(document)
        replace_file(path, tomlkit.dumps(document))


def _line(text: str, key: str) -> str:
    """Where a key of the file stands."""
    name = re.escape(key.rpartition(".")[2])
    match = re.search(rf"""^\s*\[*\s*(?:\w+\s*\.\s*)?["']?{name}["']?\s*[=.\]]""", text, re.MULTILINE)
    return f", line {text.count(chr(10), 0, match.end()) + 1}" if match else ""
