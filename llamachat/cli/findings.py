"""How findings look: a paragraph each for people, JSON for scripts."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

from llamachat.cli.output import width_of
from llamachat.doctor.examination import exit_code
from llamachat.doctor.finding import Finding, Status
from llamachat.environment import Environment
from llamachat.ui.background import guess
from llamachat.ui.sanitise import sanitise_line
from llamachat.ui.theme import Look, Theme, theme

_SECTION_COLUMNS = 14
_ARROW = "→"
_MARKS = {Status.OK: "✓", Status.WARN: "!", Status.BAD: "✗"}
_ASCII = str.maketrans({"✓": "+", "✗": "x", _ARROW: "->"})
_LOOKS = {Status.OK: Look.INSERTED, Status.WARN: Look.CODE, Status.BAD: Look.ERROR}


class Report:
    """Findings on stdout, in the order they come. Into a pipe each is one line."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._is_terminal = environment.stdout_is_terminal
        self._theme = _theme(environment)
        self._section = ""

    def write(self, finding: Finding) -> None:
        """The mark, the section's name with its first line, the text and the next command."""
        section = "" if finding.section == self._section else finding.section
        self._section = finding.section
        mark, head = _MARKS[finding.status], f" {section:<{_SECTION_COLUMNS}}"
        first, *others = self._lines(_paragraph(finding), len(mark) + len(head))
        lines = [f"{self._theme.paint(mark, _LOOKS[finding.status])}{head}{first}", *others]
        self._put("\n".join(lines))

    def end(self, findings: Sequence[Finding]) -> None:
        """What it comes to."""
        self._put(_summary(findings))

    def _lines(self, text: str, indent: int) -> list[str]:
        """The text, on a terminal broken between words; a path stays whole, to be copied."""
        text = sanitise_line(text)
        if not self._is_terminal:
            return [text]
        room = max(20, width_of(self._environment) - indent)
        lines = textwrap.wrap(text, room, break_on_hyphens=False, break_long_words=False)
        return [line if number == 0 else " " * indent + line for number, line in enumerate(lines)]

    def _put(self, text: str) -> None:
        encoding = self._environment.stdout_encoding if self._is_terminal else "utf-8"
        try:
            data = text.encode(encoding)
        except UnicodeEncodeError:
            data = text.translate(_ASCII).encode(encoding, "replace")
        self._environment.stdout.write(data + b"\n")
        self._environment.stdout.flush()


def as_json(findings: Sequence[Finding]) -> dict[str, Any]:
    rows = [
        {
            "section": finding.section,
            "status": str(finding.status),
            "text": finding.text,
            "hint": finding.hint,
            "fix": str(finding.remedy) if finding.remedy else None,
        }
        for finding in findings
    ]
    return {"code": int(exit_code(findings)), "findings": rows}


def _paragraph(finding: Finding) -> str:
    return finding.text.rstrip(".") + (f" {_ARROW} {finding.hint}" if finding.hint else "")


def _summary(findings: Sequence[Finding]) -> str:
    n_bad = sum(finding.status is Status.BAD for finding in findings)
    n_warnings = sum(finding.status is Status.WARN for finding in findings)
    if n_bad:
        return f"A chat does not work here: {n_bad} {'thing is' if n_bad == 1 else 'things are'} wrong."
    if n_warnings:
        return f"A chat works; {n_warnings} {'thing' if n_warnings == 1 else 'things'} could be better."
    return "Everything works."


def _theme(environment: Environment) -> Theme:
    """Colours on a terminal, by what its background is thought to be."""
    shown = environment.stdout_is_terminal
    return theme(
        guess(environment.variables),
        colour=shown and environment.wants_colour,
        attributes=shown and not environment.wants_plain,
        encoding=environment.stdout_encoding,
    )
