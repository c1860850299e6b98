r"""`@path` in a message: the files that go to the model with it.

    see @notes.txt, and @"my plan.txt" (or @src/*.py, @src/)      \@this stays @this

A reference begins a word and stands in no code and nothing pasted. Punctuation after it belongs to the sentence
unless a file is called so. Folders and patterns make groups, about which the caller asks:

    found = find(text, folder)
    for group in found.groups:
        if not wanted(group):
            found = found.without(group)
    message = compose(found, read_all(found))

Documents come before the words: another question about them finds them in the KV cache.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from llamachat.chat import document
from llamachat.chat.code import Span, code_spans
from llamachat.chat.composed import BREAK, words_of
from llamachat.chat.document import Document
from llamachat.chat.listing import Listing, in_folder, is_pattern, matching
from llamachat.errors import ForbiddenTag, UsageError

_APART = "\0"  # stands for what is not to be looked at
_REFERENCE = re.compile(
    rf"""(?<![^\s(\[{{<"'“‘«])(?P<escape>\\?)@(?:"(?P<quoted>[^"\n{_APART}]+)"|(?P<bare>[^\s{_APART}]{{1,4096}}))"""
)
_PUNCTUATION = ".,;:!?…)]}>'\"”’»。，、；：！？）」』】》"
_LANGUAGES = {  # of files whose suffix is not the language's name
    "cs": "csharp",
    "h": "c",
    "hpp": "cpp",
    "js": "javascript",
    "kt": "kotlin",
    "md": "markdown",
    "py": "python",
    "rb": "ruby",
    "rs": "rust",
    "sh": "bash",
    "ts": "typescript",
    "yml": "yaml",
}
_SUFFIXES = {"c", "cpp", "css", "csv", "diff", "go", "html", "java", "json", "jsx", "lua", "php", "sql", "toml", "xml"}


@dataclass(frozen=True, slots=True)
class Reference:
    """`@path` at text[start:end]: the path as it was typed, and the absolute one."""

    start: int
    end: int
    typed: str
    path: Path


@dataclass(frozen=True, slots=True)
class Group:
    """A folder or pattern, and the text files it stands for."""

    reference: Reference
    listing: Listing


@dataclass(frozen=True, slots=True)
class Found:
    """The references of a message. `missing` look like paths, but no file is there: they stay words."""

    text: str
    folder: Path
    files: tuple[Reference, ...] = ()
    groups: tuple[Group, ...] = ()
    missing: tuple[Reference, ...] = ()
    escapes: tuple[int, ...] = ()  # backslashes that say an @ is only that

    def without(self, group: Group) -> Found:
        """The same with this group left as the words it was typed as."""
        return replace(self, groups=tuple(other for other in self.groups if other != group))

    @property
    def paths(self) -> tuple[Path, ...]:
        """Every file to be read, once, in the order of their mention."""
        singles = [(file.start, (file.path,)) for file in self.files]
        groups = [(group.reference.start, group.listing.files) for group in self.groups]
        return tuple(dict.fromkeys(path for _, paths in sorted([*singles, *groups]) for path in paths))

    def name(self, path: Path) -> str:
        """What the model is told a file is called: one line, relative to the folder if it is in there."""
        shown = path.relative_to(self.folder) if path.is_relative_to(self.folder) else path
        return _printable(shown.as_posix())


def find(text: str, folder: Path, pasted: Sequence[Span] = ()) -> Found:
    """The references in a message, as seen from an absolute folder. Raises UsageError for one without text files."""
    files: list[Reference] = []
    groups: list[Group] = []
    missing: list[Reference] = []
    escapes: list[int] = []
    typed = _without(text, pasted)
    for match in _REFERENCE.finditer(_without(typed, code_spans(typed))):
        if match["escape"]:
            escapes.append(match.start())
            continue
        match _look(match, folder):
            case Group() as group:
                groups.append(group)
            case Reference() as reference if _mode(reference.path) is not None:
                files.append(reference)
            case Reference() as reference if _is_like_a_path(reference, match):
                missing.append(reference)
    return Found(text, folder, tuple(files), tuple(groups), tuple(missing), tuple(escapes))


def read_all(found: Found) -> tuple[Document, ...]:
    """The documents of a message. Raises UsageError for the first that is no text or cannot be read."""
    return tuple(document.read(path, found.name(path)) for path in found.paths)


def compose(found: Found, documents: Sequence[Document]) -> str:
    """The message for the model: the documents, then the words, with names where the references were."""
    edits = [(file.start, file.end, found.name(file.path)) for file in found.files]
    edits += [(group.reference.start, group.reference.end, _printable(group.reference.typed)) for group in found.groups]
    edits += [(place, place + 1, "") for place in found.escapes]
    words, position = "", 0
    for start, end, replacement in sorted(edits):
        words += found.text[position:start] + replacement
        position = end
    return BREAK.join([*map(_fenced, documents), words + found.text[position:]])


def as_typed(message: str, folder: Path) -> str:
    """A composed message as it is sent once more: an @ among its words that names a file now is marked as only that."""
    start = words_of(message)
    words = message[start:]
    found = _REFERENCE.finditer(_without(words, code_spans(words)))
    for match in reversed([match for match in found if not match["escape"] and _attaches(match, folder)]):
        words = f"{words[: match.start()]}\\{words[match.start() :]}"
    return message[:start] + words


def located(error: ForbiddenTag, documents: Sequence[Document]) -> UsageError:
    """The error of a composed message, naming the document and line that the tag is in, if it is in one."""
    offset = error.offset
    for file in documents:
        block = _fenced(file)
        if offset < len(block):
            line = max(1, block.count("\n", 0, offset) - 1)  # two stand before the text
            return UsageError(f"{file.name}, line {line}, contains {error.tag}, which frames turns.", error.hint)
        offset -= len(block) + len(BREAK)
    return error


def _without(text: str, spans: Sequence[Span]) -> str:
    """The text with nothing to be found in these spans; every other character stays in its place."""
    characters = list(text)
    for start, end in spans:
        characters[start:end] = _APART * len(characters[start:end])
    return "".join(characters)


def _look(match: re.Match[str], folder: Path) -> Reference | Group:
    """What a reference stands for: a file, else the files of a folder or pattern, else nothing that is there."""
    candidates = list(_candidates(match, folder))
    for reference in candidates:
        mode = _mode(reference.path)
        if mode is not None:
            return _folder_group(reference) if stat.S_ISDIR(mode) else reference
    for reference in candidates:
        if match["bare"] and is_pattern(reference.typed) and (found := matching(reference.path)).files:
            return Group(reference, found)
    return candidates[-1]


def _attaches(match: re.Match[str], folder: Path) -> bool:
    try:
        found = _look(match, folder)
    except UsageError:  # a folder without text files
        return True
    return isinstance(found, Group) or _mode(found.path) is not None


def _candidates(match: re.Match[str], folder: Path) -> Iterator[Reference]:
    """What was typed, and then with less and less of the punctuation after it."""
    if match["quoted"]:
        yield Reference(match.start(), match.end(), match["quoted"], _path(match["quoted"], folder))
        return
    typed = match["bare"]
    shortest = typed.rstrip(_PUNCTUATION) or typed
    for length in range(len(typed), len(shortest) - 1, -1):
        yield Reference(match.start(), match.start() + 1 + length, typed[:length], _path(typed[:length], folder))


def _path(typed: str, folder: Path) -> Path:
    try:
        path = Path(typed).expanduser()
    except RuntimeError:  # ~name of nobody
        path = Path(typed)
    return Path(os.path.normpath(folder / path))


def _mode(path: Path) -> int | None:
    """The kind of file; None where there is none, or can be none."""
    try:
        return path.stat().st_mode
    except (OSError, ValueError):
        return None


def _folder_group(reference: Reference) -> Group:
    found = in_folder(reference.path)
    if not found.files:
        raise UsageError(
            f"the folder {reference.typed} holds no text files.", rf"To send it as words: \@{reference.typed}"
        )
    return Group(reference, found)


def _is_like_a_path(reference: Reference, match: re.Match[str]) -> bool:
    return bool(match["quoted"]) or any(mark in reference.typed for mark in "/.")


def _printable(name: str) -> str:
    """A name that neither ends its line nor a fence."""
    return "".join(character if character.isprintable() and character != "`" else "_" for character in name)


def _fenced(file: Document) -> str:
    """The name, and the text in a fence that nothing in it can close."""
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", file.text)), default=0))
    suffix = file.path.suffix[1:].lower()
    language = _LANGUAGES.get(suffix, suffix if suffix in _SUFFIXES else "")
    return f"{file.name}:\n{fence}{language}\n{file.text}\n{fence}"
