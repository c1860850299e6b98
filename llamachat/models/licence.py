"""Which licences need a yes before the first download, what they ask, and the record of who said yes when.

The summaries are ours and bind nobody: the licence does, at its address.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

from llamachat.paths import replace_file


@dataclass(frozen=True, slots=True)
class Licence:
    """A licence. `version` is the date it calls itself by; an acceptance holds for that one.

    `notice` is the line that has to go with every copy, `addresses` are where the texts stand.
    """

    id: str
    title: str
    version: str
    addresses: tuple[str, ...]
    summary: tuple[str, ...]
    notice: str = ""
    needs_acceptance: bool = False


@dataclass(frozen=True, slots=True)
class Acceptance:
    """That the user said yes to this version of a licence on this day."""

    version: str
    accepted: date


@dataclass(frozen=True, slots=True)
class Acceptances:
    """The record, in a JSON file which need not exist. One that cannot be read records nothing."""

    path: Path

    def find(self, licence_id: str) -> Acceptance | None:
        """What was accepted under this id, of any version."""
        return self._read().get(licence_id)

    def is_accepted(self, licence_id: str) -> bool:
        """Whether the present version was accepted, or needs no acceptance."""
        licence, accepted = find(licence_id), self.find(licence_id)
        if licence is None or not licence.needs_acceptance:
            return True
        return accepted is not None and accepted.version == licence.version

    def accept(self, licence_id: str, today: date) -> None:
        """Record a yes to the present version. Raises StorageError; then nothing is recorded."""
        licence = find(licence_id)
        version = licence.version if licence else ""
        records = {**self._read(), licence_id: Acceptance(version, today)}
        text = json.dumps({name: asdict(each) for name, each in records.items()}, default=date.isoformat, indent=2)
        replace_file(self.path, text + "\n")

    def _read(self) -> dict[str, Acceptance]:
        try:
            table = json.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return {}
        records = {name: _acceptance(each) for name, each in table.items()} if isinstance(table, dict) else {}
        return {name: each for name, each in records.items() if each}


def find(licence_id: str) -> Licence | None:
    """The licence of this id, as model cards on the Hub write it; None for one we know nothing of."""
    return next((licence for licence in _LICENCES if licence.id == licence_id.lower()), None)


def _acceptance(record: object) -> Acceptance | None:
    match record:
        case {"version": str(version), "accepted": str(day)}:
            try:
                return Acceptance(version, date.fromisoformat(day))
            except ValueError:
                return None
    return None


_LICENCES = (
    Licence(
        id="llama2",
        title="Llama 2 Community License",
        version="July 18, 2023",
        addresses=("https://ai.meta.com/llama/license", "https://ai.meta.com/llama/use-policy"),
        summary=(
            "You may use, copy, change and pass on the model, also commercially, free of charge.",
            "Whoever had more than 700 million monthly users when it was released needs Meta's own permission.",
            "The model and its output must not be used to improve any other large language model.",
            "Copies you pass on come with the licence and its Notice line.",
            "Its use policy forbids what breaks the law or hurts people: violence and terrorism, abuse of children,",
            "harassment and discrimination, weapons, illegal drugs, malware, self-harm, spying on people.",
            "It also forbids deceiving: fraud, disinformation, impersonation, passing its output off as a human's.",
            "There is no warranty; suing Meta over the model's ownership ends your right to use it.",
        ),
        notice=(
            "Llama 2 is licensed under the LLAMA 2 Community License, "
            "Copyright (c) Meta Platforms, Inc. All Rights Reserved."
        ),
        needs_acceptance=True,
    ),
    Licence(
        id="apache-2.0",
        title="Apache License 2.0",
        version="January 2004",
        addresses=("https://www.apache.org/licenses/LICENSE-2.0",),
        summary=(
            "You may use, copy, change and pass on the model, also commercially, with the licence and its notices.",
        ),
    ),
    Licence(
        id="mit",
        title="MIT License",
        version="",
        addresses=("https://opensource.org/license/mit",),
        summary=("You may use, copy, change and pass on the model, also commercially, with its copyright notice.",),
    ),
)
