"""A runner of commands by script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class ScriptedRunner:
    """Ends each command with the next status that `statuses` has for a word of it, or 0."""

    log: Path = Path("build.log")
    statuses: dict[str, list[int]] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    commands: list[tuple[str, str]] = field(default_factory=list)

    def say(self, line: str) -> None:
        self.said.append(line)

    def run(self, title: str, command: Sequence[str], env: Mapping[str, str] | None = None) -> int:
        self.commands.append((" ".join(command), dict(env or {}).get("CMAKE_ARGS", "")))
        waiting = [codes for word, codes in self.statuses.items() if word in " ".join(command) and codes]
        return waiting[0].pop(0) if waiting else 0

    def builds(self) -> list[tuple[str, str]]:
        """The commands that compile or install with flags."""
        return [(command, args) for command, args in self.commands if "pip" in command and " -v " in command]
