"""A command line by Typer: options from the table of settings, errors as ours."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, TypeVar

import typer
from typer._click.exceptions import ClickException  # typer 0.28 vendors Click and does not export its root

from llamachat import settings
from llamachat.errors import UsageError
from llamachat.settings import BY_KEY, Group, Kind, Setting, Value

_INTERRUPTED = 130
Command = TypeVar("Command", bound=Callable[..., Any])


def new(help_: str | None = None) -> typer.Typer:
    return typer.Typer(add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False, help=help_)


def run(app: typer.Typer, arguments: list[str], name: str, context: object = None) -> Any:
    """What the command returns; None after a page of help. Raises UsageError, and BrokenPipeError for a closed pipe."""
    command = typer.main.get_command(app)
    try:
        result = command.main(args=arguments, prog_name=name, standalone_mode=False, obj=context)
    except ClickException as error:
        message = error.format_message().replace("\n", " ").rstrip(".")
        where = getattr(error, "ctx", None)  # the command of a group whose usage was wrong
        page = where.command_path if where else name
        raise UsageError(f"{message[0].lower()}{message[1:]}.", f"All options: {page} --help") from error
    except SystemExit as error:  # Click's answer to a reader that closed the pipe
        raise BrokenPipeError from error
    if result == _INTERRUPTED and type(result) is int:  # Typer's answer to Ctrl-C
        raise KeyboardInterrupt
    if sys.stdout:  # closed before we began
        sys.stdout.flush()
    return result


def options_of(group: Group) -> list[inspect.Parameter]:
    """The options of the settings of a group, for `with_parameters`."""
    return [_option(setting) for setting in BY_KEY.values() if setting.group is group and setting.flags]


def options(*keys: str) -> list[inspect.Parameter]:
    """The options of these settings."""
    return [_option(BY_KEY[key]) for key in keys]


def parameter(name: str, kind: Any, default: object, declaration: Any) -> inspect.Parameter:
    """A parameter of a command that is put together from a table."""
    annotation = Annotated[kind, declaration]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


Json = Annotated[bool, typer.Option("--json", help="As JSON.")]
Yes = Annotated[bool, typer.Option("-y", "--yes", help="Do not ask.")]
CONTEXT = inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
VARIABLES = parameter(
    "var",
    list[str] | None,
    None,
    typer.Option(
        metavar="NAME=VALUE", help="A value for a variable of the preset. Repeatable.", rich_help_panel=Group.PROMPT
    ),
)


def with_parameters(parameters: Iterable[inspect.Parameter]) -> Callable[[Command], Command]:
    """Declare a command's parameters; it takes them as keywords."""

    def declare(command: Command) -> Command:
        command.__signature__ = inspect.Signature(list(parameters))  # type: ignore[attr-defined]
        return command

    return declare


def flags(given: Mapping[str, Any]) -> dict[str, Value]:
    """The settings among a command's keywords. Raises UsageError for a value that a setting cannot have."""
    return {
        key: _value(setting, value)
        for key, setting in BY_KEY.items()
        if (value := given.get(setting.parameter)) is not None and value != []
    }


def variables(pairs: list[str] | None) -> dict[str, str]:
    """The values given with --var. Raises UsageError."""
    found: dict[str, str] = {}
    for pair in pairs or ():
        name, equals, value = pair.partition("=")
        if not (name and equals):
            raise UsageError(f"--var takes NAME=VALUE, not {pair!r}.", "Example: --var language=French")
        found[name.strip()] = settings.check_text(value, f"the value of {name}")
    return found


def _option(setting: Setting) -> inspect.Parameter:
    kinds = {Kind.SWITCH: bool | None, Kind.TEXTS: list[str] | None}
    declared: dict[str, Any] = {"help": _help(setting), "rich_help_panel": setting.group}
    if setting.kind is not Kind.SWITCH:
        declared["metavar"] = setting.metavar
    return parameter(
        setting.parameter, kinds.get(setting.kind, str | None), None, typer.Option(*setting.flags, **declared)
    )


def _help(setting: Setting) -> str:
    """The setting in a line, with what holds without it."""
    otherwise = setting.otherwise or settings.show(setting.default)
    if setting.kind is Kind.SWITCH or otherwise == settings.MODELS_OWN:
        return setting.help
    return f"{setting.help} [dim]\\[{otherwise}][/dim]"


def _value(setting: Setting, given: Any) -> Value:
    if isinstance(given, str):
        return setting.parse(given, "/".join(setting.flags))
    if isinstance(given, list):
        return tuple(settings.check_text(text, "/".join(setting.flags)) for text in given)
    return bool(given)
