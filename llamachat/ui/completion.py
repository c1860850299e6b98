"""What Tab can make of a draft: commands, their arguments, and files after an @."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

from llamachat.ui.sanitise import sanitise_line

_REFERENCE = re.compile(r"""(?:^|(?<=\s))@(?P<written>"[^"\n]*|[^\s"]*)\Z""")
_MOST_READ = 200_000  # entries of a folder
_MOST_SHOWN = 1000
_NOT_NAMEABLE = "cannot be written here"


class ChatCompleter(Completer):
    """Completes on request only.

    `commands` gives names, without the slash, and what they do. `arguments` gives what may follow a command: it is
    told its name and what is written after it, and each candidate is the whole of that.
    """

    def __init__(
        self,
        commands: Callable[[], Iterable[tuple[str, str]]],
        arguments: Callable[[str, str], Iterable[str]],
    ) -> None:
        self._commands = commands
        self._arguments = arguments

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        text = document.text_before_cursor
        if not complete_event.completion_requested:
            return ()
        if reference := _REFERENCE.search(text):
            return _references(reference["written"])
        if not text.startswith("/") or text.startswith("//") or "\n" in text:
            return ()
        name, space, rest = text[1:].partition(" ")
        return self._after(name, rest.lstrip()) if space else self._names(name)

    def _names(self, beginning: str) -> Iterator[Completion]:
        for name, meaning in self._commands():
            if name.startswith(beginning):
                yield Completion(name, -len(beginning), display=f"/{name}", display_meta=meaning)

    def _after(self, name: str, beginning: str) -> Iterator[Completion]:
        for candidate in self._arguments(name, beginning):
            if candidate.startswith(beginning):
                yield Completion(candidate, -len(beginning), display=sanitise_line(candidate))


def path_candidates(beginning: str) -> list[str]:
    """The files and folders whose path begins so, folders with a slash; hidden ones when that is what begins.

    For very many of them, only what they all begin with, if that is more than is there, or the first by name.
    """
    folder, _, start = beginning.rpartition("/")
    prefix = beginning[: len(beginning) - len(start)]
    names = sorted(_names_in(_folder(folder, prefix), start))
    if len(names) <= _MOST_SHOWN:
        return [f"{prefix}{name}" for name in names]
    common = os.path.commonprefix([names[0], names[-1]])  # noqa: RUF071  letters, not folders
    shown = [common] if len(common) > len(start) else [*names[: _MOST_SHOWN - 1], names[-1]]
    return [f"{prefix}{name}" for name in shown]  # the last of all is among them: no more is common than is


def _references(written: str) -> Iterator[Completion]:
    """Paths after an @, in quotes where there is a space in them."""
    beginning = written.removeprefix('"')
    for path in path_candidates(beginning):
        shown = sanitise_line(Path(path).name + "/" * path.endswith("/"))
        if '"' in path or sanitise_line(path) != path:
            yield Completion(written, -len(written), display=shown, display_meta=_NOT_NAMEABLE)
        else:
            yield Completion(_quoted(path, is_begun=written.startswith('"')), -len(written), display=shown)


def _quoted(path: str, *, is_begun: bool) -> str:
    """A folder's quotes stay open: the path goes on."""
    if not is_begun and not any(character.isspace() for character in path):
        return path
    return f'"{path}' if path.endswith("/") else f'"{path}"'


def _folder(folder: str, prefix: str) -> Path | None:
    try:
        return Path(folder or prefix or ".").expanduser()
    except RuntimeError:  # ~nobody
        return None


def _names_in(folder: Path | None, start: str) -> Iterator[str]:
    if folder is None:
        return
    try:
        with os.scandir(folder) as entries:
            for entry in islice(entries, _MOST_READ):
                if entry.name.startswith(start) and (start or not entry.name.startswith(".")):
                    yield f"{entry.name}/" if _is_folder(entry) else entry.name
    except OSError:
        return


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False
