"""`llamachat presets`: see, make, change and remove presets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from llamachat import preset as preset_file
from llamachat.cli import app, editor
from llamachat.cli.app import Json, Yes
from llamachat.cli.confirm import confirm
from llamachat.cli.output import write_json, write_table, write_text
from llamachat.cli.prompt import piped_text
from llamachat.environment import Environment
from llamachat.errors import StorageError, UsageError
from llamachat.paths import read_text, replace_file
from llamachat.preset import Preset
from llamachat.presets import Broken, Shelf
from llamachat.settings import check_text

_app = app.new("Presets: system prompts and settings under a name.")
_Name = Annotated[str, typer.Argument(help="The preset's name.", show_default=False)]


def run(arguments: list[str], environment: Environment) -> None:
    """One command line after `llamachat presets`."""
    app.run(_app, arguments, "llamachat presets", environment)


@_app.callback(invoke_without_command=True)
def _default(context: typer.Context, json: Json = False) -> None:
    if context.invoked_subcommand is None:
        list_(context, json=json)


@_app.command("list")
def list_(context: typer.Context, json: Json = False) -> None:
    """Every preset, yours and those that came with llamachat."""
    environment, shelf = _open(context)
    found = shelf.all()
    if json:
        write_json(environment.stdout, [_as_json(preset) for preset in found])
        return
    write_table(environment, [(preset.name, "yours" if preset.is_own else "", preset.summary) for preset in found])


@_app.command()
def show(context: typer.Context, name: _Name, json: Json = False) -> None:
    """A preset's file."""
    environment, shelf = _open(context)
    if json:
        write_json(environment.stdout, _as_json(shelf.get(name)))
        return
    if name not in shelf.names():
        shelf.get(name)
    write_text(environment, read_text(shelf.path(name), ""))


@_app.command()
def new(
    context: typer.Context,
    name: _Name,
    text: Annotated[list[str] | None, typer.Argument(help="The system prompt.", show_default=False)] = None,
    description: Annotated[str, typer.Option("-d", "--description", help="What it is for.")] = "",
    like: Annotated[str | None, typer.Option(metavar="PRESET", help="Begin with a copy of this one.")] = None,
) -> None:
    """Make a preset of your own: from TEXT or piped input, or else in your editor."""
    environment, shelf = _open(context)
    check_text(description, "the description")
    path = shelf.own_path(name)
    if shelf.has_own(name):
        raise UsageError(f"you have a preset {name!r} already.", f"Change it: llamachat presets edit {name}")
    given = check_text(" ".join(text), "the text") if text is not None else piped_text(environment).strip()
    if like and (given or description):
        raise UsageError("--like begins with another preset's text and description.", "Change them in the editor.")
    if text is not None and not given.strip():
        raise UsageError("the text is empty.", f"Leave it out for the editor: llamachat presets new {name}")
    start = shelf.get(like).path.read_bytes() if like else preset_file.compose(description).encode()
    if given:
        _write(path, given if preset_file.has_head(given) else preset_file.compose(description, given))
    elif not editor.is_there(environment):
        replace_file(path, start)
    elif not _edit(path, start, environment, as_it_is=True):
        write_text(environment, "Nothing was made: the editor saved nothing.")
        return
    write_text(environment, str(path))


@_app.command()
def edit(context: typer.Context, name: _Name) -> None:
    """Change a preset in your editor. One that came with llamachat is copied first, and yours wins from then on."""
    environment, shelf = _open(context)
    if name not in shelf.names():
        shelf.get(name)
    path = shelf.own_path(name)
    changed = _edit(path, shelf.path(name).read_bytes(), environment)
    write_text(environment, str(path) if changed else "Nothing was changed.")


@_app.command()
def remove(
    context: typer.Context,
    name: _Name,
    yes: Yes = False,
) -> None:
    """Remove a preset of yours."""
    environment, shelf = _open(context)
    if not shelf.has_own(name):
        if name in shelf.names():
            raise UsageError(
                f"{name} came with llamachat and stays.", f"To have it otherwise: llamachat presets edit {name}"
            )
        shelf.get(name)
    path = shelf.path(name)
    confirm(f"Remove {path}?", environment, yes=yes)
    try:
        path.unlink()
        editor.forget_draft(path)
    except OSError as error:
        raise StorageError(f"{path} cannot be removed: {error.strerror}.", "Check its folder.") from error
    again = " The one that came with llamachat holds again." if name in shelf.names() else ""
    write_text(environment, f"{path} is removed.{again}")


def _open(context: typer.Context) -> tuple[Environment, Shelf]:
    environment: Environment = context.obj
    return environment, Shelf(environment.paths.presets)


def _write(path: Path, content: str) -> None:
    try:
        preset_file.parse(content, path)
    except UsageError as error:
        raise UsageError(error.message, "Nothing was written.") from error
    replace_file(path, content)


def _edit(path: Path, start: bytes, environment: Environment, *, as_it_is: bool = False) -> bool:
    return editor.edit(path, start, lambda text: preset_file.parse(text, path), environment, as_it_is=as_it_is)


def _as_json(preset: Preset | Broken) -> dict[str, Any]:
    place = {"name": preset.name, "own": preset.is_own, "path": str(preset.path)}
    if isinstance(preset, Broken):
        return {**place, "error": preset.error.message}
    return {
        **place,
        "description": preset.description,
        "text": preset.text,
        "settings": preset.values,
        "variables": preset.variables,
        "error": None,
    }
