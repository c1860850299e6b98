"""Llama 2's chat format, token for token what Meta's reference implementation gives.

The rules are those of `Llama.chat_completion` in Meta's llama/generation.py:

    <s>[INST] <<SYS>>\\n{system}\\n<</SYS>>\\n\\n{user} [/INST] {answer} </s><s>[INST] {user} [/INST]

Every exchange has its own BOS; a finished one ends with a space and EOS. Contents are stripped of white
space as Python's `str.strip` sees it; the system prompt is folded into the first user message before
that is stripped, so what stands between `<</SYS>>` and the question stays. The answer is tokenised on its
own: the space before it is the one that SentencePiece puts before each piece of text, and no piece of
Llama 2's vocabulary reaches across it, so the ids are the same and the prompt stays a prefix of the next.

Knows no tokenizer, and no format but this one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from llamachat.errors import ForbiddenTag
from llamachat.formats.base import Bos, Eos, Ids, Segment, Text
from llamachat.formats.roles import check_order
from llamachat.types import Message, Role

TAGS = ("[INST]", "[/INST]", "<<SYS>>", "<</SYS>>")


class Llama2Format:
    """Meta's format. Plain text can forge a turn only by its tags, so a user's text may not contain them."""

    name = "llama2"
    stops: tuple[str, ...] = ()

    def prompt(
        self, messages: Sequence[Message], *, open_answer: bool = False, raw_tags: bool = False
    ) -> list[Segment]:
        """See `Format.prompt`."""
        check_order(messages, open_answer=open_answer)
        if not raw_tags:
            _refuse_tags(messages)
        return list(_segments(messages, open_answer))


def _refuse_tags(messages: Sequence[Message]) -> None:
    for index, message in enumerate(messages):
        found = [] if message.generated else _tags_in(message.content)
        if found:
            offset, tag = min(found)
            raise ForbiddenTag(tag, index, message.role, offset)


def _tags_in(content: str) -> list[tuple[int, str]]:
    return [(content.index(tag), tag) for tag in TAGS if tag in content]


def _segments(messages: Sequence[Message], open_answer: bool) -> Iterator[Segment]:
    last = len(messages) - 1
    system: str | None = None
    for index, message in enumerate(messages):
        match message.role:
            case Role.SYSTEM:
                system = message.content
            case Role.USER:
                yield Bos()
                yield _question(message.content, system)
                system = None
            case Role.ASSISTANT if open_answer and index == last:
                yield from _open_answer(message)
            case Role.ASSISTANT:
                yield _answer(message)
                yield Eos()


def _question(user: str, system: str | None) -> Text:
    """An empty system prompt is still one, as in the reference; None is none."""
    if system is not None:
        user = f"<<SYS>>\n{system}\n<</SYS>>\n\n{user}"
    return Text(f"[INST] {user.strip()} [/INST]")


def _answer(message: Message) -> Text | Ids:
    """A finished answer, up to the space that closes it. An empty one is that space alone."""
    if message.tokens and message.tokens.ids:
        return Ids(message.tokens.ids, close_with_space=True)
    return Text(f"{message.content.strip()} ", spaced=True)


def _open_answer(message: Message) -> Iterator[Text | Ids]:
    """An answer that breaks off: white space at its end is part of it, and the next token continues it."""
    if message.tokens and message.tokens.ids:
        yield Ids(message.tokens.ids)
    elif text := message.content.lstrip():
        yield Text(text, spaced=True)
