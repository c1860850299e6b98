"""The vocabulary of the project's own, as llama.cpp and as SentencePiece read it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sentencepiece

from llamachat.llama.vocabulary import Vocabulary

DATA = Path(__file__).parent.parent / "data"


@pytest.fixture(scope="session")
def vocabulary() -> Iterator[Vocabulary]:
    with Vocabulary.load(DATA / "vocab.gguf") as loaded:
        yield loaded


@pytest.fixture(scope="session")
def tokenizer() -> sentencepiece.SentencePieceProcessor:
    return sentencepiece.SentencePieceProcessor(model_file=str(DATA / "vocab.model"))
