"""The command line of a chat."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from llamachat import __version__
from llamachat.cli import app
from llamachat.cli.app import parameter
from llamachat.cli.options import ChatOptions
from llamachat.errors import UsageError
from llamachat.settings import Group

_app = app.new()


def parse(arguments: list[str]) -> ChatOptions | None:
    """The options of a chat; None when the answer was a page of help. Raises UsageError."""
    result = app.run(_app, _with_empty_resume(arguments), "llamachat")
    if not isinstance(result, ChatOptions):
        return None
    if result.messages is not None and (result.prompt or result.files):
        raise UsageError("--messages is the whole conversation, and a prompt or -f cannot be added to it.")
    if (result.continues or result.resume is not None) and result.messages is not None:
        raise UsageError("--messages is the whole conversation, and goes on with no other.")
    if result.continues and result.resume is not None:
        raise UsageError("-c goes on with the latest chat, --resume with the one it names: give one of them.")
    asks = result.prompt or result.files or result.messages or result.continues or result.resume is not None
    if result.tune and (asks or result.dry_run):
        raise UsageError("--tune measures a model and asks nothing.", "Run it alone: llamachat --tune -m MODEL")
    return result


def _with_empty_resume(arguments: list[str]) -> list[str]:
    """The same with an empty ID where --resume has none: at the end, or before another option. Click knows no such."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    following = [*arguments[1:], "--"]
    return [
        f"{argument}=" if place < end and argument == "--resume" and after.startswith("-") else argument
        for place, (argument, after) in enumerate(zip(arguments, following, strict=False))
    ]


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"llamachat {__version__}")
        raise typer.Exit


def _switch(name: str, help_: str, **options: Any) -> Any:
    option = typer.Option(f"--{name}", help=help_, rich_help_panel=Group.OUTPUT, **options)
    return parameter(name.replace("-", "_"), bool, False, option)


_PARAMETERS = (
    parameter(
        "prompt",
        list[str] | None,
        None,
        typer.Argument(help="What to ask, once. Leave it out to chat.", show_default=False),
    ),
    parameter(
        "file",
        list[Path] | None,
        None,
        typer.Option(
            "-f", "--file", help="Put this file's text before the prompt. Repeatable.", rich_help_panel=Group.PROMPT
        ),
    ),
    *app.options_of(Group.PROMPT),
    app.VARIABLES,
    parameter(
        "messages",
        str | None,
        None,
        typer.Option(
            metavar="FILE|-",
            help='A whole conversation: a JSON list of {"role", "content"}.',
            rich_help_panel=Group.PROMPT,
        ),
    ),
    parameter(
        "continue_",
        bool,
        False,
        typer.Option("-c", "--continue", help="Go on with the latest chat.", rich_help_panel=Group.PROMPT),
    ),
    parameter(
        "resume",
        str | None,
        None,
        typer.Option(
            metavar="[ID]",
            help="Go on with this session, with its model and preset. Without an ID, at the end or before another "
            "option: pick one from a list.",
            rich_help_panel=Group.PROMPT,
        ),
    ),
    *app.options_of(Group.MODEL),
    parameter(
        "tune",
        bool,
        False,
        typer.Option("--tune", help="Measure what suits this model here; ask nothing.", rich_help_panel=Group.MODEL),
    ),
    *app.options_of(Group.SAMPLING),
    _switch("json", "One JSON object: the answer, and what it took."),
    _switch("dry-run", "Show the prompt as the model would get it; ask nothing."),
    *app.options_of(Group.OUTPUT),
    _switch("debug", "Show where an error comes from."),
    _switch("version", "Show the version and exit.", callback=_show_version, is_eager=True),
)


@_app.command(
    epilog="Piped input comes before PROMPT, files before both. Without any of them: a chat. "
    "Other commands, each with --help: llamachat pull, models, presets, sessions, config, doctor, bench."
)
@app.with_parameters(_PARAMETERS)
def chat(**given: Any) -> ChatOptions:
    """Chat with a local model, or ask one thing.

    llamachat · llamachat "why is the sky blue?" · git diff | llamachat -p reviewer
    """
    return ChatOptions(
        prompt=tuple(given["prompt"] or ()),
        files=tuple(given["file"] or ()),
        messages=given["messages"],
        continues=given["continue_"],
        resume=given["resume"],
        flags=app.flags(given),
        variables=app.variables(given["var"]),
        json=given["json"],
        dry_run=given["dry_run"],
        tune=given["tune"],
        debug=given["debug"],
    )
