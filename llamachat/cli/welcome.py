"""What is said before the first prompt: one screen to a newcomer, two lines to everybody else."""

from __future__ import annotations

from pathlib import Path

from llamachat import __version__
from llamachat.types import LoadOptions
from llamachat.ui.screen import Screen
from llamachat.ui.theme import Look

_LLAMA2 = "llama-2-7b-chat"


def greet(screen: Screen, options: LoadOptions, *, is_newcomer: bool) -> None:
    """Which model this is, what it costs, how to get Llama 2, and how to get help."""
    screen.line(f"llamachat {__version__} · {options.name}", Look.STRONG)
    if is_newcomer:
        _introduce(screen, options)
    elif options.is_starter:
        screen.line(f"A small starter model. For Llama 2: llamachat pull {_LLAMA2}")
    screen.line("/help lists the commands, Ctrl-C stops an answer, Ctrl-D leaves.", Look.DIM)


def _introduce(screen: Screen, options: LoadOptions) -> None:
    from llamachat.models.sizes import size_in_words  # noqa: PLC0415  what is needed once

    size = size_in_words(Path(options.path).stat().st_size)
    screen.line("")
    screen.line("The model runs on this machine: what you write stays here, and costs nothing.")
    if options.is_starter:
        screen.line(f"This one ({size}) came with the program. It is quick, and often wrong. Llama 2:")
        screen.line("")
        screen.table(_ways_to_llama2())
    else:
        screen.line(f"It takes {size} of disk, as much memory, and more for the conversation.")
    screen.line("")
    screen.line("Enter sends, Alt-Enter breaks the line, @FILE in a message attaches a file.")


def _ways_to_llama2() -> list[tuple[str, str]]:
    from llamachat.models import catalogue, memory  # noqa: PLC0415  35 ms that are needed once
    from llamachat.models.sizes import size_in_words  # noqa: PLC0415

    entry = catalogue.load().find(_LLAMA2)
    usual = entry.quantisation(memory.USUAL) if entry else None
    if entry is None or usual is None or usual.n_bytes is None:
        cost = ""
    else:
        needed = memory.need(usual.n_bytes, entry.geometry, entry.context).total
        cost = f" ({size_in_words(usual.n_bytes)}; it needs {size_in_words(needed)} of memory)"
    return [
        ("  llamachat models recommend", "shows what fits this machine, and how fast"),
        (f"  llamachat pull {_LLAMA2}", f"gets it{cost}"),
    ]
