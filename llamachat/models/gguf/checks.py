"""Whether llama.cpp will survive a file: the values over which it ends the process, each found here first.

Reads no bytes itself. The order of the checks is of what explains the most.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from llamachat.models.gguf.facts import Facts, facts_of
from llamachat.models.gguf.kinds import other_than_chat
from llamachat.models.gguf.metadata import ARCHITECTURE, TOKENS, Array, Metadata
from llamachat.models.gguf.parts import Part, check_is_first, check_part, other_parts, read_part
from llamachat.models.gguf.reader import F32, I32, STRING, U32
from llamachat.models.gguf.tensors import Tensor, check_tensors, quantisation
from llamachat.models.gguf.unusable import Unusable, and_more, called, shown

_MOST_LAYERS = 512  # LLAMA_MAX_LAYERS
_MOST_EXPERTS = 512  # LLAMA_MAX_EXPERTS
_ROPE_SCALINGS = ("none", "linear", "yarn", "longrope")
_EPSILONS = ("layer_norm_rms_epsilon", "layer_norm_epsilon", "group_norm_epsilon")
_NO_TOKEN = (1 << 32) - 1  # LLAMA_TOKEN_NULL, -1, as writers put it
_WITHOUT_FIRST_TOKEN = {"t5", "gemma4", "glm4", "chatglm-bpe"}  # for which llama.cpp takes none by itself
_BYTE_TOKEN = 6  # LLAMA_TOKEN_TYPE_BYTE


@dataclass(frozen=True, slots=True)
class Checked:
    """A file that passed. `quantisation` is as file names have it: `Q4_K_M`.

    Of a model in several files, `parts` are all of them, `tensors` those of all, `data_offset` the first's.
    """

    facts: Facts
    tensors: tuple[Tensor, ...]
    data_offset: int
    weight_bytes: int
    quantisation: str
    parts: tuple[Path, ...]


def check(path: Path) -> Checked:
    """The file's facts, if llama.cpp can load it and compute with it without ending the process.

    Checks the header, that the file is as long as the header says, and a split model's other parts. Raises
    ModelError with the first thing found.
    """
    first = read_part(path)
    with called(path.name):
        facts = _check_model(first)
        others = other_parts(path, facts.split_count)
    parts = [first, *map(read_part, others)]
    for number, part in enumerate(parts):
        with called(part.path.name):
            check_part(part, number, len(parts))
    tensors = tuple(tensor for part in parts for tensor in part.tensors)
    with called(path.name):
        check_tensors(tensors, facts)
    return Checked(
        facts=facts,
        tensors=tensors,
        data_offset=first.data_offset,
        weight_bytes=sum(tensor.n_bytes for tensor in tensors),
        quantisation=quantisation(tensors, facts),
        parts=tuple(part.path for part in parts),
    )


def _check_model(part: Part) -> Facts:
    """Everything that the first or only file says of the model."""
    metadata = part.metadata
    check_is_first(part)
    _check_kind(metadata)
    facts = facts_of(metadata)
    if not part.tensors and facts.split_count < 2:
        vocabulary = "a vocabulary and " if TOKENS in metadata.values else ""
        raise Unusable(f"holds {vocabulary}no weights", "Name a complete model: llamachat pull downloads one.")
    _check_dimensions(facts)
    _check_layers(metadata, facts)
    _check_experts(metadata)
    _check_numbers(metadata)
    _check_vocabulary(metadata)
    return facts


def _check_kind(metadata: Metadata) -> None:
    kind = other_than_chat(metadata.text("general.type"), metadata.architecture)
    if kind:
        raise Unusable(f"is {kind}, and cannot chat by itself", "Name a model that writes text with -m.")
    if ARCHITECTURE not in metadata.values:
        raise Unusable(f"does not say which architecture it is of ({ARCHITECTURE})")
    if not re.fullmatch(r"[\w.+-]{1,64}", metadata.architecture, re.ASCII):
        raise Unusable(f"says {shown(metadata.architecture)} for {ARCHITECTURE}, which is no name")


def _check_dimensions(facts: Facts) -> None:
    for key, value in (("context_length", facts.context_length), ("embedding_length", facts.n_embd)):
        if not value:
            raise Unusable(f"does not say its {facts.architecture}.{key}")
    if facts.n_heads > facts.n_embd:
        raise Unusable(f"claims {facts.n_heads:,} attention heads over vectors of {facts.n_embd:,}")
    if facts.n_kv_heads > max(facts.n_heads, 1):
        raise Unusable(f"claims {facts.n_kv_heads:,} key-value heads for {facts.n_heads:,} attention heads")


def _check_layers(metadata: Metadata, facts: Facts) -> None:
    """llama.cpp asserts both."""
    if not 1 <= facts.n_layers <= _MOST_LAYERS:
        key = metadata.own("block_count")
        raise Unusable(f"claims {facts.n_layers:,} layers ({key}), where 1 to {_MOST_LAYERS} are possible")
    n_next = metadata.integer(metadata.own("nextn_predict_layers"))
    if n_next > facts.n_layers:
        raise Unusable(f"claims {n_next:,} layers for predictions (nextn_predict_layers) of {facts.n_layers}")


def _check_experts(metadata: Metadata) -> None:
    """llama.cpp asserts each."""
    count, used = metadata.integer(metadata.own("expert_count")), metadata.integer(metadata.own("expert_used_count"))
    if count > _MOST_EXPERTS:
        raise Unusable(f"claims {count:,} experts; llama.cpp has room for {_MOST_EXPERTS}")
    if used > count:
        raise Unusable(f"uses {used:,} experts of {count:,}")
    if count and not used:
        raise Unusable(f"has {count:,} experts and uses none (expert_used_count)")
    groups = metadata.integer(metadata.own("expert_group_count"))
    used_groups = metadata.integer(metadata.own("expert_group_used_count"))
    if groups and groups >= count:
        raise Unusable(f"has {groups:,} groups of experts for {count:,} experts")
    if groups > 1 and count % groups:
        raise Unusable(f"has {count:,} experts, which {groups:,} groups cannot share")
    if groups > 1 and not 0 < used_groups < groups:
        raise Unusable(f"uses {used_groups:,} groups of experts of {groups:,}")


def _check_numbers(metadata: Metadata) -> None:
    key = metadata.own("rope.scaling.type")
    if key in metadata.values and metadata.text(key) not in _ROPE_SCALINGS:
        raise Unusable(f"says {shown(metadata.text(key))} for {key}, of {', '.join(_ROPE_SCALINGS)}")
    for name in _EPSILONS:
        key = metadata.own(f"attention.{name}")
        value = metadata.values.get(key, 0.0)
        if not isinstance(value, float):
            raise metadata.wrong(key, "a fraction belongs")
        if not (math.isfinite(value) and value >= 0):
            raise Unusable(f"says {value:g} for {key}, where a small positive fraction belongs")


def _check_vocabulary(metadata: Metadata) -> None:
    tokens = metadata.array(TOKENS, (STRING,), "texts")
    tokenizer = metadata.text("tokenizer.ggml.model")
    if not tokenizer:
        raise Unusable("does not say how it cuts text into tokens (tokenizer.ggml.model)")
    if not tokens or not tokens.length:
        raise Unusable(f"has no vocabulary ({TOKENS})")
    _check_unique(tokens)
    _check_column(metadata, "scores", (F32,), "fractions", tokens.length)
    types = _check_column(metadata, "token_type", (I32, U32), "whole numbers", tokens.length)
    metadata.array("tokenizer.ggml.merges", (STRING,), "texts")
    if tokenizer == "llama":
        _check_bytes(tokens)
    if tokenizer == "bert" and types and _BYTE_TOKEN in types.numbers():
        raise Unusable("has byte tokens in a vocabulary of BERT's kind, which has none")
    _check_ends(metadata, tokens.length)


def _check_unique(tokens: Array) -> None:
    """llama.cpp asserts it; empty texts it renames."""
    texts = [text for text in tokens.texts if text]
    if len(set(texts)) < len(texts):
        text, times = Counter(texts).most_common(1)[0]
        raise Unusable(f"has the token {shown(text.decode(errors='backslashreplace'))} {times:,} times")


def _check_column(metadata: Metadata, name: str, kinds: tuple[int, ...], what: str, n_tokens: int) -> Array | None:
    """What goes beside the tokens has as many rows; llama.cpp reads past the end of the shorter."""
    column = metadata.array(f"tokenizer.ggml.{name}", kinds, what)
    if column and column.length != n_tokens:
        raise Unusable(f"has {column.length:,} values in tokenizer.ggml.{name} for {n_tokens:,} tokens")
    return column


def _check_bytes(tokens: Array) -> None:
    """SentencePiece writes what it has no token for in bytes: `<0x0A>`, or the byte itself."""
    texts = set(tokens.texts)
    missing = [byte for byte in range(256) if b"<0x%02X>" % byte not in texts and bytes([byte]) not in texts]
    if missing:
        first = f"<0x{missing[0]:02X}>"
        raise Unusable(f"lacks the token for the byte {first}{and_more(missing)}; llama.cpp ends without it")


def _check_ends(metadata: Metadata, n_tokens: int) -> None:
    """The tokens that a text begins and ends with are in the vocabulary, and there is a first where one is put."""
    for name in ("bos", "eos"):
        key = f"tokenizer.ggml.{name}_token_id"
        token = metadata.integer(key, most=_NO_TOKEN)
        if n_tokens <= token < _NO_TOKEN:
            raise Unusable(f"says {token:,} for {key}, and has {n_tokens:,} tokens")
    kinds = (metadata.text("tokenizer.ggml.model"), metadata.text("tokenizer.ggml.pre"))
    puts_first = metadata.values.get("tokenizer.ggml.add_bos_token", kinds[0] == "gemma4")
    first = metadata.integer("tokenizer.ggml.bos_token_id", _NO_TOKEN, most=_NO_TOKEN)
    if puts_first and first == _NO_TOKEN and not _WITHOUT_FIRST_TOKEN.isdisjoint(kinds):
        raise Unusable("puts a token before every text and does not say which (tokenizer.ggml.bos_token_id)")
