"""What a name means that a user gives for a model: a file here, a file on the Hub, or the starter.

Reads the name and, for a path, whether it exists; asks no network. Which of a repository's files are meant when the
name does not say is decided by `choose_file`, once somebody has listed them.

    llama-2-7b-chat, llama2:13b, llama2:Q5_K_M        the catalogue
    llama-2-7b-chat.Q4_K_M.gguf                       a file of the catalogue
    OWNER/REPO[@REVISION][:QUANT | :FILE | /FILE]     the Hub; also after hf:// and hf.co/
    https://HUB/OWNER/REPO/blob/REVISION/FILE         an address of the Hub or of the mirror in HF_ENDPOINT
    starter; any path                                 what is here: an existing file wins over every name
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from llamachat.errors import ModelError, did_you_mean
from llamachat.models.catalogue import Catalogue, Entry

PREFERRED = ("Q4_K_M", "Q8_0")  # what is taken where nobody says
_QUANTISATION = r"I?Q\d\w*|TQ\d_\d|MXFP4\w*|BF16|F16|F32"
_TAGGED = re.compile(rf"(.+?)[:.-]({_QUANTISATION})(?:\.gguf)?", re.IGNORECASE)
_IN_FILE = re.compile(rf"(?<![A-Z0-9])({_QUANTISATION})(?![A-Z0-9])", re.IGNORECASE)
_LIKENESS = ("_K_M", "_K_S", "_0")  # of several that begin alike, which first: Q4 is Q4_K_M
_HUB_PATH = re.compile(
    r"(?P<owner>[^/:@]+)/(?P<repo>[^/:@]+)"
    r"(?:@(?P<revision>refs/\w+/\w+|[^/:]+))?"
    r"(?:(?P<mark>[:/])(?P<rest>.*))?"
)
_PAGE = re.compile(r"(?:blob|resolve|raw|tree)/(?P<revision>refs/\w+/\w+|[^/]+)(?:/(?P<rest>.*))?")
_REPO_PART = re.compile(r"(?!.*(?:\.\.|--))\w[\w.-]*", re.ASCII)
_SAFE_PATH = re.compile(r"(?!(?:.*/)?\.\.?(?:/|$))[^\\\x00-\x1f\x7f]+")  # names no folder above
_OTHER_KINDS = ("datasets", "spaces", "collections", "papers", "docs", "blog", "api")
_SHORT_HOSTS = ("hf.co", "www.hf.co")
_PUBLIC_HOST = re.compile(r"(?:www\.)?huggingface\.\w+")
_MODEL_FILE = re.compile(r"\.gguf(?:-split-[a-z])?$", re.IGNORECASE)
_NO_MODEL = re.compile(r"(?:^|[/._-])(?:mmproj|imatrix)", re.IGNORECASE)  # GGUF files beside a model
_PART = re.compile(r"(?P<stem>.*?)[.-](?P<number>\d{5})-of-(?P<count>\d{5})\.gguf", re.IGNORECASE)
_RAW_PART = re.compile(r"(?P<stem>.*)\.gguf-split-(?P<letter>[a-z])", re.IGNORECASE)
_LATEST = "latest"  # Ollama's word for: the usual one
_HUB_NAMES = "The Hub's names are OWNER/REPO, OWNER/REPO:QUANT and OWNER/REPO@REVISION:FILE."
_ALL_NAMES = "All of them: llamachat models recommend"


@dataclass(frozen=True, slots=True)
class HubFile:
    """A model on the Hub, as far as the name says. None: it does not.

    `file` is a path in the repository, of a model in parts the one that was named or the first. `entry` is the
    catalogue's, where the repository is one of its own; `quantisation` may be the beginning of one (`Q4`) where it is
    not. The catalogue's names bring its commit as `revision`.
    """

    repo: str
    revision: str | None = None
    file: str | None = None
    quantisation: str | None = None
    entry: Entry | None = None


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A path. It exists, or has to be a file because of how it is written."""

    path: Path


@dataclass(frozen=True, slots=True)
class Starter:
    """The model that the extra `starter` installs."""


Named = HubFile | LocalFile | Starter


def parse(name: str, catalogue: Catalogue, home: Path, endpoint: str = "") -> Named:
    """What the name means. `home` is where relative paths start, `endpoint` the value of HF_ENDPOINT.

    Raises ModelError with the nearest name.
    """
    name = name.strip().strip("<>\"'")
    entry = catalogue.find(name)
    if path := _existing(name, home, or_folder=entry is None):
        return LocalFile(path)
    if entry is not None:
        return Starter() if entry.is_starter else HubFile(entry.repo, entry.commit, entry=entry)
    address = _address(name, endpoint)
    if address is not None:
        return _on_hub(address, catalogue, name)
    found = _tagged(name, catalogue)
    if found is not None:
        return found
    if _looks_like_path(name):
        raise ModelError(f"there is no file {name}.", _nearest(Path(name).stem, catalogue))
    if "/" in name:
        return _on_hub(name, catalogue, name)
    raise ModelError(f"there is no model {name!r}.", _nearest(name, catalogue))


def choose_file(files: Sequence[str], quantisation: str | None = None) -> tuple[str, ...] | None:
    """The file to take of a repository's, all its parts in order: the quantisation asked for, or the usual one.

    None: several would do, ask. Raises ModelError with the files there are when none would.
    """
    models = group_parts(files)
    if not models:
        raise ModelError("there is no GGUF file in this repository.", "Look for a repository whose name ends in GGUF.")
    if quantisation:
        fitting = _like(quantisation, models)
        if not fitting:
            there = ", ".join(parts[0] for parts in models)
            raise ModelError(f"this repository has no file of the quantisation {quantisation}.", f"It has: {there}")
        return fitting[0] if len(fitting) == 1 else None
    usual = next((fitting for each in PREFERRED if (fitting := _of(each, models))), models)
    return usual[0] if len(usual) == 1 else None


def group_parts(files: Iterable[str]) -> list[tuple[str, ...]]:
    """The models among a repository's files, each as its parts in order; sets that lack a part are left out.

    llama.cpp's parts are `-00001-of-00003.gguf`; `.gguf-split-a` and `-b` are halves of one file's bytes.
    """
    groups: dict[str, dict[int, str]] = {}
    counts: dict[str, int] = {}
    for file in files:
        if not _MODEL_FILE.search(file) or _NO_MODEL.search(file):
            continue
        stem, index, count = _place(file)
        groups.setdefault(stem, {})[index] = file
        counts[stem] = count or max(2, counts.get(stem, 0), index + 1)
    whole = [parts for stem, parts in groups.items() if set(range(counts[stem])) == set(parts)]
    return [tuple(parts[index] for index in sorted(parts)) for parts in whole]


def quantisation_of(file: str) -> str | None:
    """The quantisation that a file's name, or else its folder's, ends in."""
    folder, _, base = file.rpartition("/")
    found = _IN_FILE.findall(_MODEL_FILE.sub("", base)) or _IN_FILE.findall(folder)
    return found[-1].upper() if found else None


def _tagged(name: str, catalogue: Catalogue) -> HubFile | None:
    """A name of the catalogue with a quantisation or another tag after it, or one of the catalogue's file names."""
    match = _TAGGED.fullmatch(name)
    if match and (entry := catalogue.find(match[1])) and not entry.is_starter:
        return _of_entry(entry, match[2])
    front, colon, tag = name.rpartition(":")
    entry = catalogue.find(front) if colon else None
    if entry is None or entry.is_starter:
        return None
    if tag.lower() == _LATEST:
        return HubFile(entry.repo, entry.commit, entry=entry)
    raise ModelError(f"{entry.name} has no quantisation {tag!r}.", _has(entry))


def _of_entry(entry: Entry, quantisation: str) -> HubFile:
    """A quantisation of a model of the catalogue. Raises ModelError with those it has."""
    choices = [(each.files[0],) for each in entry.quantisations]
    fitting = _like(quantisation, choices)
    if not fitting:
        raise ModelError(f"{entry.name} has no quantisation {quantisation!r}.", _has(entry))
    file = fitting[0][0]
    return HubFile(entry.repo, entry.commit, file, quantisation_of(file), entry)


def _on_hub(path: str, catalogue: Catalogue, name: str) -> HubFile:
    """A repository, with what stands after it. `name` is what the user wrote, for errors."""
    match = _HUB_PATH.fullmatch(path.strip("/"))
    if not match or not all(map(_REPO_PART.fullmatch, match.group("owner", "repo"))):
        raise ModelError(f"{name!r} names no model.", _HUB_NAMES)
    if match["owner"] in _OTHER_KINDS:
        raise ModelError(f"{name!r} is no model's address.", "Open the page of a model whose files end in .gguf.")
    revision, rest = match["revision"], match["rest"] or ""
    if page := _PAGE.fullmatch(rest):
        revision, rest = page["revision"], page["rest"] or ""
    revision = revision and unquote(revision)
    if revision and not _SAFE_PATH.fullmatch(revision):
        raise ModelError(f"{name!r} names no revision.", _HUB_NAMES)
    repo = f"{match['owner']}/{match['repo']}"
    entry = catalogue.of_repo(repo)
    file, quantisation = _told(rest, name)
    return HubFile(
        repo=entry.repo if entry else repo,
        revision=revision,
        file=file,
        quantisation=quantisation,
        entry=entry,
    )


def _told(rest: str, name: str) -> tuple[str | None, str | None]:
    """The file and the quantisation that stand after a repository's name."""
    rest = unquote(rest).strip("/")
    if not rest or rest.lower() == _LATEST:
        return None, None
    if not _SAFE_PATH.fullmatch(rest):
        raise ModelError(f"{name!r} names no file of a repository.", "Paste the address of the file's page.")
    if _MODEL_FILE.search(rest):
        return rest, quantisation_of(rest)
    if _IN_FILE.fullmatch(rest):
        return None, rest.upper()
    if "/" not in rest and "." in rest:
        raise ModelError(f"{rest} is not a GGUF file.", "Name one that ends in .gguf.")
    if quantisation := quantisation_of(rest):  # a folder of parts, or UD-Q4_K_XL
        return None, quantisation
    raise ModelError(f"{name!r} names no GGUF file.", "After the repository comes a quantisation (:Q4_K_M) or a file.")


def _address(name: str, endpoint: str) -> str | None:
    """What follows the Hub's host in an address; None when this is none. Raises ModelError for another host."""
    if name.lower().startswith("hf://"):
        return name[len("hf://") :].removeprefix("models/")
    has_scheme = re.match(r"https?://", name, re.IGNORECASE)
    try:
        url, mirror = urlsplit(name if has_scheme else f"https://{name}"), urlsplit(endpoint.strip())
    except ValueError:
        return None
    host = url.netloc.lower().rpartition("@")[2]
    path = url.path.lstrip("/")
    if endpoint and host == mirror.netloc.lower().rpartition("@")[2]:
        prefix = mirror.path.strip("/")
        return path.removeprefix(prefix).lstrip("/") if prefix else path
    if host in _SHORT_HOSTS or _PUBLIC_HOST.fullmatch(host):
        return path
    if has_scheme:
        raise ModelError(
            f"{host or name} is not the Hugging Face Hub.",
            "Download the file and pass its path; HF_ENDPOINT names a mirror of the Hub.",
        )
    return None


def _like(quantisation: str, models: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """The models of this quantisation, or else of the best known that begins so."""
    wanted = quantisation.upper()
    if exact := _of(wanted, models):
        return exact
    for ending in _LIKENESS:
        if similar := _of(wanted + ending, models):
            return similar
    return [parts for parts in models if (quantisation_of(parts[0]) or "").startswith(wanted)]


def _of(quantisation: str, models: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    return [parts for parts in models if quantisation_of(parts[0]) == quantisation]


def _place(file: str) -> tuple[str, int, int]:
    """Which model a file is a part of, which part, and of how many; 0 where the name does not say."""
    if match := _PART.fullmatch(file):
        return f"{match['stem']}-of-{match['count']}", int(match["number"]) - 1, int(match["count"])
    if match := _RAW_PART.fullmatch(file):
        return f"{match['stem']}-split", ord(match["letter"].lower()) - ord("a"), 0
    return file, 0, 1


def _looks_like_path(name: str) -> bool:
    """Whether only a path is written so. `folder/model.gguf` is one: a repository's file has two slashes."""
    if re.match(r"[./~\\]|[A-Za-z]:[\\/]", name) or "\\" in name:
        return True
    return name.lower().endswith(".gguf") and name.count("/") < 2 and ":" not in name


def _existing(name: str, home: Path, *, or_folder: bool) -> Path | None:
    """The file there is at this path, or the folder; None where there is none, or the system takes no such path."""
    try:
        path = home / Path(name).expanduser()
        return path if name and (path.is_file() or (or_folder and path.is_dir())) else None
    except (OSError, ValueError, RuntimeError):
        return None


def _has(entry: Entry) -> str:
    return f"It has: {', '.join(each.name for each in entry.quantisations)}."


def _nearest(name: str, catalogue: Catalogue) -> str:
    """The hint for a name that means nothing: the nearest that does, or where all of them are."""
    known = [alias for entry in catalogue.entries for alias in (entry.name, *entry.aliases)]
    return did_you_mean(name.lower(), known) or _ALL_NAMES
