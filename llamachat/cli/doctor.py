"""`llamachat doctor`: what this machine and this install can do, what is wrong, what mends it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from llamachat.cache import Cache
from llamachat.choices import Choices, Layer, Origin
from llamachat.cli import app
from llamachat.cli.app import Json, Yes
from llamachat.cli.assemble import choose, make_engine, make_library
from llamachat.cli.confirm import confirm
from llamachat.cli.faults import log_fault
from llamachat.cli.findings import Report, as_json
from llamachat.cli.output import say, write_json, write_text
from llamachat.doctor.examination import examine, exit_code
from llamachat.doctor.finding import Finding, Remedy
from llamachat.doctor.mending import mending
from llamachat.doctor.subject import Subject
from llamachat.engine import warm
from llamachat.engine.base import Engine
from llamachat.environment import Environment
from llamachat.errors import ExitCode, LlamachatError, StorageError, UsageError
from llamachat.models.sizes import size_in_words
from llamachat.settings import Value

_app = app.new()
_CONTEXT = 512  # tokens; enough to try an engine


def run(arguments: list[str], environment: Environment) -> int:
    """One command line after `llamachat doctor`; the exit code."""
    return app.run(_app, arguments, "llamachat doctor", environment) or ExitCode.DONE


@_app.command()
def doctor(
    context: typer.Context,
    fix: Annotated[bool, typer.Option("--fix", help="Build llama.cpp anew where that mends something.")] = False,
    clear_cache: Annotated[
        bool, typer.Option("--clear-cache", help="Remove what was kept of evaluated prompts; look at nothing else.")
    ] = False,
    stop_engines: Annotated[
        bool, typer.Option("--stop-engines", help="End the engines that one-shots have left; look at nothing else.")
    ] = False,
    yes: Yes = False,
    json: Json = False,
) -> int:
    """What this machine and this install can do, what is wrong, what mends it.

    Exit code 0 when a chat works, else the one that a chat would end with.
    """
    environment: Environment = context.obj
    if fix + clear_cache + stop_engines > 1:
        raise UsageError("--fix, --clear-cache and --stop-engines are given one at a time.")
    if clear_cache:
        _clear(environment, yes=yes, json=json)
        return ExitCode.DONE
    if stop_engines:
        _stop_engines(environment, json=json)
        return ExitCode.DONE
    findings = _report(environment, silent=json)
    if fix:
        if any(finding.remedy is Remedy.REBUILD for finding in findings):
            _rebuild(environment, yes=yes)
            findings = _report(environment, silent=json)
        else:
            say(environment, "llamachat: nothing here is mended by building llama.cpp anew.")
    if json:
        write_json(environment.stdout, as_json(findings))
    return exit_code(findings)


def _report(environment: Environment, *, silent: bool) -> list[Finding]:
    """What is found, each line as it is found unless `silent`."""
    findings: list[Finding] = []
    report = None if silent else Report(environment)
    for finding in examine(_subject(environment), lambda error: _fault(error, environment)):
        findings.append(finding)
        if report:
            report.write(finding)
    if report:
        report.end(findings)
    return findings


def _rebuild(environment: Environment, *, yes: bool) -> None:
    """Show the command, ask, and build. Raises EngineDied, with all as it was; Interrupted for a no."""
    with mending(environment) as plan:
        say(environment, f"llamachat: this builds llama.cpp anew, {plan.duration}, tries it, and installs it:")
        say(environment, f"  {plan.command}")
        confirm("Build it?", environment, yes=yes)
        plan.run()


def _clear(environment: Environment, *, yes: bool, json: bool) -> None:
    """Empty the cache after asking. Raises Interrupted for a no, StorageError if something is left."""
    cache = Cache(environment.paths.blocks)
    before = cache.usage()
    if before.n_blocks:
        size = size_in_words(before.n_bytes)
        confirm(f"Remove the snapshots in {cache.folder} ({size})?", environment, yes=yes)
    cache.clear()
    if cache.usage().n_blocks:
        raise StorageError(f"{cache.folder} cannot be emptied.", "Check its permissions.")
    if json:
        write_json(environment.stdout, {"freed_bytes": before.n_bytes})
    else:
        write_text(environment, f"There are no snapshots now; {size_in_words(before.n_bytes)} are free again.")


def _stop_engines(environment: Environment, *, json: bool) -> None:
    """End the engines that stay, those that answer after their answer."""
    count = warm.stop(environment.paths.warm)
    if json:
        write_json(environment.stdout, {"stopped": count})
    else:
        write_text(environment, f"{count or 'No'} {'engine was' if count == 1 else 'engines were'} ended.")


def _subject(environment: Environment) -> Subject:
    return Subject(
        environment,
        choose=lambda: choose({}, {}, environment),
        make_library=lambda: make_library(environment),
        make_engine=lambda path: _engine(path, environment),
    )


def _engine(path: Path, environment: Environment) -> Engine:
    """An engine for this file that is quick, and does not fight for the cores of a busy machine."""
    own: dict[str, Value | None] = {"threads": 1, "cache": "0", "engine.take_turns": False}
    values = {"model": str(path), "ctx_size": _CONTEXT, **own}
    return make_engine(Choices({Origin.FLAG: Layer(values)}), environment)


def _fault(error: BaseException, environment: Environment) -> LlamachatError:
    try:
        return log_fault(error, environment.paths)
    except StorageError:  # there is no place for a log
        return LlamachatError(f"a fault in llamachat: {error!r}.")
