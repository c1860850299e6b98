"""The program's entry: parse, assemble, run, and the one place that prints an error or exits."""

from __future__ import annotations

import errno
import importlib
import os
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from llamachat import __version__
from llamachat.cli.faults import log_fault
from llamachat.cli.options import ChatOptions
from llamachat.environment import Environment
from llamachat.errors import ExitCode, Interrupted, LlamachatError, StorageError
from llamachat.paths import Paths

if TYPE_CHECKING:
    import subprocess

_DISK_ERRORS = (errno.ENOSPC, errno.EIO, getattr(errno, "EDQUOT", errno.ENOSPC))
_PLACE_ERRORS = (
    *(errno.EACCES, errno.EPERM, errno.ENAMETOOLONG, errno.EROFS),
    *(errno.ENOTDIR, errno.EISDIR, errno.ELOOP),
)
_COMMANDS = {  # modules that are imported when they are called
    "pull": "llamachat.cli.pull",
    "models": "llamachat.cli.models",
    "presets": "llamachat.cli.presets",
    "config": "llamachat.cli.config",
    "sessions": "llamachat.cli.sessions",
    "doctor": "llamachat.cli.doctor",
    "bench": "llamachat.cli.bench",
}


def run() -> None:
    """The console script."""
    sys.exit(main(sys.argv[1:], Environment.of_process()))


def main(arguments: list[str], environment: Environment) -> int:
    """Run one command line; the exit code."""
    try:
        if arguments == ["--version"]:  # before anything is imported for it
            environment.stdout.write(f"llamachat {__version__}\n".encode())
            environment.stdout.flush()
            return ExitCode.DONE
        return _dispatch(arguments, environment)
    except BrokenPipeError:  # the reader has what it wanted
        _abandon_stdout()
        return ExitCode.DONE
    except (Exception, KeyboardInterrupt) as error:  # the boundary: every error ends here
        if "--debug" in _before_prompt(arguments):
            traceback.print_exc()
        code = _report(_error_for_user(error, environment), arguments, environment)
        if isinstance(error, OSError):
            _abandon_stdout()  # what could not be written would fail once more at exit
        return code


def _error_for_user(error: BaseException, environment: Environment) -> LlamachatError:
    """The error to show: ours as it is, a full disk as what it is, anything else as a fault of ours."""
    if isinstance(error, LlamachatError):
        return error
    if isinstance(error, KeyboardInterrupt):
        return Interrupted("interrupted.")
    if isinstance(error, OSError) and error.errno in _DISK_ERRORS:
        return StorageError(f"the output cannot be written: {error.strerror}.", "Make room, or write elsewhere.")
    if isinstance(error, OSError) and error.filename is not None and error.errno in _PLACE_ERRORS:
        place = os.fsdecode(error.filename)
        return StorageError(f"{place} cannot be used: {error.strerror}.", "Check its permissions.")
    return log_fault(error, environment.paths)


def _dispatch(arguments: list[str], environment: Environment) -> int:
    word = arguments[0] if arguments else ""
    if word in _COMMANDS:
        return importlib.import_module(_COMMANDS[word]).run(arguments[1:], environment) or ExitCode.DONE
    if {"--help", "--version"} & set(_before_prompt(arguments)):
        _parse(arguments)
        return ExitCode.DONE
    environment.paths.make()
    with _engine_process(environment.paths) as child:  # llama.cpp is loaded while the libraries here are
        options = _parse(arguments)
        return ExitCode.DONE if options is None else _chat(options, environment, child)


@contextmanager
def _engine_process(paths: Paths) -> Iterator[subprocess.Popen[bytes] | None]:
    """An engine's process, gone at the end whatever happened, unless it is to stay. None where one may have stayed."""
    if _may_have_stayed(paths):
        yield None
        return
    from llamachat.engine.launch import discard, launch  # noqa: PLC0415  subprocess, 15 ms that --help does not need

    child = launch(paths.engine_log)
    try:
        yield child
    finally:
        discard(child)


def _may_have_stayed(paths: Paths) -> bool:
    """Whether there is a socket of an engine, of whatever model; its time is when that ends (engine/stay.py)."""
    with suppress(OSError):
        return any(place.lstat().st_mtime > time.time() for place in paths.warm.iterdir())
    return False


def _parse(arguments: list[str]) -> ChatOptions | None:
    from llamachat.cli.parse import parse  # noqa: PLC0415  typer, 60 ms

    return parse(arguments)


def _chat(options: ChatOptions, environment: Environment, child: subprocess.Popen[bytes] | None) -> int:
    if options.tune:
        from llamachat.cli import tune  # noqa: PLC0415

        return tune.run(options, environment, child)
    if options.asks or not environment.stdin_is_terminal:
        from llamachat.cli import oneshot  # noqa: PLC0415  msgspec, 40 ms

        return oneshot.run(options, environment, child)
    from llamachat.cli import interactive  # noqa: PLC0415  prompt_toolkit, 120 ms

    return interactive.run(options, environment, child)


def _report(error: LlamachatError, arguments: list[str], environment: Environment) -> int:
    """Say what went wrong where the caller looks for it: stderr, or stdout as JSON."""
    from llamachat.ui.sanitise import sanitise_line  # noqa: PLC0415

    if "--json" in _before_prompt(arguments):
        from llamachat.cli.output import write_json  # noqa: PLC0415

        failure = {"code": int(error.code), "message": error.message, "hint": error.hint}
        try:
            write_json(environment.stdout, {"error": failure})
            return int(error.code)
        except OSError:  # stdout is what is broken
            _abandon_stdout()
    if not isinstance(error, Interrupted):
        with suppress(OSError):
            print(f"llamachat: {sanitise_line(str(error))}", file=environment.stderr)
    return int(error.code)


def _before_prompt(arguments: list[str]) -> list[str]:
    """The arguments that can be options: those before `--`."""
    return arguments[: arguments.index("--")] if "--" in arguments else arguments


def _abandon_stdout() -> None:
    """Let Python's own flush at exit find nowhere to fail."""
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
