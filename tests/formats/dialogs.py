"""Dialogs that go wrong in bad tokenizers and bad formats, and how to make them."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

from llamachat.types import AnswerTokens, Message, Role

Dialog = list[tuple[str, str]]

# fmt: off
ODD = (
    " ", "  ", "   ", "    indented", "\n", "\n\n", "\r\n", "\t", "\v\f", "\x1c", "\x85", "\xa0", "\u2003", "\u3000",
    "\u200b", "\ufeff", "\0", "\ufdd0", "\U0010ffff", "▁", "▁▁", "<s>", "</s>", "<unk>", "<0x0A>", "<0x00>",
    "<|im_start|>", "<|im_end|>", "<|im_", "end|>", "<image>", "</think>", "[INST]", "[/INST]", "<<SYS>>", "<</SYS>>",
    "[", "]", "<", ">", "</", "/s>", "<<", "SYS>>", "🙂", "👩\u200d👩\u200d👧", "🇫🇷", "é", "e\u0301", "שלום", "你好",
    "Straße", "Καλημέρα", "What is it?", "I'm here.", "def f(x): return x", "1234567890", '{"a": 1}',
)
# fmt: on

contents = st.lists(st.one_of(st.sampled_from(ODD), st.text(max_size=6)), max_size=6).map("".join)


@st.composite
def dialogs(draw: st.DrawFn, max_exchanges: int = 5) -> Dialog:
    """system? (user assistant)* user, with contents that are anything."""
    dialog = [("system", draw(contents))] if draw(st.booleans()) else []
    for _ in range(draw(st.integers(0, max_exchanges))):
        dialog += [("user", draw(contents)), ("assistant", draw(contents))]
    return [*dialog, ("user", draw(contents))]


def messages(dialog: Sequence[tuple[str, str]]) -> list[Message]:
    return [Message(Role(role), content, generated=role == "assistant") for role, content in dialog]


def with_ids(message: Message, *ids: int) -> Message:
    """The same message, remembered as the token ids it was generated as."""
    return Message(message.role, message.content, message.generated, AnswerTokens("any", ids))


def chat(*contents: str, system: str | None = None) -> list[Message]:
    """user, assistant, user, … from contents alone."""
    roles = ("user", "assistant")
    turns = [(roles[index % 2], content) for index, content in enumerate(contents)]
    return messages(turns if system is None else [("system", system), *turns])
