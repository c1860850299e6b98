"""Pages of the docs that are made from tables say what the tables say."""

from __future__ import annotations

from docs.chat import PAGE, page


def test_the_page_of_the_chat_is_made_from_the_tables():
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m docs.chat"
