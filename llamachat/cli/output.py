"""What commands print on stdout: JSON for scripts, lines and tables for people."""

from __future__ import annotations

import io
import json
import shutil
import textwrap
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, BinaryIO

import msgspec

from llamachat.environment import Environment
from llamachat.ui.sanitise import sanitise, sanitise_line

if TYPE_CHECKING:
    from llamachat.engine.base import Finished


def write_json(stdout: BinaryIO, value: Any) -> None:
    """One object on one line."""
    try:
        data = msgspec.json.encode(value)
    except UnicodeEncodeError:  # a path may be bytes that are no text
        data = msgspec.json.encode(_as_text(value))
    if stdout.isatty():
        data = _escaped(data.decode()).encode()
    stdout.write(data + b"\n")
    stdout.flush()


def _escaped(text: str) -> str:
    """JSON that means the same, with what acts on a terminal as escapes."""
    return "".join(character if sanitise(character) == character else json.dumps(character)[1:-1] for character in text)


def _as_text(value: Any) -> Any:
    """The same with every text one that can be written."""
    match value:
        case str():
            return value.encode("utf-8", "replace").decode()
        case dict():
            return {_as_text(key): _as_text(item) for key, item in value.items()}
        case list() | tuple():
            return [_as_text(item) for item in value]
    return value


def write_text(environment: Environment, text: str) -> None:
    """Text as it is into a pipe, harmless on a terminal, ending in one newline."""
    shown = sanitise(text) if environment.stdout_is_terminal else text
    encoding = environment.stdout_encoding if environment.stdout_is_terminal else "utf-8"
    environment.stdout.write(f"{shown.rstrip(chr(10))}\n".encode(encoding, "replace"))
    environment.stdout.flush()


def write_words(environment: Environment, text: str) -> None:
    """Running text on stdout, broken between words at the terminal's edge."""
    lines = _broken(text, width_of(environment)) if environment.stdout_is_terminal else [text]
    write_text(environment, "\n".join(lines))


def write_table(environment: Environment, rows: Sequence[Sequence[str]]) -> None:
    """Rows in columns on stdout: wrapped to the terminal there, one line a row in a pipe."""
    write_text(environment, _table(rows, width_of(environment) if environment.stdout_is_terminal else None))


def print_table(environment: Environment, rows: Sequence[Sequence[str]]) -> None:
    """The same on stderr, beside what a command answers."""
    with suppress(OSError):  # nobody to tell
        print(_table(rows, width_of(environment) if environment.stderr_is_terminal else None), file=environment.stderr)


def say(environment: Environment, text: str) -> None:
    """A line on stderr beside what a command answers, as it is: what is in it may be there to be copied."""
    with suppress(OSError):  # nobody to tell
        print(sanitise_line(text), file=environment.stderr)


def say_in_lines(environment: Environment, lines: Sequence[str]) -> None:
    """Running text on stderr, broken between words at the terminal's edge."""
    width = width_of(environment) if environment.stderr_is_terminal else None
    for line in lines:
        for part in [line] if width is None else _broken(line, width):
            say(environment, part)


def _broken(line: str, width: int) -> list[str]:
    indent = line[: len(line) - len(line.lstrip())]
    return textwrap.wrap(line, width, subsequent_indent=indent, break_on_hyphens=False, break_long_words=False) or [""]


def width_of(environment: Environment) -> int:
    """Columns of the terminal."""
    given = environment.variables.get("COLUMNS", "")
    return int(given) if given.isascii() and given.isdigit() and int(given) else shutil.get_terminal_size().columns


def _table(rows: Sequence[Sequence[str]], width: int | None) -> str:
    """`width` None: however long a line gets."""
    rows = [[sanitise_line(cell) for cell in row] for row in rows]
    if width is not None:
        return _wrapped(rows, width)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def _wrapped(rows: Sequence[Sequence[str]], width: int) -> str:
    from rich.console import Console  # noqa: PLC0415  40 ms that a pipe does not need
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table.grid(padding=(0, 2))
    for _ in rows[0] if rows else ():
        table.add_column(overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    console = Console(color_system=None, file=io.StringIO(), width=width)
    with console.capture() as captured:
        console.print(table)
    return captured.get().rstrip("\n")


def encode_answer(text: str, finished: Finished, model: dict[str, str | None], session: str | None) -> dict[str, Any]:
    """The contract's JSON object of an answer."""
    usage, timings, context = finished.usage, finished.timings, finished.context
    n_evaluated = usage.prompt_tokens - usage.reused_tokens
    return {
        "text": text,
        "finish_reason": str(finished.reason),
        "model": model,
        "session": session,
        "seed": finished.seed,
        "usage": {
            "prompt_tokens": usage.prompt_tokens,
            "reused_tokens": usage.reused_tokens,
            "completion_tokens": usage.completion_tokens,
        },
        "context": {"size": context.size, "used": context.used, "dropped_turns": context.dropped_turns},
        "timings": {
            "load": timings.load,
            "prefill": timings.prefill,
            "first_token": timings.first_token,
            "decode": timings.decode,
            "prefill_tps": n_evaluated / timings.prefill if n_evaluated and timings.prefill else None,
            "decode_tps": usage.completion_tokens / timings.decode if timings.decode else None,
        },
        "draft": asdict(finished.draft) if finished.draft else None,
    }
