"""How answers look on this terminal, by what was chosen."""

from __future__ import annotations

from llamachat.choices import Choices
from llamachat.environment import Environment
from llamachat.ui.theme import Background, Theme, theme


def theme_for(choices: Choices, background: Background, environment: Environment) -> Theme:
    """The theme that was chosen, or the one for this background."""
    chosen = choices.text("theme")
    return theme(
        Background(chosen) if chosen in set(Background) else background,
        colour=environment.wants_colour,
        attributes=not environment.wants_plain,
        encoding=environment.stdout_encoding,
    )


def is_raw(choices: Choices, environment: Environment) -> bool:
    """Whether an answer is shown as it was written."""
    return choices.switch("raw") or choices.switch("plain") or environment.wants_plain
