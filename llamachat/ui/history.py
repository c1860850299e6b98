"""What was typed before, in all sessions: one file, in prompt_toolkit's format, that every terminal appends to.

The file is the truth: each prompt first reads what others have added. Entries are offered newest first and once each.
A file that cannot be used costs one remark; the entries of this session are remembered then, too.
"""

from __future__ import annotations

import asyncio
import os
import re
import threading
from collections.abc import AsyncGenerator, Collection, Iterable
from datetime import datetime
from pathlib import Path

from prompt_toolkit.auto_suggest import AutoSuggest, Suggestion
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.document import Document
from prompt_toolkit.history import History as Base

from llamachat.ui.draft import message_of
from llamachat.ui.pastes import clean, is_long

_APPENDING = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)
_LONGEST = 100_000  # characters of an entry; a longer one is remembered by this session alone
_INLINE_BYTES = 1 << 18  # more is read in a thread
_ENTRIES_AT_A_TIME = 500  # between which keys are read
_DATE = re.compile(rb"(^\n?#[^\n]*\n)(?=\+)", re.MULTILINE)  # of an entry, which follows
_AFTER_DOCUMENTS = re.compile(r"\S[^\n]*:\n```.*\n```+\n\n(.*)", re.DOTALL)  # the words of a message with files


class History(Base):
    """The entries of a file. `recording = False` keeps what is typed in memory alone. `path` None: no file at all."""

    def __init__(self, path: Path | None) -> None:
        super().__init__()
        self.recording = True
        self.n_offered = 0  # to the draft that is being edited
        self._path = path
        self._entries: dict[str, bool] = {}  # oldest first; whether it is in the file
        self._newest_first: list[str] | None = None
        self._known: tuple[int, int] = (0, 0)  # the file's inode, and how much of it has been read
        self._lock = threading.Lock()
        self._trouble = ""
        self._has_told = False

    def record(self, text: str) -> None:
        """Remember what was sent, or cleared. Never raises for a file."""
        if not text.strip():
            return
        self._catch_up()
        if self.newest_first[:1] == [text]:
            return
        if not self.recording or len(text) > _LONGEST or not self._append(text):
            self._add([text])

    def take_trouble(self) -> str:
        """What is wrong with the file, the first time it is asked for."""
        trouble = "" if self._has_told else self._trouble
        self._has_told = self._has_told or bool(trouble)
        return trouble

    @property
    def newest_first(self) -> list[str]:
        """Not to be changed."""
        with self._lock:
            if self._newest_first is None:
                self._newest_first = list(reversed(self._entries))
            return self._newest_first

    # what prompt_toolkit asks for

    async def load(self) -> AsyncGenerator[str, None]:
        self.n_offered = 0
        if self._n_unread() > _INLINE_BYTES:
            await asyncio.get_running_loop().run_in_executor(None, self._catch_up)
        else:
            self._catch_up()
        for entry in self.newest_first:
            self.n_offered += 1
            yield entry
            if not self.n_offered % _ENTRIES_AT_A_TIME:
                await asyncio.sleep(0)

    def load_history_strings(self) -> Iterable[str]:
        self._catch_up()
        return self.newest_first

    def get_strings(self) -> list[str]:
        return self.newest_first[::-1]

    def append_string(self, string: str) -> None:
        """prompt_toolkit would remember the draft, with its folds; `record` gets the text."""

    def store_string(self, string: str) -> None:
        """Nothing, for the same reason."""

    # the file

    def _n_unread(self) -> int:
        try:
            status = self._path.stat() if self._path else None
        except OSError:
            return 0
        if status is None:
            return 0
        is_same = status.st_ino == self._known[0] and status.st_size >= self._known[1]
        return status.st_size - (self._known[1] if is_same else 0)

    def _catch_up(self) -> None:
        """Read what has been added to the file since the last time; all of it if it is another file."""
        if not self._path:
            return
        try:
            with self._path.open("rb") as file:
                status = os.fstat(file.fileno())
                is_other = status.st_ino != self._known[0] or status.st_size < self._known[1]
                start = file.seek(0 if is_other else self._known[1])
                data = file.read()
            if is_other:
                self._forget_what_was_read()
        except FileNotFoundError:
            return
        except OSError as error:
            self._note("read", error)
            return
        self._add(_parse(data), is_in_file=True)
        self._known = (status.st_ino, start + len(data))

    def _append(self, text: str) -> bool:
        """Write an entry in one piece, so that two terminals' entries do not mix; whether that worked."""
        if not self._path:
            return False
        lines = "".join(f"+{line}\n" for line in text.split("\n"))
        data = f"\n# {datetime.now()}\n{lines}".encode("utf-8", "replace")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(self._path, _APPENDING, 0o600)
            try:
                if hasattr(os, "fchmod"):
                    os.fchmod(descriptor, 0o600)
                return os.write(descriptor, data) == len(data)
            finally:
                os.close(descriptor)
        except OSError as error:
            self._note("written", error)
            return False

    def _add(self, entries: Iterable[str], *, is_in_file: bool = False) -> None:
        with self._lock:
            for entry in entries:
                self._entries.pop(entry, None)
                self._entries[entry] = is_in_file
                self._newest_first = None

    def _forget_what_was_read(self) -> None:
        """What was removed from the file is not to be offered any more."""
        with self._lock:
            self._entries = {entry: False for entry, is_in_file in self._entries.items() if not is_in_file}
            self._newest_first = None

    def _note(self, done: str, error: OSError) -> None:
        self._trouble = f"the input history {self._path} cannot be {done}: {error.strerror or error}."


def without(data: bytes, messages: Collection[str]) -> bytes:
    """A history file's bytes without the entries that were sent as these messages."""
    said = {clean(message) for message in messages}
    said |= {words[1] for message in said if (words := _AFTER_DOCUMENTS.fullmatch(message))}
    parts = _DATE.split(data)  # what stands before the first date, then dates and entries by turns
    kept = [parts[0]]
    for date, lines in zip(parts[1::2], parts[2::2], strict=True):
        entries = _parse(lines)
        if not (entries and all(_is_among(entry, said) for entry in entries)):
            kept += [date, lines]
    return b"".join(kept)


def _is_among(entry: str, said: set[str]) -> bool:
    """Whether it was sent as one of these: without the marks of a block, a slash that was doubled, an @ of a file."""
    text = message_of(entry)
    return not said.isdisjoint({text, text.replace("@", ""), text[text.startswith("//") :]})


class SuggestFromHistory(AutoSuggest):
    """The rest of the newest entry that begins like the draft.

    What did not fit a draft fits no longer one, so while a line is typed each entry is looked at once.
    """

    def __init__(self, history: History) -> None:
        self._history = history
        self._entries: list[str] = []
        self._prefix = ""
        self._place = 0

    def get_suggestion(self, buffer: Buffer, document: Document) -> Suggestion | None:  # noqa: ARG002
        text = document.text
        if not text.strip() or "\n" in text:
            return None
        entries = self._history.newest_first
        if entries is not self._entries or not self._prefix or not text.startswith(self._prefix):
            self._entries, self._place = entries, 0
        self._prefix = text
        while self._place < len(entries):
            entry = entries[self._place]
            if entry.startswith(text) and not is_long(entry) and (rest := entry[len(text) :].partition("\n")[0]):
                return Suggestion(rest)
            self._place += 1
        return None


def _parse(data: bytes) -> list[str]:
    """The entries: lines that begin with a plus sign, in a row. Everything else stands between them."""
    entries: list[str] = []
    lines: list[str] = []
    for line in (*data.decode("utf-8", "replace").split("\n"), ""):
        if line.startswith("+"):
            lines.append(line[1:])
        elif lines:
            entries.append(clean("\n".join(lines)))
            lines = []
    return entries
