"""The options of a chat, as one value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from llamachat.settings import Value


@dataclass(frozen=True, slots=True)
class ChatOptions:
    """What the command line asked for. `flags` are the settings given as options, `variables` those of the preset."""

    prompt: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()
    messages: str | None = None
    continues: bool = False  # the latest chat
    resume: str | None = None  # the id of a session; empty: the user picks
    flags: Mapping[str, Value] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    json: bool = False
    dry_run: bool = False
    tune: bool = False
    debug: bool = False

    @property
    def asks(self) -> bool:
        """Whether there is something to answer at once: words, a file or a conversation. Piped input is, too."""
        return bool(self.prompt or self.files or self.messages is not None or self.dry_run or self.json)
