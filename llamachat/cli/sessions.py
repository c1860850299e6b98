"""`llamachat sessions`: what was said, to be seen, searched, taken elsewhere and removed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from llamachat.cache import Cache
from llamachat.chat import imports
from llamachat.chat.export import FORMATS
from llamachat.chat.transcript import Session, title_of
from llamachat.cli import app, kept
from llamachat.cli.app import Json, Yes
from llamachat.cli.confirm import confirm
from llamachat.cli.forget import forget
from llamachat.cli.output import say, write_json, write_table, write_text
from llamachat.environment import Environment
from llamachat.errors import StorageError, UsageError
from llamachat.paths import is_replaceable, replace_file
from llamachat.settings import check_text
from llamachat.store.sessions import Store
from llamachat.ui.sanitise import sanitise_line

_app = app.new("Sessions: the chats and answers that are kept.")
_Id = Annotated[str, typer.Argument(help="A session's id, or its beginning.", show_default=False)]
_AGE = re.compile(r"(\d{1,5})([hdwy])")
_DAYS = {"h": 1 / 24, "d": 1, "w": 7, "y": 365}
_NAMED = 5  # of the sessions that are to be removed
_NOTHING = "There is no session yet. To begin one: llamachat"


def run(arguments: list[str], environment: Environment) -> None:
    """One command line after `llamachat sessions`."""
    app.run(_app, arguments, "llamachat sessions", environment)


@_app.callback(invoke_without_command=True)
def _default(context: typer.Context, json: Json = False) -> None:
    if context.invoked_subcommand is None:
        list_(context, json=json)


@_app.command("list")
def list_(context: typer.Context, json: Json = False) -> None:
    """Every session, the newest first; answers to a single question are marked."""
    environment: Environment = context.obj
    with _open(environment) as store:
        found = store.sessions()
    if json:
        write_json(environment.stdout, [kept.head(session) for session in found])
    elif not found:
        write_text(environment, _NOTHING)
    else:
        is_brief = environment.stdout_is_terminal
        rows = [kept.row(session, is_brief=is_brief) for session in found]
        write_table(environment, [("id", "title", "when", "model", "n", ""), *rows])


@_app.command()
def show(context: typer.Context, name: _Id, json: Json = False) -> None:
    """What was said in a session, as far as it stands now."""
    environment: Environment = context.obj
    with _open(environment) as store:
        transcript = store.load(store.find(name).id)
    if json:
        messages = [kept.message(entry) for entry in transcript.branch]
        summaries = [kept.summary(summary) for summary in transcript.summaries]
        write_json(environment.stdout, {**kept.head(transcript.session), "messages": messages, "summaries": summaries})
    else:
        write_text(environment, FORMATS["txt"](transcript))


@_app.command()
def search(
    context: typer.Context,
    words: Annotated[list[str], typer.Argument(help='Words, "quoted phrases", beginnings*.', show_default=False)],
    most: Annotated[int, typer.Option("-n", "--most", min=1, max=1000, help="How many to show.")] = 20,
    json: Json = False,
) -> None:
    """Messages with all the WORDS, the best first."""
    environment: Environment = context.obj
    with _open(environment) as store:
        hits = store.search(check_text(" ".join(words), "the search"), most)
    if json:
        write_json(environment.stdout, [kept.hit(hit) for hit in hits])
    elif not hits:
        write_text(environment, "Nothing was found.")
    else:
        kept.write_hits(environment, hits)


@_app.command()
def rename(
    context: typer.Context,
    name: _Id,
    title: Annotated[list[str], typer.Argument(help="The new title.", show_default=False)],
) -> None:
    """Give a session another title."""
    environment: Environment = context.obj
    text = " ".join(check_text(" ".join(title), "the title").split())
    if not text:
        raise UsageError("the title is empty.", "Say what it is to be.")
    with _open(environment) as store:
        session = store.find(name)
        store.rename(session.id, text)
    write_text(environment, f"{session.id} is called {text}.")


@_app.command()
def remove(
    context: typer.Context,
    names: Annotated[list[str] | None, typer.Argument(help="Ids, or their beginnings.", show_default=False)] = None,
    older_than: Annotated[
        str | None, typer.Option(metavar="AGE", help="Those in which nothing happened for 12h, 30d, 8w or 1y.")
    ] = None,
    yes: Yes = False,
) -> None:
    """Remove sessions, with all that is only theirs."""
    environment: Environment = context.obj
    age = None if older_than is None else _age(older_than)
    if not names and age is None:
        raise UsageError("it is not said which.", "Example: llamachat sessions remove --older-than 30d")
    with _open(environment) as store:
        found = {session.id: session for session in map(store.find, names or ())}
        if age is not None:
            found |= {session.id: session for session in store.older_than(age)}
        if not found:
            write_text(environment, f"There is no session older than {older_than}.")
            return
        confirm(_question(list(found.values())), environment, yes=yes)
        forget(environment.paths.history, store.said_only_in(found))  # first: whoever is killed in between asks again
        Cache(environment.paths.blocks).forget(found)
        store.remove(found)
        damaged = store.damaged_copies()
    write_text(environment, f"{_counted(len(found))} removed.")
    if damaged:
        copies = ", ".join(map(str, damaged))
        say(environment, f"llamachat: copies of damaged files may still have it: {copies}. Delete those by hand.")


@_app.command()
def export(
    context: typer.Context,
    name: _Id,
    format_: Annotated[
        str | None, typer.Option("--format", metavar="FORMAT", help="md, json, txt or html.", show_default=False)
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="A new file, instead of stdout.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
) -> None:
    """A session as Markdown, JSON that can be imported again, plain text, or a page of HTML."""
    environment: Environment = context.obj
    kind = format_ or (output and output.suffix[1:].lower()) or "md"
    if kind not in FORMATS:
        raise UsageError(f"there is no format {kind!r}.", f"There are {', '.join(FORMATS)}: --format md")
    if output is not None and output.is_dir():
        raise UsageError(f"{output} is a folder.", "Name a file in it.")
    if output is not None and output.is_file() and not force:
        raise UsageError(f"{output} is there already.", "Name another file, or write over it with --force.")
    with _open(environment) as store:
        text = FORMATS[kind](store.load(store.find(name).id))
    if output is None:
        write_text(environment, text)
    else:
        replace_file(output, text)
        if is_replaceable(output):  # else what was written may be on stdout itself
            write_text(environment, str(output))


@_app.command("import")
def import_(
    context: typer.Context,
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="JSON files.", show_default=False)],
) -> None:
    """Take in chats: what export writes as JSON, OpenAI's messages, ChatGPT's conversations.json."""
    environment: Environment = context.obj
    found = [transcript for file in files for transcript in imports.read(file)]
    try:
        with _open(environment) as store:
            taken = store.take_in(found)
    except StorageError as error:
        raise StorageError(error.message, f"Nothing was imported. {error.hint}") from error
    write_table(environment, [(session.id, title_of(session.title)) for session in taken])


@contextmanager
def _open(environment: Environment) -> Iterator[Store]:
    with Store(environment.paths.sessions, say=lambda line: say(environment, f"llamachat: {line}")) as store:
        yield store


def _age(text: str) -> timedelta:
    found = _AGE.fullmatch(text.strip().lower())
    if found is None:
        raise UsageError(f"{text!r} is no age.", "Examples: --older-than 12h, 30d, 8w, 1y")
    return timedelta(days=int(found[1]) * _DAYS[found[2]])


def _question(sessions: list[Session]) -> str:
    shown = ", ".join(f"{session.id} ({sanitise_line(title_of(session.title))})" for session in sessions[:_NAMED])
    more = f" and {len(sessions) - _NAMED} more" if len(sessions) > _NAMED else ""
    return f"Remove {_counted(len(sessions))} for good: {shown}{more}?"


def _counted(number: int) -> str:
    return "1 session" if number == 1 else f"{number:,} sessions"
