"""`llamachat bench`: prefill, decode and first token here, against raw llama.cpp."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import typer

from llamachat.bench.report import Report
from llamachat.bench.rounds import Wish
from llamachat.bench.run import Run
from llamachat.bench.yardstick import RawProcess
from llamachat.choices import Choices
from llamachat.cli import app
from llamachat.cli.app import parameter
from llamachat.cli.assemble import choose, make_engine, make_library
from llamachat.cli.figures import lines_of
from llamachat.cli.look import is_plain, theme_for
from llamachat.cli.output import write_json
from llamachat.engine.base import Event, Loading, Notice
from llamachat.engine.ladder import Ladder
from llamachat.environment import Environment
from llamachat.errors import ExitCode, Interrupted, StorageError, UsageError
from llamachat.paths import replace_file
from llamachat.settings import Group, Value
from llamachat.ui.background import guess
from llamachat.ui.status import Status
from llamachat.ui.theme import Background, Theme, theme

_app = app.new()
_SETTINGS = ("model", "ctx_size", "threads", "gpu_layers", "kv_type", "plain", "quiet")
_SECONDS, _QUICK_SECONDS = 300.0, 30.0  # that measuring may take, about
# What was read before must be read again, and nothing kept; the raw loop waits for nobody, so neither do we.
_WITHOUT: Mapping[str, Value] = {"cache": "0", "engine.take_turns": False, "engine.idle_unload": "0"}
_HELP = "What is measured"
_PIPE_COLUMNS = 80
_BARE: Theme = theme(Background.DARK, colour=False, attributes=False, encoding="utf-8")


@dataclass(frozen=True, slots=True)
class BenchOptions:
    """What the command line asked for."""

    depths: tuple[int, ...] = ()
    is_quick: bool = False
    svg: Path | None = None
    json: bool = False
    flags: Mapping[str, Value] = field(default_factory=dict)


@_app.command()
@app.with_parameters(
    (
        parameter(
            "quick",
            bool,
            False,
            typer.Option("--quick", help="In about half a minute, not five.", rich_help_panel=_HELP),
        ),
        parameter(
            "depth",
            list[int] | None,
            None,
            typer.Option(
                metavar="N",
                min=0,
                help="Behind so many tokens, however long it takes. Repeatable.",
                rich_help_panel=_HELP,
            ),
        ),
        *app.options(*_SETTINGS),
        parameter("json", bool, False, typer.Option("--json", help="As JSON.", rich_help_panel=Group.OUTPUT)),
        parameter(
            "svg",
            Path | None,
            None,
            typer.Option(metavar="FILE", help="Write the chart to this file, too.", rich_help_panel=Group.OUTPUT),
        ),
    )
)
def bench(**given: Any) -> BenchOptions:
    """Measure prefill, decode and first token: this machine against raw llama.cpp.

    Both use the same library, model and threads, in turns. Nothing is kept.
    """
    depths = tuple(sorted(set(given["depth"] or ())))
    return BenchOptions(depths, given["quick"], given["svg"], given["json"], app.flags(given))


def run(arguments: list[str], environment: Environment) -> ExitCode:
    """One command line after `llamachat bench`; the exit code."""
    options = app.run(_app, arguments, "llamachat bench", environment)
    if not isinstance(options, BenchOptions):  # a page of help
        return ExitCode.DONE
    if options.svg is not None:
        _check_writable(options.svg)
    choices = choose({**options.flags, **_WITHOUT}, {}, environment)
    environment.paths.make()
    status = Status(environment, quiet=choices.switch("quiet") or options.json, plain=choices.switch("plain"))
    is_interrupted = False
    with _new_run(options, choices, environment, status) as measuring:
        try:
            measuring.measure()
        except KeyboardInterrupt:
            is_interrupted = True
        finally:
            status.clear()
    report = measuring.report()
    if report is None:
        raise Interrupted("interrupted.")
    if not options.json:
        _show(report, choices, environment, is_interrupted=is_interrupted)
    if options.svg is not None:
        replace_file(options.svg, report.as_svg())
    if options.json:  # one object: this, or the error that the file cannot be written
        write_json(environment.stdout, report.as_json(is_interrupted=is_interrupted))
    return ExitCode.INTERRUPTED if is_interrupted else ExitCode.DONE


def _new_run(options: BenchOptions, choices: Choices, environment: Environment, status: Status) -> Run:
    """Raises ModelError."""
    engine = make_engine(choices, environment)
    family = make_library(environment).find(choices.text("model"), Path()).family
    ladder, log = Ladder(environment.paths.ladder), environment.paths.engine_log

    def on_event(event: Event) -> None:
        if isinstance(event, Loading):
            status.progress(event)
        elif isinstance(event, Notice):
            status.notice(event.text)

    return Run(
        engine,
        engine.options,
        Wish(options.depths, options.is_quick, _QUICK_SECONDS if options.is_quick else _SECONDS),
        rung=lambda: ladder.rung(family),
        raw=lambda model: RawProcess(log, model),
        on_event=on_event,
        on_step=lambda text: status.show(f"{text}…"),
    )


def _show(report: Report, choices: Choices, environment: Environment, *, is_interrupted: bool) -> None:
    is_terminal = environment.stdout_is_terminal
    lines = lines_of(
        report,
        theme_for(choices, guess(environment.variables), environment) if is_terminal else _BARE,
        environment.columns if is_terminal else _PIPE_COLUMNS,
        with_bars=not is_plain(choices, environment),
        is_interrupted=is_interrupted,
    )
    encoding = environment.stdout_encoding if is_terminal else "utf-8"
    environment.stdout.write("".join(f"{line}\n" for line in lines).encode(encoding, "replace"))
    environment.stdout.flush()


def _check_writable(path: Path) -> None:
    """Before minutes are spent: whether the chart can go there. Only another SVG is written over."""
    if path.is_dir():
        raise UsageError(f"{path} is a folder.", "Name a file: --svg bench.svg")
    if path.exists() and not _is_svg(path):
        raise UsageError(f"{path} is there already, and is no SVG.", "Name another file: --svg bench.svg")
    folder = next(each for each in path.absolute().parents if each.exists())
    try:
        TemporaryFile(dir=folder).close()
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror}.", "Name a file elsewhere.") from error


def _is_svg(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            start = file.read(256).lstrip()
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error.strerror}.", "Name another file.") from error
    return not start or start.startswith((b"<svg", b"<?xml"))
