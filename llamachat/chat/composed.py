"""A message that files came with: documents at its head, one's own words behind them (`attachments` composes it)."""

from __future__ import annotations

import re

BREAK = "\n\n"
_BLOCK = re.compile(r"[^\n`]+:\n(?P<fence>`{3,})[a-z]*\n")  # the beginning of a document


def words_of(message: str) -> int:
    """Where the words of a composed message begin, behind the documents at its head; 0 if there are none."""
    start = 0
    while block := _BLOCK.match(message, start):
        closing = f"\n{block['fence']}{BREAK}"
        end = message.find(closing, block.end() - 1)
        if end < 0:
            break
        start = end + len(closing)
    return start


def own_words(message: str) -> str:
    """What somebody wrote beside the documents; all of it where that is nothing."""
    words = message[words_of(message) :]
    return words if words.strip() else message
