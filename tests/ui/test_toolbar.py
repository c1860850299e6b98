"""The toolbar shows what fits, and warns before the context is full."""

from __future__ import annotations

import pytest

from llamachat.types import ContextUse
from llamachat.ui.toolbar import State, toolbar

STATE = State("llama-2-7b-chat", "Q4_K_M", "assistant", ContextUse(4096, 1812), 5.25)


def text(state: State, columns: int) -> str:
    return "".join(part for _, part in toolbar(state, columns))


def test_a_wide_terminal_gets_everything():
    assert text(STATE, 200) == "llama-2-7b-chat Q4_K_M · assistant · 1,812/4,096 ████░░░░░░ · 5.2 tokens/s"


@pytest.mark.parametrize(
    ("columns", "shown"),
    [
        (70, "llama-2-7b-chat Q4_K_M · assistant · 1,812/4,096 ████░░░░░░"),
        (45, "llama-2-7b-chat · 1,812/4,096 ████░░░░░░"),
        (30, "llama-2-7b-chat · 1,812/4,096"),
        (20, "1,812/4,096"),
        (8, "1,812/4"),
    ],
)
def test_a_narrow_one_gets_what_matters_most(columns, shown):
    assert text(STATE, columns) == shown


@pytest.mark.parametrize("columns", range(1, 100))
def test_it_never_fills_the_line(columns):
    assert len(text(STATE, columns)) < max(columns, 1)


@pytest.mark.parametrize(
    ("used", "style"),
    [(0, ""), (3071, ""), (3072, "class:toolbar.tight"), (3690, "class:toolbar.full"), (4096, "class:toolbar.full")],
)
def test_the_gauge_warns_as_it_fills(used, style):
    line = toolbar(State(context=ContextUse(4096, used)), 80)
    assert [shown for shown, part in line if "/4,096" in part] == [style]


def test_a_single_token_shows_in_the_gauge():
    assert "█" in text(State(context=ContextUse(4096, 1)), 80)
    assert "█" not in text(State(context=ContextUse(4096, 0)), 80)


def test_a_remark_takes_the_place_of_the_model_and_is_harmless():
    assert text(State("m", remark="loading\x1b[2J… 40 %"), 80) == "loading␛[2J… 40 %"
