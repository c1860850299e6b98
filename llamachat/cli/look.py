"""How answers look on this terminal, by what was chosen."""

from __future__ import annotations

from llamachat.choices import Choices
from llamachat.environment import Environment
from llamachat.ui.theme import Background, Theme, theme


def theme_for(choices: Choices, background: Background, environment: Environment) -> Theme:
    """The theme that was chosen, or the one for this background."""
    plain = is_plain(choices, environment)
    return theme(
        background_for(choices, background),
        colour=environment.wants_colour and not plain,
        attributes=not plain,
        encoding=environment.stdout_encoding,
    )


def background_for(choices: Choices, background: Background) -> Background:
    """The background that was chosen, or this one."""
    chosen = choices.text("theme")
    return Background(chosen) if chosen in set(Background) else background


def is_plain(choices: Choices, environment: Environment) -> bool:
    """Whether nothing may move and nothing be coloured."""
    return choices.switch("plain") or environment.wants_plain


def is_raw(choices: Choices, environment: Environment) -> bool:
    """Whether an answer is shown as it was written."""
    return choices.switch("raw") or is_plain(choices, environment)
