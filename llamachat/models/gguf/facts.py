"""What a header says of the model: its dimensions, and how it cuts and frames text.

Takes what is said; whether llama.cpp survives it is for `checks`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from llamachat.models.gguf.metadata import ARCHITECTURE, TOKENS, Metadata, read_leading
from llamachat.models.gguf.reader import STRING, Reader
from llamachat.models.gguf.unusable import called, opened

_MOST_BYTES = 1 << 24


@dataclass(frozen=True, slots=True)
class Header:
    """What the leading entries say. `file_type` is llama.cpp's number for the quantisation."""

    architecture: str = ""
    name: str = ""
    file_type: int = -1


@dataclass(frozen=True, slots=True)
class Facts:
    """The model's dimensions and what the header says of it; 0 or empty where it does not say.

    `file_type` is llama.cpp's number, -1 if there is none. Of what differs from layer to layer, the largest.
    """

    architecture: str
    name: str
    file_type: int
    context_length: int
    n_layers: int
    n_embd: int
    n_heads: int
    n_kv_heads: int
    head_dim: int
    value_dim: int
    n_ff: int
    n_vocab: int
    split_count: int
    split_no: int
    tokenizer: str
    chat_template: str | None

    def kv_bytes_per_token(self, bytes_per_value: float = 2) -> int:
        """Bytes of KV cache for a token: a key and a value, of 2 bytes in F16, to each layer and KV head."""
        return math.ceil(self.n_layers * self.n_kv_heads * (self.head_dim + self.value_dim) * bytes_per_value)


def read_header(path: Path) -> Header:
    """The entries before the vocabulary. Raises ModelError when this is no readable GGUF."""
    with opened(path) as file:
        values = read_leading(Reader(file)).values
    file_type = values.get("general.file_type", -1)
    return Header(
        architecture=str(values.get(ARCHITECTURE, "")),
        name=str(values.get("general.name", "")),
        file_type=file_type if isinstance(file_type, int) else -1,
    )


def read_facts(stream: BinaryIO, name: str = "the file") -> Facts:
    """What the header says before its vocabulary, read from `stream` in blocks of 64 KiB and at most 16 MiB of it.

    Reads only forward and stops where the tokens begin, so that a chat template after them is not seen. Raises
    ModelError, in which the file is called `name`; what the stream raises passes.
    """
    with called(name):
        return facts_of(read_leading(Reader(stream, _MOST_BYTES)))


def facts_of(metadata: Metadata) -> Facts:
    """Raises Unusable for a value of the wrong type, or a number out of any range."""
    own = metadata.own
    tokens = metadata.array(TOKENS, (STRING,), "texts")
    n_embd, n_heads = metadata.integer(own("embedding_length")), metadata.largest(own("attention.head_count"))
    even_share = n_embd // n_heads if n_heads else 0
    template = metadata.values.get("tokenizer.chat_template")
    return Facts(
        architecture=metadata.architecture,
        name=metadata.text("general.name"),
        file_type=metadata.integer("general.file_type", -1),
        context_length=metadata.integer(own("context_length")),
        n_layers=metadata.integer(own("block_count")),
        n_embd=n_embd,
        n_heads=n_heads,
        n_kv_heads=metadata.largest(own("attention.head_count_kv"), n_heads),
        head_dim=metadata.largest(own("attention.key_length"), even_share),
        value_dim=metadata.largest(own("attention.value_length"), even_share),
        n_ff=metadata.largest(own("feed_forward_length")),
        n_vocab=tokens.length if tokens else metadata.integer(own("vocab_size")),
        split_count=metadata.integer("split.count"),
        split_no=metadata.integer("split.no"),
        tokenizer=metadata.text("tokenizer.ggml.model"),
        chat_template=template if isinstance(template, str) else None,
    )
