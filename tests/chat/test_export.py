"""A conversation as Markdown, text, JSON and a page."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamachat.chat.conversation import State, Turn
from llamachat.chat.export import FORMATS, as_html, as_json, as_markdown, as_plain_text
from llamachat.chat.transcript import Entry, Session, Transcript, title_of, to_moment, to_text
from llamachat.types import AnswerTokens, Message, Role

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def transcript(*texts: str, system: str | None = None, state: State = State.COMPLETE, title: str = "A *title*"):
    entries = tuple(
        Entry(
            Turn(number, number - 1 or None, Message(Role.ASSISTANT if number % 2 == 0 else Role.USER, text), state),
            NOW,
            NOW,
        )
        for number, text in enumerate(texts, start=1)
    )
    return Transcript(Session("x", title, NOW, NOW, "parrot", system=system, leaf=len(texts) or None), entries)


class Page(HTMLParser):
    """What a browser would make of a page: its elements with their attributes, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag, attrs) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data) -> None:
        self.text += data


def test_markdown_has_what_was_said_as_it_is():
    assert as_markdown(transcript("Why?", "Because:\n\n```py\nx\n```", system="Be brief.")) == (
        "# A *title*\n\n2026-01-02 03:04 UTC, with parrot\n\n## System\n\nBe brief.\n\n"
        "## You\n\nWhy?\n\n## Assistant\n\nBecause:\n\n```py\nx\n```\n"
    )


def test_text_says_how_an_answer_ended():
    text = as_plain_text(transcript("Why?", "Bec", state=State.INTERRUPTED))
    assert text.endswith("Assistant:\nBec\n\n(interrupted)\n")


def test_json_has_the_branch_for_others_and_the_tree_for_us():
    tokens = AnswerTokens("v", (1,))
    entries = (
        Entry(Turn(4, None, Message(Role.USER, "one?")), NOW, NOW),
        Entry(Turn(5, 4, Message(Role.ASSISTANT, "1", True, tokens), State.LENGTH), NOW, NOW, 3, {"seed": 1}, True),
        Entry(Turn(9, 4, Message(Role.ASSISTANT, "eins", True)), NOW, NOW),
    )
    whole = json.loads(as_json(Transcript(Session("x", "t", NOW, NOW, system="s", leaf=9), entries)))
    assert whole["messages"] == [
        {"role": "system", "content": "s"},
        {"role": "user", "content": "one?"},
        {"role": "assistant", "content": "eins"},
    ]
    assert [turn["content"] for turn in whole["llamachat"]["turns"]] == ["one?", "1", "eins"]
    assert whole["llamachat"]["turns"][1]["made"] == {"seed": 1}
    assert "ids" not in json.dumps(whole)


def test_the_page_needs_nothing_else_and_knows_light_and_dark():
    html = as_html(transcript("Why?", "**Because** of [this](https://example.org)\n\n|a|\n|-|\n|b|"))
    page = Page(html)
    assert ("meta", {"charset": "utf-8"}) in page.tags
    assert "prefers-color-scheme: dark" in html
    assert {"strong", "table", "a"} <= {tag for tag, _ in page.tags}
    assert not {"script", "link", "img", "iframe"} & {tag for tag, _ in page.tags}
    assert "url(" not in html
    assert "@import" not in html


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "![picture](https://example.org/x.png)",
        "[link](javascript:alert(1))",
        "[link](JaVaScRiPt:alert(1))",
        "[link](&#106;avascript:alert(1))",
        "[link](data:text/html,x)",
        "[link](file:///etc/passwd)",
        "[link](//example.org)",
        "<javascript:alert(1)>",
        "[ref]\n\n[ref]: vbscript:x",
        "</p></section></body><script>",
        '[a](https://example.org "x\\" onmouseover=alert(1) y")',
    ],
)
def test_nothing_said_can_act_in_a_page(text):
    for said in (transcript(text, text, system=text), transcript("a", text, title=text)):
        page = Page(as_html(said))
        assert not {"script", "img"} & {tag for tag, _ in page.tags}
        for _, attributes in page.tags:
            assert not any(name.startswith("on") for name in attributes)
            assert re.match(r"(https?|mailto):", attributes.get("href") or "https:")
        assert sum(tag == "body" for tag, _ in page.tags) == 1


@given(text=st.text())
def test_what_was_typed_is_in_every_format(text):
    said = transcript(text, "an answer")
    assert text.strip("\n") in as_markdown(said)
    assert text.strip("\n") in as_plain_text(said)
    assert json.loads(as_json(said))["messages"][0]["content"] == text
    shown = Page(as_html(said)).text
    assert all(word in shown for word in re.findall(r"\w+", text))


def test_an_empty_conversation_is_exported():
    assert all(form(transcript()) for form in FORMATS.values())


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("\n  What is\tthis?  \nMore", "What is this?"),
        ("x" * 60, "x" * 60),
        ("word " * 20, "word word word word word word word word word word word word…"),
        (" \n ", ""),
    ],
)
def test_a_title_is_the_first_line_that_says_something(text, title):
    assert title_of(text) == title
    assert len(title) <= 60


def test_times_keep_their_moment():
    assert to_text(NOW) == "2026-01-02T03:04:05.000Z"
    assert to_moment(to_text(NOW)) == NOW
    assert to_moment("2026-01-02T05:04:05+02:00") == NOW
    assert to_moment("2026-01-02T03:04:05") == NOW
