"""`--resume` without an ID: the user picks the session."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from llamachat.chat.transcript import Session
from llamachat.choices import Choices
from llamachat.cli.confirm import answer
from llamachat.cli.look import is_plain, theme_for
from llamachat.environment import Environment
from llamachat.errors import Interrupted, UsageError
from llamachat.store.sessions import Store
from llamachat.ui.keyboard import Keyboard, open_keyboard
from llamachat.ui.picker import Picker, pick, pick_in_words
from llamachat.ui.theme import Background, Glyphs


def check_terminal(environment: Environment) -> None:
    """Raises UsageError where nobody can pick."""
    if not (environment.stdin_is_terminal and (environment.stdout_is_terminal or environment.stderr_is_terminal)):
        raise UsageError(
            "--resume without an ID picks from a list, which needs a terminal.",
            "Those that are there: llamachat sessions list",
        )


def pick_session(store: Store, choices: Choices, environment: Environment) -> str:
    """The id of the session, or its beginning. Raises Interrupted if none was picked, UsageError if there is none."""
    sessions = store.sessions()
    if not sessions:
        raise UsageError("there is no session to go on with yet.", "To begin one: llamachat")
    if is_plain(choices, environment):
        now, columns = datetime.now(UTC), environment.columns
        name = pick_in_words(sessions, lambda question: answer(question, environment), now, columns)
    else:
        glyphs = theme_for(choices, Background.DARK, environment).glyphs
        with open_keyboard(environment, asks_background=False) as keyboard:
            picked = pick_at(keyboard, sessions, store, glyphs, colour=environment.wants_colour)
        name = picked.id if picked else ""
    if not name:
        raise Interrupted("no session was picked.")
    return name


def pick_at(
    keyboard: Keyboard, sessions: Sequence[Session], store: Store, glyphs: Glyphs, *, colour: bool
) -> Session | None:
    """The session that the user picks from a list that is drawn; None if none."""
    picker = Picker(sessions, lambda session: store.load(session.id), glyphs, datetime.now(UTC))
    return pick(picker, keys=keyboard.input, output=keyboard.output, colour=colour)
