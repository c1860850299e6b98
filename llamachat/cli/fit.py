"""Whether a model fits this machine, as a table; and the refusal of one that does not."""

from __future__ import annotations

from collections.abc import Sequence

from llamachat.choices import Choices
from llamachat.cli.output import print_table, say
from llamachat.environment import Environment
from llamachat.errors import DownloadError
from llamachat.models import memory, plan
from llamachat.models.catalogue import Entry
from llamachat.models.memory import Machine, Verdict
from llamachat.models.plan import Option, Plan
from llamachat.models.sizes import size_in_words

SPEED = "tokens/s"


def show_options(
    title: str, options: Sequence[Option], machine: Machine, environment: Environment, *, chosen: Option | None = None
) -> None:
    """What there is, what each would need, and what this machine has: on stderr."""
    head = ("", "file", "size", "memory", SPEED, "")
    rows = [("→" if option == chosen else "", option.files[0], *cells(option)) for option in options]
    print_table(environment, [head, *rows])
    say(environment, f"{title}. This machine: {describe(machine)}.")


def recommendations(entries: Sequence[Entry], machine: Machine, choices: Choices) -> list[tuple[Entry, Option]]:
    """For each model the quantisation to take here; the usual one of a model that does not fit."""
    n_ctx, kv_type = choices.whole("ctx_size"), choices.text("kv_type") or "f16"
    found = []
    for entry in entries:
        best = plan.best_of(entry, machine, n_ctx, kv_type)
        options = plan.options_of(entry, machine, n_ctx, kv_type)
        name = best.name if best else memory.USUAL
        found.append((entry, next((option for option in options if option.quantisation == name), options[0])))
    return found


def table_of(recommended: Sequence[tuple[Entry, Option]]) -> list[tuple[str, ...]]:
    """Recommendations as rows, their heading first."""
    head = ("name", "quant", "size", "memory", SPEED, "")
    return [head, *((entry.name, option.quantisation, *cells(option)) for entry, option in recommended)]


def cells(option: Option) -> tuple[str, str, str, str]:
    """Size, memory, estimated speed and verdict of an option: of a terminal's 80 columns 48."""
    judged = option.judgement
    size = size_in_words(option.n_bytes) if option.n_bytes is not None else "?"
    if judged is None:
        return size, "?", "?", "not known"
    verdict = f"{judged.n_ctx:,} tokens fit" if judged.verdict is Verdict.SMALLER_CONTEXT else str(judged.verdict)
    return size, size_in_words(judged.need.total), f"~{option.speed:.1f}" if option.speed else "", verdict


def describe(machine: Machine) -> str:
    """What this machine has, in words."""
    parts = [f"{size_in_words(machine.ram_available)} of memory available"]
    parts += [f"{device.name} with {size_in_words(device.vram_free)} free" for device in machine.devices]
    return ", ".join([*parts, f"{size_in_words(machine.disk_free)} of disk"])


def check_fit(planned: Plan, *, force: bool) -> None:
    """Raises DownloadError, with the nearest that does fit, for a model that does not."""
    judged = planned.chosen.judgement
    if force or judged is None or judged.fits:
        return
    fitting = [option for option in planned.options if option.judgement and option.judgement.fits]
    nearest = max(fitting, key=lambda option: option.n_bytes or 0, default=None)
    near = f"llamachat pull {_name(planned, nearest)}" if nearest else "llamachat models recommend"
    raise DownloadError(
        f"{planned.chosen.files[0]} needs {size_in_words(judged.need.total)} of memory and does not fit.",
        f"What does: {near}. To insist: --force",
    )


def _name(planned: Plan, option: Option) -> str:
    """What to give `pull` for this option."""
    if planned.entry:
        return f"{planned.entry.name}:{option.quantisation}"
    return f"{planned.repo}:{option.files[0]}"
