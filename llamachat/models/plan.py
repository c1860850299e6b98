"""What a pull would fetch, and whether that fits, before it is fetched.

For a model of the catalogue nothing is asked of the Hub; of any other, the list of its files and the head of one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from llamachat.errors import DownloadError, ModelError, did_you_mean
from llamachat.models import memory, names
from llamachat.models.catalogue import Entry, Geometry, Quantisation
from llamachat.models.download import Downloader
from llamachat.models.gguf import Facts
from llamachat.models.hub import Listing
from llamachat.models.memory import Judgement, Machine
from llamachat.models.names import HubFile

_RAW_PART = ".gguf-split-"

_MOST_NAMED = 12


@dataclass(frozen=True, slots=True)
class Option:
    """One quantisation that could be fetched, and how it would fit. None: nobody knows its size or its dimensions."""

    quantisation: str
    files: tuple[str, ...]
    n_bytes: int | None
    judgement: Judgement | None
    speed: float | None = None  # tokens/s, estimated


@dataclass(frozen=True, slots=True)
class Plan:
    """What would be fetched of a repository. `options` are all that could be, the chosen one among them."""

    repo: str
    revision: str | None
    chosen: Option
    options: tuple[Option, ...]
    entry: Entry | None
    licence: str | None
    sha256: str | None = None

    @property
    def is_raw_parts(self) -> bool:
        """Whether its files are pieces of one, which only joined are a model."""
        return _RAW_PART in self.chosen.files[0]


class Undecided(ModelError):
    """Several files would do: the user has to choose. `plans` has one for each."""

    def __init__(self, repo: str, plans: Sequence[Plan]) -> None:
        names = [plan.chosen.files[0] for plan in plans]
        more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
        files = ", ".join(names[:_MOST_NAMED]) + more
        super().__init__(f"{repo} has several GGUF files: {files}.", f"Name one: llamachat pull {repo}:FILE")
        self.plans = tuple(plans)


def plan(
    wanted: HubFile, downloader: Downloader, machine: Machine, n_ctx: int | None, kv_type: str, *, force: bool = False
) -> Plan:
    """What the name means on this machine. `n_ctx` None is what the model was trained on.

    With `force` a file whose head the server does not give is planned all the same. Raises ModelError (no such thing;
    Undecided) and DownloadError.
    """
    if wanted.entry is not None and (known := _known(wanted, wanted.entry)):
        return _of_catalogue(wanted, wanted.entry, known, machine, n_ctx, kv_type)
    listing = downloader.listing(wanted.repo, wanted.revision)
    groups = names.group_parts(listing.gguf)
    files = _whole(wanted.file, groups, listing) if wanted.file else _choice(wanted, listing)
    facts = _head(downloader, wanted.repo, (files or groups[0])[0], listing.commit, force=force)
    geometry = wanted.entry.geometry if wanted.entry else geometry_of(facts)
    context = min(n_ctx or facts.context_length, facts.context_length) if facts and facts.context_length else n_ctx
    options = tuple(
        _option(_name(group), group, _total(listing.files, group), geometry, context or 4096, machine, kv_type)
        for group in groups
    )
    plans = [
        Plan(wanted.repo, listing.commit, option, options, wanted.entry, listing.licence)
        for option in options
        if files in (None, option.files)
    ]
    if files is None:
        raise Undecided(wanted.repo, plans)
    return plans[0]


def options_of(entry: Entry, machine: Machine, n_ctx: int | None, kv_type: str) -> tuple[Option, ...]:
    """Every quantisation of a model of the catalogue, and how it would fit."""
    context = min(n_ctx or entry.context, entry.context)
    return tuple(
        _option(each.name, each.files, each.n_bytes, entry.geometry, context, machine, kv_type)
        for each in entry.quantisations
    )


def geometry_of(facts: Facts | None) -> Geometry | None:
    """A file's dimensions as the catalogue has them; None where its head does not tell them all."""
    if facts is None or not (facts.n_layers and facts.n_embd and facts.n_heads):
        return None
    return Geometry(facts.n_layers, facts.n_embd, facts.n_heads, facts.n_kv_heads, facts.n_ff, facts.n_vocab)


def best_of(entry: Entry, machine: Machine, n_ctx: int | None, kv_type: str) -> Quantisation | None:
    """The quantisation to take where nobody says; None when none fits."""
    found = memory.best(
        entry.quantisations, entry.geometry, min(n_ctx or entry.context, entry.context), machine, kv_type
    )
    return found[0] if found else None


def _of_catalogue(
    wanted: HubFile, entry: Entry, known: Sequence[Quantisation], machine: Machine, n_ctx: int | None, kv_type: str
) -> Plan:
    """The quantisation that was named, or the best. Its hash is proved at its own commit only."""
    options = options_of(entry, machine, n_ctx, kv_type)
    best = known[0] if len(known) == 1 else best_of(entry, machine, n_ctx, kv_type)
    name = best.name if best else memory.USUAL
    chosen = next((option for option in options if option.quantisation == name), options[0])
    quantisation = entry.quantisation(chosen.quantisation)
    is_pinned = wanted.revision in (None, entry.commit)
    sha256 = quantisation.sha256 if quantisation and quantisation.is_proved and is_pinned else None
    return Plan(entry.repo, wanted.revision or entry.commit, chosen, options, entry, entry.licence, sha256)


def _known(wanted: HubFile, entry: Entry) -> Sequence[Quantisation]:
    """The catalogue's quantisations that the name may mean; none where only the Hub can tell."""
    if wanted.file:
        return [each for each in entry.quantisations if wanted.file in each.files]
    if wanted.quantisation is None:
        return entry.quantisations
    try:
        files = names.choose_file([file for each in entry.quantisations for file in each.files], wanted.quantisation)
    except ModelError:
        return ()
    return [each for each in entry.quantisations if each.files == files]


def _choice(wanted: HubFile, listing: Listing) -> tuple[str, ...] | None:
    """The file to take of those there are, None where the user has to say. Raises ModelError with the repository."""
    try:
        return names.choose_file(listing.gguf, wanted.quantisation)
    except ModelError as error:
        raise ModelError(error.message.replace("this repository", listing.repo), error.hint) from error


def _whole(file: str, groups: Sequence[tuple[str, ...]], listing: Listing) -> tuple[str, ...]:
    """The whole model that a file is a part of. Raises ModelError with the nearest file, or those there are."""
    if whole := next((group for group in groups if file in group), None):
        return whole
    if file in listing.files:
        raise ModelError(
            f"{file} of {listing.repo} is no whole model.", "Its other parts are missing, or it is no chat."
        )
    there = [group[0] for group in groups]
    hint = did_you_mean(file, there) or f"It has: {', '.join(there) or 'no GGUF file'}."
    raise ModelError(f"{listing.repo} has no file {file}.", hint)


def _head(downloader: Downloader, repo: str, file: str, commit: str, *, force: bool) -> Facts | None:
    """What the head of the file says; None where the server does not give it and that does not matter."""
    try:
        return downloader.facts(repo, file, commit)
    except DownloadError:
        if not force:
            raise
        return None


def _name(group: Sequence[str]) -> str:
    return names.quantisation_of(group[0]) or ""


def _total(sizes: Mapping[str, int | None], group: tuple[str, ...]) -> int | None:
    known = [size for file in group if (size := sizes.get(file)) is not None]
    return sum(known) if len(known) == len(group) else None


def _option(
    quantisation: str,
    files: tuple[str, ...],
    n_bytes: int | None,
    geometry: Geometry | None,
    n_ctx: int,
    machine: Machine,
    kv_type: str,
) -> Option:
    if n_bytes is None or geometry is None:
        return Option(quantisation, files, n_bytes, None)
    judged = memory.judge(n_bytes, geometry, n_ctx, machine, kv_type)
    return Option(quantisation, files, n_bytes, judged, memory.speed(judged.need, machine))
