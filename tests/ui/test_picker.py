"""Picking a session from a list: keys through a pipe into the real picker, its screen a terminal emulator's."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prompt_toolkit.data_structures import Size
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output.vt100 import Vt100_Output

from llamachat.chat.transcript import Session
from llamachat.store.sessions import Store
from llamachat.types import Message, Role
from llamachat.ui.markdown.width import width_of
from llamachat.ui.picker import Picker, age_of, pick, pick_in_words, row
from llamachat.ui.theme import Glyphs
from tests.ui.typing import BACKSPACE, CTRL_C, CTRL_D, DOWN, ENTER, ESCAPE, UP, Emulator, paste

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
TITLES = ("About llamas", "라마에 대하여", "A \x1b]0;bad\x07 title", "A plan for the garden")
PAGE_DOWN, END, KILL, KILL_WORD = "\x1b[6~", "\x1b[F", "\x15", "\x17"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Four chats, the newest first as in TITLES."""
    ticks = itertools.count(-1000)
    with Store(tmp_path / "sessions.db", clock=lambda: NOW + timedelta(milliseconds=next(ticks))) as store:
        for title in TITLES[::-1]:
            session = store.create(title, model="llama-2-7b-chat")
            turn = store.add(session.id, None, Message(Role.USER, f"Tell me: {title}"))
            store.add(session.id, turn, Message(Role.ASSISTANT, f"Of course.\n{title}", generated=True))
        yield store


def picker_of(store: Store) -> Picker:
    return Picker(store.sessions(), lambda session: store.load(session.id), Glyphs(), NOW)


def picked(store: Store, keys: str) -> str | None:
    """The title of what these keys pick."""
    with create_pipe_input() as pipe:
        screen = Emulator(80, 24, "utf-8", pipe.send_text)
        output = Vt100_Output(screen, lambda: Size(rows=24, columns=80), term="xterm")
        pipe.send_text(keys)
        found = pick(picker_of(store), keys=pipe, output=output, colour=True)
        assert "\x1b[?1049l" in screen.raw.partition("\x1b[?1049h")[2]  # the other screen, and back
        return found.title if found else None


@pytest.mark.parametrize(
    ("keys", "title"),
    [
        (ENTER, TITLES[0]),
        (f"{DOWN}{DOWN}{ENTER}", TITLES[2]),
        (f"{DOWN}{DOWN}{UP}{ENTER}", TITLES[1]),
        (f"{DOWN * 9}{ENTER}", TITLES[3]),
        (f"{UP}{ENTER}", TITLES[0]),
        (f"{END}{ENTER}", TITLES[3]),
        (f"{PAGE_DOWN}{ENTER}", TITLES[3]),
        (f"라마{ENTER}", TITLES[1]),
        (f"GARDEN plan{ENTER}", TITLES[3]),
        (f"plan{DOWN}{ENTER}", TITLES[3]),
        (f"{paste('garden')}{ENTER}", TITLES[3]),
        (f"gardenx{BACKSPACE}{ENTER}", TITLES[3]),
        (f"nothing{ENTER}{KILL}{ENTER}", TITLES[0]),
        (f"garden xyz{KILL_WORD}{ENTER}", TITLES[3]),
        (f"{DOWN}{ESCAPE}", None),
        (CTRL_C, None),
        (CTRL_D, None),
    ],
)
def test_keys_mark_search_take_and_leave(store, keys, title):
    assert picked(store, keys) == title


def drawn(picker: Picker, columns: int, rows: int) -> list[str]:
    return "".join(text for _, text in picker.draw(columns, rows)).split("\n")


@pytest.mark.parametrize("columns", [80, 60, 20, 8])
@pytest.mark.parametrize("rows", [24, 8, 4])
def test_the_screen_is_never_overfull_and_shows_nothing_that_acts_on_it(store, columns, rows):
    picker = picker_of(store)
    for _ in TITLES:
        lines = drawn(picker, columns, rows)
        assert len(lines) <= rows
        assert all(width_of(line) < columns for line in lines)
        assert not any(character in "".join(lines) for character in "\x1b\x07")
        assert any(line.startswith("›") for line in lines)
        picker.step(1)


def test_the_end_of_the_marked_session_is_shown_below_the_list(store):
    picker = picker_of(store)
    picker.step(3)
    lines = drawn(picker, 80, 24)
    assert lines.index("You: Tell me: A plan for the garden") < lines.index("Answer: Of course.")
    picker.type("llamas")
    assert "Answer: Of course." in drawn(picker, 80, 24)
    assert "A plan for the garden" not in "\n".join(drawn(picker, 80, 24))


def test_a_session_that_cannot_be_read_says_so_and_the_others_can_still_be_picked(store):
    gone = store.sessions()[0]
    picker = picker_of(store)
    store.remove([gone.id])
    assert "It cannot be read: there is no session" in "\n".join(drawn(picker, 80, 24))
    picker.step(1)
    assert "라마" in drawn(picker, 80, 24)[-2]


def test_a_row_has_age_title_model_and_messages_as_far_as_they_fit():
    session = Session("1abc", "About llamas", NOW, NOW - timedelta(hours=5), "llama-2-7b-chat", n_messages=12)
    wide = row(session, 78, NOW)
    assert wide.split() == ["5", "h", "About", "llamas", "llama-2-7b-chat", "12"]
    assert row(session, 18, NOW) == "5 h  About llamas"
    assert row(session, 12, NOW) == "5 h  About…"


@pytest.mark.parametrize(
    ("seconds", "age"), [(0, "now"), (59, "now"), (60, "1 min"), (7300, "2 h"), (90_000, "1 d"), (40 * 86_400, "26-10")]
)
def test_ages_are_said_in_a_word_or_two(seconds, age):
    assert age_of(NOW - timedelta(seconds=seconds), NOW).startswith(age)


@pytest.mark.parametrize(("typed", "place"), [("1", 0), ("4", 3), ("", None), ("9", "9"), ("1abc", "1abc")])
def test_in_plain_words_a_number_or_an_id_picks(store, typed, place):
    sessions, asked = store.sessions(), []
    name = pick_in_words(sessions, lambda text: asked.append(text) or typed, NOW, 80)
    assert name == (sessions[place].id if isinstance(place, int) else place or "")
    assert asked[0].splitlines()[0].split() == ["1", "now", "About", "llamas", "llama-2-7b-chat", "2"]
    assert asked[0].endswith("Go on with which? [1-4, an ID, Enter: none]")
