"""Llama 2's format on Llama 2's own vocabulary, against Meta's reference.

Needs the directory named by LLAMACHAT_SHARED, which holds Meta's vocabulary and the reference as a tool, and so is
no part of the ordinary tests: .ci/run calls this where that directory exists.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import sentencepiece
from hypothesis import given, settings

from llamachat.formats.llama2 import Llama2Format
from llamachat.llama.vocabulary import Vocabulary
from tests.data.make_golden import load_reference
from tests.formats.dialogs import Dialog, dialogs, messages

GOLDEN = json.loads((Path(__file__).parent.parent / "data" / "golden_llama2.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def shared() -> Path:
    return Path(os.environ["LLAMACHAT_SHARED"])


@pytest.fixture(scope="session")
def vocabulary(shared) -> Iterator[Vocabulary]:
    with Vocabulary.load(shared / "data" / "llama2-vocab.gguf") as loaded:
        yield loaded


@pytest.fixture(scope="session")
def reference(shared) -> ModuleType:
    return load_reference(shared / "tools" / "llama2_reference.py")


@pytest.fixture(scope="session")
def tokenizer(reference) -> sentencepiece.SentencePieceProcessor:
    return sentencepiece.SentencePieceProcessor(model_file=str(reference.TOKENIZER))


def encoded(dialog: Dialog, vocabulary: Vocabulary) -> list[int]:
    return vocabulary.encode(Llama2Format().prompt(messages(dialog), raw_tags=True))


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=lambda case: case["about"])
def test_the_golden_vectors_are_what_we_encode(vocabulary, case):
    assert encoded(case["dialog"], vocabulary) == case["ids"]


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=lambda case: case["about"])
def test_the_golden_vectors_are_what_the_reference_encodes(reference, tokenizer, case):
    turns = [{"role": role, "content": content} for role, content in case["dialog"]]

    assert reference.encode_dialog(turns, tokenizer) == case["ids"]


@settings(max_examples=600, deadline=None)
@given(dialog=dialogs())
def test_any_dialog_is_encoded_as_the_reference_does(vocabulary, reference, tokenizer, dialog):
    turns = [{"role": role, "content": content} for role, content in dialog]

    assert encoded(dialog, vocabulary) == reference.encode_dialog(turns, tokenizer)
