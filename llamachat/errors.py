"""Every error a user can meet, each with its exit code and the next thing to do.

    LlamachatError                 1   a fault of ours
    ├── UsageError                 2   options, empty or binary input
    │   └── ForbiddenTag           2   a format's own tag inside a message
    ├── ModelError                 3   no such model, or a file that is no usable GGUF
    ├── ContextOverflow            4   the prompt does not fit the context
    ├── EngineDied                 5   the engine process ended unasked
    ├── DownloadError              6   a file could not be fetched, or is not what it should be
    ├── StorageError               9   disk full, not writable, corrupt
    └── Interrupted              130   Ctrl-C

Foreign errors become one of these where they enter: the operating system's in `cli/` and `paths`,
llama.cpp's return codes in `llama/`, a broken pipe to the engine in `engine/process`. Only
`cli/main.py` prints an error or exits.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum


class ExitCode(IntEnum):
    """The documented exit codes of the command line (docs/command-line.md)."""

    DONE = 0
    BUG = 1
    USAGE = 2
    MODEL = 3
    CONTEXT = 4
    ENGINE = 5
    DOWNLOAD = 6
    STORAGE = 9
    INTERRUPTED = 130


class LlamachatError(Exception):
    """The root. `message` is one line that names the thing; `hint` names the next command, or is empty."""

    code = ExitCode.BUG

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".rstrip()


class UsageError(LlamachatError):
    """The command line, or what it was given to read, is not usable."""

    code = ExitCode.USAGE


class ForbiddenTag(UsageError):
    """A message contains a tag that frames turns in this format, and would forge one.

    `index` is the message's place in the conversation (0-based), `offset` the tag's place in its
    content (characters): whoever composed the message turns them into a file name and a line.
    """

    def __init__(self, tag: str, index: int, role: str, offset: int) -> None:
        super().__init__(
            f"the {role} message contains {tag}, which frames turns in this model's format.",
            "Remove it, or send it as plain text with --raw-tags.",
        )
        self.tag = tag
        self.index = index
        self.role = role
        self.offset = offset


class ModelError(LlamachatError):
    """There is no such model, or the file is no GGUF that llama.cpp can use."""

    code = ExitCode.MODEL


class ContextOverflow(LlamachatError):
    """The prompt has `n_tokens`, the context holds `n_ctx`, and an answer needs room in it."""

    code = ExitCode.CONTEXT

    def __init__(self, n_tokens: int, n_ctx: int, *, hint: str = "") -> None:
        super().__init__(
            f"the prompt is {n_tokens:,} tokens, and the context holds {n_ctx:,} with room for an answer.",
            hint or "Shorten it, or choose a larger context with --ctx-size.",
        )
        self.n_tokens = n_tokens
        self.n_ctx = n_ctx


class EngineDied(LlamachatError):
    """The engine process ended unasked; `restarts` tells whether the next request will find another."""

    code = ExitCode.ENGINE

    def __init__(self, message: str, hint: str = "", *, restarts: bool = False) -> None:
        super().__init__(message, hint)
        self.restarts = restarts


class DownloadError(LlamachatError):
    """A model could not be fetched, or what came is not what the Hub says it is."""

    code = ExitCode.DOWNLOAD


class StorageError(LlamachatError):
    """A file of ours cannot be written or read."""

    code = ExitCode.STORAGE


class Interrupted(LlamachatError):
    """The user pressed Ctrl-C (or the process got SIGINT) before there was anything to keep."""

    code = ExitCode.INTERRUPTED


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The hint for a name that does not exist: the nearest that does. Empty when none is near."""
    from difflib import get_close_matches  # noqa: PLC0415  only on the way to an error

    near = get_close_matches(name, list(known), n=1)
    return f"Did you mean {near[0]}?" if near else ""
