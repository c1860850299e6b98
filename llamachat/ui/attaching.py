"""What happens at the terminal when a message names files: ask, count, show, and put them into the message."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from llamachat.chat import attachments
from llamachat.chat.attachments import Found, Group
from llamachat.chat.document import Document
from llamachat.engine.base import Engine
from llamachat.errors import ContextOverflow, Interrupted
from llamachat.ui.sanitise import sanitise_line
from llamachat.ui.theme import Look

_LISTED = 5  # files of a folder that are named in the question


@dataclass(frozen=True, slots=True)
class Clerk:
    """Whom to ask: the engine for counts, the user by one key (the first is the default); how to say a line, and how
    to wait for the model.
    """

    engine: Engine
    say: Callable[[str, Look | None], None]
    ask_key: Callable[[str, str], str]
    wait_for_model: Callable[[], None]


def attach(text: str, pasted: Sequence[tuple[int, int]], clerk: Clerk) -> tuple[str, tuple[Document, ...]]:
    """The message to send, and the files in it.

    Raises UsageError for a file that cannot be attached, ContextOverflow for more than the context holds, Interrupted
    if the user does not want them.
    """
    found = attachments.find(text, Path.cwd(), pasted)
    for missing in found.missing:
        clerk.say(f"@{sanitise_line(missing.typed)}: no such file; sent as it is written.", Look.DIM)
    for group in found.groups:
        if not _is_wanted(group, found, clerk):
            raise Interrupted(f"nothing was sent; \\@{group.reference.typed} sends it as words")
    documents = attachments.read_all(found)
    if documents:
        _show(documents, clerk)
    return attachments.compose(found, documents), documents


def _is_wanted(group: Group, found: Found, clerk: Clerk) -> bool:
    """Ask about a folder or a pattern."""
    names = [sanitise_line(found.name(path)) for path in group.listing.files]
    rest = len(names) - _LISTED
    listed = ", ".join(names[:_LISTED]) + (f" and {rest:,} more" if rest > 0 else "")
    more = ", of more than can be looked at" if group.listing.more else ""
    clerk.say(f"@{sanitise_line(group.reference.typed)}: {listed}{more}", None)
    question = f"Attach {len(names):,} files, {_size(group.listing.n_bytes)}? [y/N]"
    return clerk.ask_key(question, "ny") == "y"


def _show(documents: Sequence[Document], clerk: Clerk) -> None:
    """Each file with its size and tokens. Raises ContextOverflow when they alone are too many."""
    clerk.wait_for_model()
    counts = [clerk.engine.count(document.text) for document in documents]
    for document, n_tokens in zip(documents, counts, strict=True):
        clerk.say(f"{sanitise_line(document.name)}: {_size(document.n_bytes)}, {n_tokens:,} tokens", Look.DIM)
    info = clerk.engine.info
    if info and sum(counts) >= info.n_ctx:
        raise ContextOverflow(sum(counts), info.n_ctx)


def _size(n_bytes: int) -> str:
    """A size for people, as `ls -h` would say it in powers of ten."""
    if n_bytes < 1000:
        return f"{n_bytes} bytes"
    return f"{n_bytes / 1e3:,.1f} KB" if n_bytes < 1e6 else f"{n_bytes / 1e6:,.1f} MB"
