"""The chat at a terminal: puts the REPL together."""

from __future__ import annotations

from datetime import UTC, datetime

from llamachat import __version__
from llamachat.cli.assemble import Child, choose, make_engine, make_library
from llamachat.cli.faults import log_fault
from llamachat.cli.options import ChatOptions
from llamachat.engine.process import EngineProcess
from llamachat.environment import Environment
from llamachat.errors import ExitCode
from llamachat.models.library import NoModel
from llamachat.paths import private_file
from llamachat.presets import Shelf
from llamachat.ui.prompt import Prompt
from llamachat.ui.repl import Repl
from llamachat.ui.screen import Screen
from llamachat.ui.terminal import collecting_keys


def run(options: ChatOptions, environment: Environment, child: Child) -> int:
    """Chat until the user leaves; the exit code."""
    choices = choose(options.flags, options.variables, environment)
    try:
        engine = make_engine(choices, environment, child)
    except NoModel:
        from llamachat.cli import first  # noqa: PLC0415  what pulls a model, 15 ms that are needed once

        first.offer(choices, environment)
        engine = make_engine(choices, environment, child)
    engine.start()  # it loads while the line editor is set up
    plain = choices.switch("plain") or environment.wants_plain
    screen = Screen(environment, quiet=choices.switch("quiet"), plain=plain)
    repl = Repl(
        engine,
        choices,
        Shelf(environment.paths.presets),
        screen,
        make_engine=lambda choices: make_engine(choices, environment),
        log_fault=lambda error: log_fault(error, environment.paths),
        on_answer=lambda path: make_library(environment).touch(path, datetime.now(UTC)),
    )
    try:
        with collecting_keys(environment.stdin) as early:
            if not choices.switch("quiet"):
                _greet(screen, engine)
            repl.run(_prompt(repl, environment, plain=plain), early.splitlines())
    finally:
        repl.engine.close()
    return ExitCode.DONE


def _prompt(repl: Repl, environment: Environment, *, plain: bool) -> Prompt:
    return Prompt(
        history=private_file(environment.paths.history),
        toolbar=repl.toolbar,
        completions=repl.completions,
        plain=plain,
        colour=environment.wants_colour,
    )


def _greet(screen: Screen, engine: EngineProcess) -> None:
    """Which model this is, how to get Llama 2, how to get help: three lines."""
    screen.line(f"llamachat {__version__} · {engine.options.name}", "bold")
    if engine.options.is_starter:
        screen.line("A small starter model. For Llama 2: llamachat pull llama-2-7b-chat")
    screen.line("/help lists the commands, Ctrl-C stops an answer, Ctrl-D leaves.", "dim")
