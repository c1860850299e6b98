"""Meta's rules once more, in our own words, for SentencePiece: what the format is held against.

After `Llama.chat_completion` in Meta's llama/generation.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol


class Tokenizer(Protocol):
    def encode(self, text: str) -> list[int]: ...
    def bos_id(self) -> int: ...
    def eos_id(self) -> int: ...


def ids(dialog: Sequence[tuple[str, str]], tokenizer: Tokenizer) -> list[int]:
    """The prompt's token ids."""
    *finished, (question, _) = _exchanges(dialog)
    tokens: list[int] = []
    for user, answer in finished:
        text = f"[INST] {user.strip()} [/INST] {answer.strip()} "
        tokens += [tokenizer.bos_id(), *tokenizer.encode(text), tokenizer.eos_id()]
    return [*tokens, tokenizer.bos_id(), *tokenizer.encode(f"[INST] {question.strip()} [/INST]")]


def _exchanges(dialog: Sequence[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Question and answer; the last answer is empty. The system prompt is part of the first question."""
    contents = [content for _, content in dialog]
    if dialog[0][0] == "system":
        system, first, *rest = contents
        contents = ["<<SYS>>\n" + system + "\n<</SYS>>\n\n" + first, *rest]
    contents.append("")
    yield from zip(contents[::2], contents[1::2], strict=True)
