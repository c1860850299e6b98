"""`llamachat config`: what is chosen and where, and the file that chooses for all chats to come."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from llamachat import config, presets, settings
from llamachat.choices import Choice, Origin
from llamachat.cli import app, editor
from llamachat.cli.app import Json
from llamachat.cli.assemble import choose
from llamachat.cli.output import write_json, write_table, write_text
from llamachat.environment import Environment
from llamachat.presets import Shelf
from llamachat.settings import Group, Kind, Value

_app = app.new("The configuration: what llamachat uses unless told otherwise.")
_Key = Annotated[str, typer.Argument(help="A name that `config list` shows.", show_default=False)]
_JSON = app.parameter("json", bool, False, typer.Option("--json", help="As JSON."))


def run(arguments: list[str], environment: Environment) -> None:
    """One command line after `llamachat config`."""
    app.run(_app, arguments, "llamachat config", environment)


@_app.callback(invoke_without_command=True)
def _default(context: typer.Context, json: Json = False) -> None:
    if context.invoked_subcommand is None:
        list_(context=context, json=json)


@_app.command("list")
@app.with_parameters(
    (app.CONTEXT, _JSON, app.VARIABLES, *(option for group in Group for option in app.options_of(group)))
)
def list_(**given: Any) -> None:
    """Every setting: its value in force and where it comes from. With options of a chat: as they would make it."""
    environment: Environment = given["context"].obj
    choices = choose(app.flags(given), app.variables(given.get("var")), environment)
    found = [choices.find(key) for key in settings.BY_KEY]
    if given["json"]:
        write_json(environment.stdout, [_as_json(choice) for choice in found])
        return
    write_table(environment, [(choice.setting.key, _value(choice), _origin(choice)) for choice in found])


@_app.command()
def get(context: typer.Context, key: _Key, json: Json = False) -> None:
    """The value in force of one setting; an empty line where it is left to the model and the machine."""
    environment: Environment = context.obj
    choice = choose({}, {}, environment).find(settings.find(key).key)
    if json:
        write_json(environment.stdout, _as_json(choice))
    elif isinstance(choice.value, tuple):
        write_text(environment, "\n".join(choice.value))
    else:
        write_text(environment, settings.show(choice.value))


@_app.command("set")
def set_(
    context: typer.Context,
    key: _Key,
    value: Annotated[list[str], typer.Argument(help="The value; for stop, one or more.", show_default=False)],
) -> None:
    """Write a value into the configuration file; comments stay."""
    environment: Environment = context.obj
    setting = settings.find(key)
    path = environment.paths.config_file
    checked: Value = tuple(value) if setting.kind is Kind.TEXTS else setting.parse(" ".join(value), setting.key)
    if setting.key == "preset" and checked != presets.NONE:
        Shelf(environment.paths.presets).get(str(checked))
    config.set_value(path, setting.key, checked)
    write_text(environment, f"{setting.key} = {settings.show(checked)}  (in {path})")
    if setting.variable in environment.variables:
        print(f"llamachat: {setting.variable} is set and wins over it.", file=environment.stderr)


@_app.command()
def unset(context: typer.Context, key: _Key) -> None:
    """Take a value out of the configuration file."""
    environment: Environment = context.obj
    setting = settings.find(key)
    path = environment.paths.config_file
    was_there = config.unset(path, setting.key)
    write_text(environment, f"{setting.key} is {'no longer' if was_there else 'not'} set in {path}")


@_app.command()
def path(context: typer.Context) -> None:
    """Where the configuration file is."""
    environment: Environment = context.obj
    write_text(environment, str(environment.paths.config_file))


@_app.command()
def edit(context: typer.Context) -> None:
    """Open the configuration file in your editor; it is checked before it is saved."""
    environment: Environment = context.obj
    file = environment.paths.config_file
    start = file.read_bytes() if file.is_file() else config.TEMPLATE.encode()
    changed = editor.edit(file, start, lambda text: config.check(text, file), environment)
    write_text(environment, str(file) if changed else "Nothing was changed.")


def _as_json(choice: Choice) -> dict[str, Any]:
    return {
        "key": choice.setting.key,
        "value": choice.value,
        "origin": str(choice.origin),
        "place": choice.place or None,
        "default": choice.setting.default,
    }


def _value(choice: Choice) -> str:
    if choice.value is None:
        return f"({choice.setting.otherwise})"
    text = settings.show(choice.value)
    return f"{text[:60]}…" if len(text) > 60 else text


def _origin(choice: Choice) -> str:
    match choice.origin:
        case Origin.PRESET | Origin.DEFAULT_PRESET:
            return choice.place
        case Origin.FILE | Origin.ENVIRONMENT:
            return f"{choice.origin}: {choice.place}"
    return str(choice.origin)
