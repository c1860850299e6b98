"""A model's card in brief, from the catalogue and from what is here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from llamachat.cli.pull import as_json
from llamachat.environment import Environment
from llamachat.errors import ModelError
from llamachat.models import gguf, licence
from llamachat.models.catalogue import Entry
from llamachat.models.installed import Installed
from llamachat.models.library import Library
from llamachat.models.licence import Acceptances
from llamachat.models.names import HubFile


def card_of(name: str, library: Library, environment: Environment) -> dict[str, Any]:
    """A card's lines, in order; null where nobody knows. Raises ModelError for a name that nothing is known of."""
    entry, models = _known(name, library)
    facts = _of_entry(entry, environment) if entry else _of_file(models[0])
    return {**facts, "installed": [installed_as_json(model) for model in models]}


def in_words(card: dict[str, Any]) -> list[tuple[str, str]]:
    """The card's lines for people: what is not known is left out."""
    lines = [(key.replace("_", " "), _shown(value)) for key, value in card.items() if value and key != "installed"]
    return [*lines, ("installed", ", ".join(map(_title, card["installed"])) or "no")]


def paths_of(card: dict[str, Any]) -> list[str]:
    """Where its files lie, to be copied whole from lines of their own."""
    return [each["path"] for each in card["installed"]]


def _title(installed: dict[str, Any]) -> str:
    return f"{installed['quantisation'] or installed['name']}{' (gone)' if installed['gone'] else ''}"


def installed_as_json(model: Installed) -> dict[str, Any]:
    return {**as_json(model.path, model.record), "default": model.is_usual, "gone": model.is_gone}


def _known(name: str, library: Library) -> tuple[Entry | None, list[Installed]]:
    """What the catalogue and what this machine know of a name."""
    try:
        models = library.matching(name, Path())
    except ModelError:
        named = library.parse(name, Path())
        if isinstance(named, HubFile) and named.entry:
            return named.entry, []
        raise
    return library.entry_of(models[0].record), models


def _of_entry(entry: Entry, environment: Environment) -> dict[str, Any]:
    terms = licence.find(entry.licence)
    return {
        "name": entry.name,
        "kind": str(entry.kind),
        "parameters": entry.n_params,
        "context": entry.context,
        "format": entry.format,
        "language": entry.language,
        "released": entry.released,
        "trained_on": entry.trained_on,
        "use": entry.use,
        "licence": terms.title if terms else entry.licence,
        "licence_at": terms.addresses if terms else None,
        "notice": terms.notice if terms else None,
        "accepted": _acceptance(entry.licence, environment),
        "repo": entry.repo or None,
        "quantisations": [each.name for each in entry.quantisations],
    }


def _acceptance(licence_id: str, environment: Environment) -> str | None:
    """When which version was accepted."""
    accepted = Acceptances(environment.paths.licences).find(licence_id)
    return f"{accepted.accepted}, the version of {accepted.version}" if accepted else None


def _of_file(model: Installed) -> dict[str, Any]:
    """What a file that is in no catalogue says of itself."""
    if model.is_gone:
        return {"name": model.name, "repo": model.record.repo or None}
    facts = gguf.check(model.path).facts
    return {
        "name": model.name,
        "calls_itself": facts.name or None,
        "architecture": facts.architecture,
        "context": facts.context_length,
        "repo": model.record.repo or None,
    }


def _shown(value: Any) -> str:
    match value:
        case list() | tuple():
            return ", ".join(map(str, value))
        case int():
            return f"{value:,}"
    return str(value)
