"""A small GGUF that is written byte by byte, so that any of it can be said wrong.

The model is a Llama of one layer and 32 dimensions whose weights are zeros: llama.cpp loads it and computes with it.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from pathlib import Path

U8, I8, U16, I16, U32, I32, F32, BOOL, STRING, ARRAY, U64, I64, F64 = range(13)
LETTERS = {U8: "B", I8: "b", U16: "H", I16: "h", U32: "I", I32: "i", F32: "f", BOOL: "?", U64: "Q", I64: "q", F64: "d"}
IN_F32, IN_F16, IN_Q8_0 = 0, 1, 8
WIDTH, ALIGNMENT = 32, 32
TOKENS = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), "a", "b", "ab"]


@dataclass
class Entry:
    """A key-value pair. An array's `kind` is its elements', with `is_array`; `raw` replaces the encoded value."""

    kind: int
    value: object = None
    is_array: bool = False
    raw: bytes | None = None


@dataclass
class Weights:
    """A tensor of zeros. `offset` is where it is said to be, None for where it is."""

    name: str
    shape: list[int]
    kind: int = IN_F32
    offset: int | None = None
    n_bytes: int = 0


@dataclass
class Model:
    """A GGUF before it is written. `entries` is a list, for keys may come twice."""

    entries: list[tuple[str, Entry]] = field(default_factory=list)
    weights: list[Weights] = field(default_factory=list)
    magic: bytes = b"GGUF"
    version: int = 3
    n_entries: int | None = None
    n_weights: int | None = None

    def set(self, key: str, kind: int, value: object = None, *, is_array: bool = False, raw: bytes | None = None):
        """Set or add an entry."""
        entry = Entry(kind, value, is_array, raw)
        keys = [known for known, _ in self.entries]
        if key in keys:
            self.entries[keys.index(key)] = (key, entry)
        else:
            self.entries.append((key, entry))

    def drop(self, key: str) -> None:
        self.entries = [pair for pair in self.entries if pair[0] != key]

    def tensor(self, name: str) -> Weights:
        return next(weights for weights in self.weights if weights.name == name)


def valid() -> Model:
    """The model that is changed."""
    model = Model()
    model.set("general.architecture", STRING, "llama")
    model.set("general.name", STRING, "small")
    model.set("general.file_type", U32, 1)
    for key, value in {
        "context_length": 64,
        "embedding_length": WIDTH,
        "block_count": 1,
        "feed_forward_length": WIDTH,
        "attention.head_count": 2,
        "attention.head_count_kv": 1,
        "rope.dimension_count": WIDTH // 2,
    }.items():
        model.set(f"llama.{key}", U32, value)
    model.set("llama.attention.layer_norm_rms_epsilon", F32, 1e-5)
    model.set("tokenizer.ggml.model", STRING, "llama")
    model.set("tokenizer.ggml.tokens", STRING, TOKENS, is_array=True)
    model.set("tokenizer.ggml.scores", F32, [0.0] * len(TOKENS), is_array=True)
    model.set("tokenizer.ggml.token_type", I32, [2, 3, 3, *[6] * 256, 1, 1, 1], is_array=True)
    model.set("tokenizer.ggml.bos_token_id", U32, 1)
    model.set("tokenizer.ggml.eos_token_id", U32, 2)
    model.weights = [
        Weights("token_embd.weight", [WIDTH, len(TOKENS)], IN_F16),
        Weights("output_norm.weight", [WIDTH]),
        Weights("blk.0.attn_norm.weight", [WIDTH]),
        Weights("blk.0.ffn_norm.weight", [WIDTH]),
        Weights("blk.0.attn_q.weight", [WIDTH, WIDTH], IN_F16),
        Weights("blk.0.attn_k.weight", [WIDTH, WIDTH // 2], IN_F16),
        Weights("blk.0.attn_v.weight", [WIDTH, WIDTH // 2], IN_Q8_0),
        Weights("blk.0.attn_output.weight", [WIDTH, WIDTH], IN_F16),
        Weights("blk.0.ffn_gate.weight", [WIDTH, WIDTH], IN_F16),
        Weights("blk.0.ffn_up.weight", [WIDTH, WIDTH], IN_F16),
        Weights("blk.0.ffn_down.weight", [WIDTH, WIDTH], IN_F16),
    ]
    return model


def written(model: Model) -> bytes:
    """The file."""
    header = model.magic + struct.pack(
        "<IQQ",
        model.version,
        len(model.weights) if model.n_weights is None else model.n_weights,
        len(model.entries) if model.n_entries is None else model.n_entries,
    )
    for key, entry in model.entries:
        header += text(key) + _value(entry)
    data = b""
    for weights in model.weights:
        offset = len(data) if weights.offset is None else weights.offset
        shape = struct.pack(f"<I{len(weights.shape)}q", len(weights.shape), *weights.shape)
        header += text(weights.name) + shape + struct.pack("<IQ", weights.kind, offset)
        data += padded(bytes(weights.n_bytes or _n_bytes(weights)))
    return padded(header) + data


def text(value: str | bytes) -> bytes:
    """A string as GGUF has it."""
    raw = value if isinstance(value, bytes) else value.encode()
    return struct.pack("<Q", len(raw)) + raw


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % ALIGNMENT)


def write_split(folder: Path, n_parts: int = 3) -> list[Path]:
    """The model in several files, as llama.cpp's gguf-split names and marks them."""
    paths = []
    for number in range(n_parts):
        whole = valid()
        part = whole if number == 0 else Model()
        for key, value in (("split.no", number), ("split.count", n_parts)):
            part.set(key, U16, value)
        part.set("split.tensors.count", I32, len(valid().weights))
        part.weights = valid().weights[number::n_parts]
        paths.append(folder / f"small-{number + 1:05}-of-{n_parts:05}.gguf")
        paths[-1].write_bytes(written(part))
    return paths


def data_offset() -> int:
    """Where the data of the valid model begins."""
    model = valid()
    everything = written(model)
    data = sum(len(padded(bytes(_n_bytes(weights)))) for weights in model.weights)
    return len(everything) - data


def _value(entry: Entry) -> bytes:
    kind = struct.pack("<I", entry.kind)
    if entry.raw is not None:
        return kind + entry.raw
    if not entry.is_array:
        return kind + _plain(entry.kind, entry.value)
    elements = b"".join(_plain(entry.kind, element) for element in entry.value)
    return struct.pack("<IIQ", ARRAY, entry.kind, len(entry.value)) + elements


def _plain(kind: int, value: object) -> bytes:
    return text(value) if kind == STRING else struct.pack("<" + LETTERS[kind], value)


def _n_bytes(weights: Weights) -> int:
    """Bytes of the types that the valid model uses; a little for what is malformed."""
    n_values = 1
    for length in weights.shape:
        n_values *= length
    if weights.kind == IN_Q8_0:
        n_values = n_values // 32 * 34
    return max(0, min(n_values * {IN_F32: 4, IN_F16: 2}.get(weights.kind, 1), 1 << 16))
