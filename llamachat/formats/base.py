"""What a chat format is: messages in, segments of a prompt out.

A segment is text, a control token, or token ids that are known already. Only a format decides what
becomes a control token; text is never parsed for them. Formats are pure: they know no tokenizer and
no engine (`llama/vocabulary.py` turns segments into ids).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from llamachat.types import Message


@dataclass(frozen=True, slots=True)
class Text:
    """Plain text, tokenised on its own, never parsed for control tokens.

    A SentencePiece tokenizer puts one space before each piece of text it is given. Where that space is
    part of the prompt (Llama 2's answers follow `[/INST]` with one), `spaced` says so for display.
    """

    text: str
    spaced: bool = False


@dataclass(frozen=True, slots=True)
class Control:
    """One control token, by the text it has in the vocabulary."""

    text: str


@dataclass(frozen=True, slots=True)
class Bos:
    """The vocabulary's beginning-of-sequence token."""


@dataclass(frozen=True, slots=True)
class Eos:
    """The vocabulary's end-of-sequence token."""


@dataclass(frozen=True, slots=True)
class Ids:
    """Token ids of an answer generated earlier. `close_with_space` adds the piece `▁` unless they end with it."""

    ids: tuple[int, ...]
    close_with_space: bool = False


Segment = Text | Control | Bos | Eos | Ids


class Format(Protocol):
    """One family's chat format."""

    name: str
    stops: tuple[str, ...]  # strings that end an answer besides the vocabulary's own end tokens

    def prompt(
        self, messages: Sequence[Message], *, open_answer: bool = False, raw_tags: bool = False
    ) -> list[Segment]:
        """The whole prompt for the next answer.

        `messages` end with a user's. With `open_answer` they end with the assistant's unfinished answer,
        and the prompt ends where it breaks off. `raw_tags` lets the format's own tags through as text.
        Messages whose `tokens` are set become `Ids`; the caller has dropped foreign ones.

        Raises UsageError for roles out of order, ForbiddenTag for a tag in a message not generated.
        """
        ...
