"""`llamachat pull`: from a name to a verified model on this machine."""

from __future__ import annotations

import shlex
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from llamachat.cli import app
from llamachat.cli.agree import agree
from llamachat.cli.assemble import choose, make_library
from llamachat.cli.confirm import answer
from llamachat.cli.fit import check_fit, show_options
from llamachat.cli.output import say, write_json, write_text
from llamachat.cli.progress import progress
from llamachat.environment import Environment
from llamachat.errors import ModelError
from llamachat.models import gguf, memory
from llamachat.models.download import Downloader
from llamachat.models.hub import Hub
from llamachat.models.index import Record
from llamachat.models.installed import name_of
from llamachat.models.library import Library
from llamachat.models.memory import Machine
from llamachat.models.names import HubFile
from llamachat.models.plan import Plan, Undecided, plan

_app = app.new()


def run(arguments: list[str], environment: Environment) -> None:
    """One command line after `llamachat pull`."""
    app.run(_app, arguments, "llamachat pull", environment)


@_app.command()
def pull(
    context: typer.Context,
    model: Annotated[
        str, typer.Argument(help="NAME[:QUANT] of `models recommend`, or OWNER/REPO[:QUANT|:FILE].", show_default=False)
    ],
    force: Annotated[bool, typer.Option("--force", help="Fetch it even if it does not fit this machine.")] = False,
    accept_licence: Annotated[
        bool, typer.Option("--accept-licence", help="Say yes to the model's licence beforehand.")
    ] = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="No table, no progress.")] = False,
    plain: Annotated[bool, typer.Option("--plain", help="Nothing that moves.")] = False,
    json: Annotated[bool, typer.Option("--json", help="As JSON, what is here then.")] = False,
) -> None:
    """Download a model and check it. What an earlier run left is gone on with."""
    environment: Environment = context.obj
    library = make_library(environment)
    wanted = library.parse(model, Path())
    if isinstance(wanted, HubFile):
        puller = _Puller(library, Hub.of(environment.variables), environment, quiet=quiet or json, plain=plain)
        pulled = puller.pull(wanted, model, force=force, accept=accept_licence)
        library.index.put(pulled.path, pulled.record)
    else:
        found = library.find(model, Path())
        record = library.index.records().get(found.path)
        record = record or Record(found.name, "file", found.path.stat().st_size)
        pulled = _Pulled(found.path, record, model, was_here=True)
    if json:
        write_json(environment.stdout, as_json(pulled.path, pulled.record))
    else:
        write_text(environment, pulled.in_words())


@dataclass(frozen=True, slots=True)
class _Pulled:
    """A model that is here now. `name` is what to give -m for it."""

    path: Path
    record: Record
    name: str
    was_here: bool = False

    def in_words(self) -> str:
        title = f"{self.record.name} {self.record.quantisation}".rstrip()
        here = "is here already, nothing was fetched" if self.was_here else "is here"
        return f"{title} {here}: {self.path}\nTo chat: llamachat -m {shlex.quote(self.name)}"


@dataclass(frozen=True, slots=True)
class _Puller:
    """One pull, and what is shown of it."""

    library: Library
    hub: Hub
    environment: Environment
    quiet: bool
    plain: bool

    def pull(self, wanted: HubFile, name: str, *, force: bool, accept: bool) -> _Pulled:
        """What is here then. Raises ModelError, DownloadError, StorageError, UsageError, Interrupted."""
        if self.hub.is_offline and (here := self._here(name)):
            return here
        machine = memory.look(self.library.cache).measured()
        asked = False
        try:
            planned = self._plan(self._narrowed(wanted, name), machine, force=force)
        except Undecided as error:
            planned = self._ask(error, machine)
            asked, name = True, f"{planned.repo}:{planned.chosen.files[0]}"
        path = self._present(planned)
        if path is None:
            if not (self.quiet or asked):
                show_options(planned.repo, planned.options, machine, self.environment, chosen=planned.chosen)
            check_fit(planned, force=force)
        agree(planned.licence, self.environment, accept=accept)
        if path is None:
            try:
                return _Pulled(*self._fetch(planned), name)
            except KeyboardInterrupt:
                say(self.environment, "Stopped. What came so far is kept: the same command goes on from there.")
                raise
        return _Pulled(path, self._recorded(path, planned), name, was_here=True)

    def _here(self, name: str) -> _Pulled | None:
        """What the name means of the models that are here: all that can be said offline."""
        with suppress(ModelError):
            model = self.library.matching(name, Path())[0]
            return None if model.is_gone else _Pulled(model.path, model.record, name, was_here=True)
        return None

    def _narrowed(self, wanted: HubFile, name: str) -> HubFile:
        """A name of the catalogue that leaves the quantisation open means the one that is here, if one is."""
        if wanted.entry is None or wanted.file or wanted.quantisation:
            return wanted
        with suppress(ModelError):
            for model in self.library.matching(name, Path()):
                record = model.record
                if not model.is_gone and record.repo == wanted.repo and wanted.revision in (None, record.commit):
                    return replace(wanted, file=record.file)
        return wanted

    def _plan(self, wanted: HubFile, machine: Machine, *, force: bool) -> Plan:
        choices = choose({}, {}, self.environment)
        context, kv_type = choices.whole("ctx_size"), choices.text("kv_type") or "f16"
        with progress(self.environment, wanted.repo, quiet=self.quiet, plain=self.plain) as shown:
            downloader = Downloader(self.hub, self.library.joined, shown)
            return plan(wanted, downloader, machine, context, kv_type, force=force)

    def _ask(self, error: Undecided, machine: Machine) -> Plan:
        """Ask which file, where there is somebody to ask. Raises Undecided."""
        if not self.quiet:
            show_options(error.plans[0].repo, error.plans[0].options, machine, self.environment)
        if not self.environment.stdin_is_terminal:
            raise error
        names = [planned.chosen.files[0] for planned in error.plans]
        lines = "\n".join(f"{number:3} {name}" for number, name in enumerate(names, 1))
        given = answer(f"{lines}\nWhich one?", self.environment)
        if not (given.isdecimal() and 1 <= int(given) <= len(names)):
            raise error
        return error.plans[int(given) - 1]

    def _present(self, planned: Plan) -> Path | None:
        """The model, if all of it is here already and its header is right."""
        if planned.is_raw_parts:
            path: Path | None = self.library.joined / planned.repo.replace("/", "--") / _joined_name(planned)
        else:
            paths = [self.hub.cached(planned.repo, file, planned.revision) for file in planned.chosen.files]
            path = paths[0] if all(paths) else None
        record = self.library.index.records().get(path.absolute()) if path else None
        if path is None or not path.is_file() or record is None or record.verified is None:
            return None
        with suppress(ModelError):
            return gguf.check(path).parts[0].absolute()
        return None

    def _recorded(self, path: Path, planned: Plan) -> Record:
        """What is to be remembered of a model that was here: it counts as pulled now."""
        record = next(model.record for model in self.library.installed() if model.path == path)
        name = planned.entry.name if planned.entry else record.name
        return msgspec.structs.replace(record, name=name, pulled=datetime.now(UTC))

    def _fetch(self, planned: Plan) -> tuple[Path, Record]:
        first, *others = planned.chosen.files
        with progress(self.environment, Path(first).name, quiet=self.quiet, plain=self.plain) as shown:
            downloader = Downloader(self.hub, self.library.joined, shown)
            parts = [downloader.look_up(planned.repo, first, planned.revision)]
            parts += [downloader.look_up(planned.repo, file, parts[0].commit) for file in others]
            if planned.is_raw_parts:
                path = downloader.fetch_joined(parts, _joined_name(planned))
            else:
                path = downloader.fetch_all(parts, planned.sha256)[0]
        checked = gguf.check(path)
        now = datetime.now(UTC)
        record = Record(
            name=planned.entry.name if planned.entry else name_of(path),
            origin="joined" if planned.is_raw_parts else "hub",
            n_bytes=sum(part.n_bytes for part in parts),
            repo=planned.repo,
            file=first,
            commit=parts[0].commit,
            sha256=(parts[0].sha256 or "") if not others else "",
            quantisation=planned.chosen.quantisation or checked.quantisation,
            pulled=now,
            verified=now,
        )
        return path.absolute(), record


def _joined_name(planned: Plan) -> str:
    """The file that raw parts make; a folder in the repository is part of its name."""
    return planned.chosen.files[0].rpartition("-split-")[0].replace("/", "--")


def as_json(path: Path, record: Record) -> dict[str, Any]:
    """What a script may want of a model that is here."""
    return {
        "name": record.name,
        "quantisation": record.quantisation,
        "path": str(path),
        "bytes": record.n_bytes,
        "sha256": record.sha256 or None,
        "repo": record.repo or None,
        "file": record.file or None,
        "commit": record.commit or None,
        "origin": record.origin,
        "pulled": record.pulled,
        "used": record.used,
        "verified": record.verified,
    }
