"""The program's entry: parse, assemble, run, and the one place that prints an error or exits."""

from __future__ import annotations

import os
import subprocess
import sys
import traceback
from contextlib import suppress

from llamachat import __version__
from llamachat.cli.faults import log_fault
from llamachat.cli.options import ChatOptions
from llamachat.engine.launch import discard, launch
from llamachat.environment import Environment
from llamachat.errors import ExitCode, Interrupted, LlamachatError, UsageError

_COMMANDS = ("pull", "models", "presets", "sessions", "config", "doctor", "bench")  # names the contract reserves


def run() -> None:
    """The console script."""
    sys.exit(main(sys.argv[1:], Environment.of_process()))


def main(arguments: list[str], environment: Environment) -> int:
    """Run one command line; the exit code."""
    if arguments == ["--version"]:  # before anything is imported for it
        environment.stdout.write(f"llamachat {__version__}\n".encode())
        return ExitCode.DONE
    debug = "--debug" in arguments
    try:
        return _dispatch(arguments, environment)
    except BrokenPipeError:
        _abandon_stdout()
        return ExitCode.DONE
    except KeyboardInterrupt:
        return _report(Interrupted("interrupted."), arguments, environment)
    except LlamachatError as error:
        if debug:
            traceback.print_exc()
        return _report(error, arguments, environment)
    except Exception as error:  # the boundary: a fault of ours
        if debug:
            raise
        return _report(log_fault(error, environment.paths), arguments, environment)


def _dispatch(arguments: list[str], environment: Environment) -> int:
    if arguments and arguments[0] in _COMMANDS:
        word = arguments[0]
        raise UsageError(
            f"this version has no command {word!r}.", f"To ask a question that begins so: llamachat -- {word} …"
        )
    if {"--help", "--version"} & set(_before_prompt(arguments)):
        _parse(arguments)
        return ExitCode.DONE
    environment.paths.make()
    child = launch(environment.paths.engine_log)  # llama.cpp is loaded while the libraries here are
    try:
        options = _parse(arguments)
        return ExitCode.DONE if options is None else _chat(options, environment, child)
    finally:
        discard(child)


def _parse(arguments: list[str]) -> ChatOptions | None:
    from llamachat.cli.parse import parse  # noqa: PLC0415  typer, 60 ms

    return parse(arguments)


def _chat(options: ChatOptions, environment: Environment, child: subprocess.Popen[bytes]) -> int:
    from llamachat.cli import oneshot  # noqa: PLC0415  msgspec, 40 ms

    if oneshot.is_wanted(options, environment):
        return oneshot.run(options, environment, child)
    from llamachat.cli import interactive  # noqa: PLC0415  prompt_toolkit, 120 ms

    return interactive.run(options, environment, child)


def _report(error: LlamachatError, arguments: list[str], environment: Environment) -> int:
    """Say what went wrong where the caller looks for it: stderr, or stdout as JSON."""
    from llamachat.ui.sanitise import sanitise_line  # noqa: PLC0415

    if "--json" in _before_prompt(arguments):
        from llamachat.cli.output import write_json  # noqa: PLC0415

        failure = {"code": int(error.code), "message": error.message, "hint": error.hint}
        with suppress(BrokenPipeError):
            write_json(environment.stdout, {"error": failure})
    elif not isinstance(error, Interrupted):
        print(f"llamachat: {sanitise_line(str(error))}", file=environment.stderr)
    return int(error.code)


def _before_prompt(arguments: list[str]) -> list[str]:
    """The arguments that can be options: those before `--`."""
    return arguments[: arguments.index("--")] if "--" in arguments else arguments


def _abandon_stdout() -> None:
    """The reader has gone: let Python's own flush at exit find nowhere to fail."""
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
