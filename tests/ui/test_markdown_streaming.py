"""However an answer comes in pieces, the same bytes come out, and a terminal shows each line once."""

from __future__ import annotations

import re
import subprocess
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamachat.ui.markdown import Markdown
from tests.ui.markdown_screen import BARE, CORPUS, PAINTED, folded, render, screen, without_sgr
from tests.ui.test_markdown import INLINE

FRAGMENTS = [
    "\n", "\n\n", " ", "  ", "    ", "\t", "word ", "longerword", "*", "**", "***", "_", "__", "~~", "`", "``", "```",
    "````", "~~~", "```python\n", "```\n", "[", "]", "(", ")", "](", "[a](b)", "![i](u)", "!", "\\", "\\*", "\\[",
    "# ", "## ", "> ", ">", "- ", "* ", "+ ", "1. ", "12) ", "- [ ] ", "- [x] ", "---\n", "***\n", "|", "| a | b |\n",
    "|---|--:|\n", "| `c|d` | 한국어 <br> x |\n", "한국어", "日本語。", "「", "」", "👩\u200d🚀", "❤\ufe0f", "🇰🇷", "🇰",
    "e\u0301", "\u0301", "\u200d", "عربي", '"', "'", "<", ">", "https://x_y_z ", "def f(x): # c\n", '"""', "/*", "*/",
    "x=1", "\x1b[31m", "\r\n", "__init__", "2*3*4", "a_b_c", "===\n", "a" * 300, "*b" * 200,
]  # fmt: skip
pieces_of_markdown = st.lists(st.one_of(st.sampled_from(FRAGMENTS), st.text(max_size=3)), max_size=40)
texts = st.one_of(pieces_of_markdown.map("".join), st.text(max_size=80))
widths = st.integers(1, 90)
themes = st.booleans().map(lambda is_painted: PAINTED if is_painted else BARE)


def cut(text: str, sizes: list[int]) -> list[str]:
    pieces, start = [], 0
    while start < len(text):
        pieces.append(text[start : start + sizes[len(pieces) % len(sizes)]])
        start += len(pieces[-1])
    return pieces


@given(texts, st.lists(st.integers(1, 9), min_size=1, max_size=9), widths, themes)
def test_how_an_answer_is_cut_does_not_matter(text, sizes, width, look):
    assert render(cut(text, sizes), look, width) == render([text], look, width)


ALMOST = [
    "`a`` b`", "``a` b``", "[a\\[b](c)", "[a [b] c](d)", "[a](b(c)d 'e')", "[a](<b c> \"d\")", "[a](b\\)c)", "[a](b c)",
    "![a", "a!", "__init__x", "__a__", "__a_b__ c", "**a *b** c*", "***a* b**", "a\\", "- [x]a", "- [x",
    "1234567890. a", "#a", "> >a", ">\ta", "-\t\ta", "- - -", "- - a", "``` `", "```\n``\n```", "~~~\n~~~a\n~~~",
    "|a|\n|-", "|a|\n|-|\n|b",
]  # fmt: skip


@pytest.mark.parametrize("text", [*INLINE, *ALMOST])
def test_what_is_almost_something_is_the_same_wherever_it_is_cut(text):
    whole = render([text], PAINTED, 40)
    assert render(text, PAINTED, 40) == whole
    assert {render([text[:place], text[place:]], PAINTED, 40) for place in range(len(text) + 1)} == {whole}


@pytest.mark.parametrize("name", CORPUS)
@pytest.mark.parametrize("width", [8, 20, 33, 80])
def test_an_answer_cut_into_characters_is_the_same(name, width):
    assert render(CORPUS[name], PAINTED, width) == render([CORPUS[name]], PAINTED, width)


@given(texts, widths, themes)
def test_an_answer_ends_in_one_newline_and_begins_with_none(text, width, look):
    output = render([text], look, width)
    assert output == "" or re.fullmatch(r"[^\n](?s:.*)[^\n]\n|[^\n]\n", output)


@given(texts, st.lists(st.integers(1, 9), min_size=1, max_size=9))
def test_it_is_known_whether_the_cursor_is_in_the_middle_of_a_line(text, sizes):
    markdown = Markdown(PAINTED, lambda: 30)
    output = ""
    for piece in cut(text, sizes):
        output += markdown.feed(piece)
        assert markdown.is_mid_line == (output != "" and not output.endswith("\n"))


@pytest.mark.parametrize("name", CORPUS)
@pytest.mark.parametrize("width", [8, 20, 33, 80])
def test_a_terminal_shows_every_line_once(name, width):
    output = render(CORPUS[name], PAINTED, width)
    lines = [row for line in without_sgr(output).splitlines() for row in folded(line, width)]
    assert screen(output, width) == lines


@given(st.text("ab 가힣日本ー「」。👍é\u0301\n", max_size=120), st.integers(2, 40))
def test_plain_text_is_kept_whole_and_within_the_width(text, width):
    output = render([text], BARE, width)
    assert re.sub(r"\s", "", output) == re.sub(r"\s", "", text)
    assert all(len(folded(line, width)) == 1 for line in output.splitlines())


@pytest.mark.parametrize("name", sorted(set(CORPUS) - {"code", "bug-report", "raw-starter-2"}))
@pytest.mark.parametrize("width", [20, 40])
def test_no_line_outside_code_is_wider_than_the_terminal(name, width):
    """Code and preformatted lines are the terminal's to wrap; these texts have none that is long."""
    lines = without_sgr(render([CORPUS[name]], PAINTED, width)).splitlines()
    assert [line for line in lines if len(folded(line, width)) > 1] == []


@pytest.mark.parametrize("name", CORPUS)
@pytest.mark.parametrize("width", [8, 20, 80])
def test_no_word_is_lost(name, width):
    """Letters and digits come out in the order they went in; tables too narrow for columns repeat their heads."""
    text = CORPUS[name]
    if "|-" in text:
        text = text.split("|-")[0].rsplit("\n", 1)[0]
    shown = without_sgr(render([text], PAINTED, width))
    assert _letters(shown) == _letters(re.sub(r' "[^"]*"\)|\[[x ]\]', "", text))


def _letters(text: str) -> str:
    return "".join(c for c in text if unicodedata.category(c)[0] in "LNM" and c != "\ufe0f")


def test_a_word_is_shown_when_the_space_behind_it_comes():
    markdown = Markdown(PAINTED, lambda: 80)
    assert [markdown.feed(piece) for piece in ("Hel", "lo", ",", " ", "wor", "ld\n")] == [
        "",
        "",
        "",
        "Hello,",
        "",
        " world\n",
    ]


def test_a_span_is_shown_when_its_closer_comes():
    markdown = Markdown(BARE, lambda: 80)
    assert [markdown.feed(piece) for piece in ("a *b ", "c", "* ")] == ["a", "", " *b c*"]


def test_a_code_line_is_shown_with_its_newline_and_without_a_language_at_once():
    markdown = Markdown(PAINTED, lambda: 80)
    markdown.feed("```python\n")
    assert [markdown.feed("x "), without_sgr(markdown.feed("= 1\n"))] == ["", "x = 1\n"]
    markdown.feed("```\n```\n")
    assert [markdown.feed("x"), markdown.feed(" =")] == ["x", " ="]


def test_a_table_is_shown_from_its_third_row_on():
    markdown = Markdown(BARE, lambda: 80)
    fed = [markdown.feed(f"| {row} |\n") for row in ("head", "---", "1", "2", "3", "4")]
    assert fed == ["", "", "", "", "head\n────\n1\n2\n3\n", "4\n"]


def test_a_resize_holds_from_the_next_line_on():
    width = 20
    markdown = Markdown(BARE, lambda: width)
    shown = markdown.feed("one two three ")
    width = 8
    assert (shown + markdown.feed("four five six\n")).splitlines() == ["one two three four", "five six"]


class Work:
    """Counts the calls of functions, ours and C's: a measure of work that no other process disturbs."""

    def __init__(self) -> None:
        self.n_calls = 0

    def __call__(self, markdown: Markdown, pieces: list[str]) -> int:
        before = self.n_calls
        sys.setprofile(self._count)
        try:
            for piece in pieces:
                markdown.feed(piece)
        finally:
            sys.setprofile(None)
        return self.n_calls - before

    def _count(self, frame, event, argument) -> None:
        self.n_calls += event in ("call", "c_call")


FLAT = {
    "prose": "The quick brown fox *jumps* over the `lazy` dog, **and** so on.\n",
    "one line": "The quick brown fox jumps over the lazy dog, and so on, and on. ",
    "list": "- The quick brown fox\n  - jumps over the lazy dog\n",
    "Korean": "안녕하세요 이것은 **강조**된 문장입니다.\n",
    "quote": "> > The quick brown fox jumps over the lazy dog, and so on.\n",
    "Python": "    value = compute(a, b)  # a comment\n",
    "string": "it's a text in an open string, line after line\n",
}


@pytest.mark.parametrize("name", FLAT)
def test_the_ten_thousandth_token_costs_what_the_hundredth_did(name):
    start = {"Python": "```python\ndef f():\n", "string": '```python\nx = """\n'}.get(name, "")
    text = (FLAT[name] * (40_000 // len(FLAT[name]) + 1))[:40_000]
    tokens = cut(text, [4])
    markdown, work = Markdown(PAINTED, lambda: 80), Work()
    markdown.feed(start)
    markdown.feed("".join(tokens[:1000]))
    early = work(markdown, tokens[1000:2000])
    markdown.feed("".join(tokens[2000:9000]))
    late = work(markdown, tokens[9000:10_000])
    assert late < 1.3 * early
    assert early < 1000 * (2000 if start else 200)  # 2,000 calls take 0.1 ms


ENDLESS = {
    "a word": "x",
    "kana": "あ",
    "stars": "*",
    "openers": "*a ",
    "mixed openers": "*a_b **c __d ~~e ",
    "closers": "a* b_ c** ",
    "brackets": "[",
    "links": "[a](",
    "nested brackets": "[[a]",
    "backticks": "` `` ``` ",
    "quotes": ">",
    "list markers": "- ",
    "spaces": " ",
    "combining marks": "\u0301",
    "joiners": "\u200d",
    "cells": "|a",
    "tildes": "~",
    "digits": "1",
    "escapes": "\\",
    "exclamation marks": "!",
    "deep quotes": ">" * 100 + " a\n",
    "rows": "|" * 100 + "\n",
}


@pytest.mark.parametrize("name", ENDLESS)
@pytest.mark.parametrize("size", [4, 1_000_000])
def test_work_grows_with_the_text_and_not_faster(name, size):
    n_calls = []
    for length in (30_000, 120_000):
        text = (ENDLESS[name] * length)[:length]
        n_calls.append(Work()(Markdown(PAINTED, lambda: 80), cut(text, [size])))
    assert n_calls[1] < 5 * n_calls[0] + 1000


@pytest.mark.parametrize("name", sorted(set(ENDLESS) - {"spaces", "combining marks", "joiners", "escapes"}))
def test_little_is_held_back_however_long_the_line(name):
    """What is held is looked at again with each token, so it has to be bounded."""
    text = (ENDLESS[name] * 60_000)[:60_000]
    shown = without_sgr(Markdown(BARE, lambda: 80).feed(text))
    assert len(re.sub(r"\s", "", text)) - len(re.sub(r"\s", "", shown)) < 21_000


def test_five_thousand_columns_become_lines_of_cells():
    text = "|h" * 5000 + "|\n" + "|-" * 5000 + "|\n" + "|c" * 5000 + "|\n"
    assert render([text], BARE, 80).splitlines() == ["h: c"] * 5000


def test_pygments_is_loaded_with_the_first_block_that_names_a_language():
    code = (
        "import sys\nfrom llamachat.ui.markdown import Markdown\nfrom llamachat.ui.theme import Background, theme\n"
        "look = theme(Background.DARK, colour=True, attributes=True, encoding='utf-8')\n"
        "markdown = Markdown(look, lambda: 80)\n"
        "for text in ('a **b**\\n```\\ncode\\n```\\n', '```python\\nx\\n```\\n'):\n"
        "    markdown.feed(text)\n    print('pygments' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]
