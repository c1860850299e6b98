"""The checks, in the order of the report, and how they are run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from llamachat.doctor import (
    binding,
    configuration,
    engine,
    machine,
    model,
    program,
    sessions,
    snapshots,
    terminal,
    tuning,
    warm,
)
from llamachat.doctor.finding import Finding, Status, wrong
from llamachat.doctor.subject import Subject
from llamachat.errors import ExitCode, LlamachatError, StorageError

Check = Callable[[Subject], Iterable[Finding]]
LogFault = Callable[[BaseException], LlamachatError]

CHECKS: tuple[tuple[str, Check], ...] = (
    ("llamachat", program.check),
    ("folders", program.check_folders),
    ("configuration", configuration.check),
    ("model", model.check),
    ("llama.cpp", binding.check),
    ("engine", engine.check),
    ("memory", machine.check_memory),
    ("disk", machine.check_disk),
    ("sessions", sessions.check),
    ("snapshots", snapshots.check),
    ("tuning", tuning.check),
    ("warm engines", warm.check),
    ("terminal", terminal.check),
)


def examine(subject: Subject, log_fault: LogFault, checks: Iterable[tuple[str, Check]] = CHECKS) -> Iterator[Finding]:
    """What each check finds, as it is found. A check that fails is a finding, and the next one is made.

    An error that several checks meet is said by the first of them. `log_fault` writes a fault of ours down.
    """
    said: set[str] = set()
    for section, check in checks:
        for finding in _guarded(section, check, subject, log_fault):
            if finding.status is Status.OK or finding.text not in said:
                said.add(finding.text)
                yield finding


def exit_code(findings: Iterable[Finding]) -> ExitCode:
    """What a chat would end with: the code of the first that is bad."""
    return next((finding.code for finding in findings if finding.status is Status.BAD), ExitCode.DONE)


def _guarded(section: str, check: Check, subject: Subject, log_fault: LogFault) -> Iterator[Finding]:
    try:
        yield from check(subject)
    except LlamachatError as error:
        yield wrong(section, error)
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        yield wrong(section, StorageError(f"{place}{error.strerror or error}.", "Check its permissions."))
    except Exception as error:  # the boundary: one check must not take the others along
        yield wrong(section, log_fault(error))
