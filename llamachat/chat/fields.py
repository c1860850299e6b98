"""JSON that somebody else wrote, read with care: each value knows its place, so that a mistake can be found."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from llamachat.chat.transcript import to_moment
from llamachat.errors import UsageError

_MOST_DIGITS = sys.int_info.str_digits_check_threshold  # of a number that Python reads in any case
_MOST_BYTES = 1 << 30


def _whole(digits: str) -> int | None:
    return int(digits) if len(digits) <= _MOST_DIGITS else None


def _finite(digits: str) -> float | None:
    """Null for what is no JSON: Infinity and NaN, and 1e999, which would become one of them."""
    number = float(digits)
    return number if math.isfinite(number) else None


@dataclass(frozen=True, slots=True)
class Field:
    """A value and where it stands: `chats.json: messages[3].role`. Its methods raise UsageError."""

    value: Any
    file: str
    path: str = ""

    @classmethod
    def of_file(cls, path: Path) -> Field:
        try:
            with path.open("rb") as file:
                data = file.read(_MOST_BYTES + 1)
            if len(data) > _MOST_BYTES:  # a device may never end
                raise UsageError(f"{path} is larger than {_MOST_BYTES >> 30} GiB.", "Nothing was imported.")
            value = json.loads(data, parse_int=_whole, parse_float=_finite, parse_constant=_finite)
            return cls(value, str(path))
        except json.JSONDecodeError as error:
            where = f"line {error.lineno}, column {error.colno}"
            message = f"{path}, {where}: this is not JSON ({error.msg.lower()})."
            raise UsageError(message, "Nothing was imported.") from error
        except UnicodeDecodeError as error:
            raise UsageError(f"{path} is not UTF-8 text.", "sessions import takes JSON files.") from error
        except RecursionError as error:
            raise UsageError(f"{path} is nested too deeply.", "sessions import takes JSON files.") from error
        except OSError as error:
            raise UsageError(f"{path} cannot be read: {error.strerror}.", "Check the path.") from error

    def has(self, key: str) -> bool:
        return isinstance(self.value, dict) and key in self.value

    def __getitem__(self, key: str) -> Field:
        """A member; one that is not there is null."""
        if not isinstance(self.value, dict):
            raise self.wrong("an object")
        return Field(self.value.get(key), self.file, f"{self.path}.{key}" if self.path else key)

    def items(self) -> Iterator[Field]:
        """The elements of a list."""
        if not isinstance(self.value, list):
            raise self.wrong("a list")
        return (Field(value, self.file, f"{self.path}[{index}]") for index, value in enumerate(self.value))

    def members(self) -> Iterator[tuple[str, Field]]:
        """The members of an object."""
        if not isinstance(self.value, dict):
            raise self.wrong("an object")
        return ((key, self[key]) for key in self.value)

    def text(self) -> str:
        if not isinstance(self.value, str):
            raise self.wrong("text")
        return self.value

    def text_or_none(self) -> str | None:
        return None if self.value is None else self.text()

    def whole_or_none(self) -> int | None:
        if self.value is None:
            return None
        if not isinstance(self.value, int) or isinstance(self.value, bool) or abs(self.value) >= 1 << 53:
            raise self.wrong("a whole number")
        return self.value

    def whole(self) -> int:
        number = self.whole_or_none()
        if number is None:
            raise self.wrong("a whole number")
        return number

    def moment(self) -> datetime | None:
        """A time as ISO 8601 or in seconds since 1970; None for null."""
        try:
            if isinstance(self.value, int | float):
                return datetime.fromtimestamp(self.value, UTC)
            return None if self.value is None else to_moment(self.text())
        except (ValueError, OverflowError, OSError) as error:
            raise self.wrong("a time") from error

    def wrong(self, wanted: str) -> UsageError:
        return self.error(f"this should be {wanted}.")

    def error(self, message: str) -> UsageError:
        place = f"{self.file}: {self.path}" if self.path else self.file
        return UsageError(f"{place}: {message}", "Nothing was imported.")
