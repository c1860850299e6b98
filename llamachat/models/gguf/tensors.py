"""The tensors that a header describes: ggml's types, and which tensors llama.cpp can compute with.

Knows nothing of where in the file their data is.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from llamachat.models.gguf.facts import Facts
from llamachat.models.gguf.reader import I64, U32, U64, Reader
from llamachat.models.gguf.unusable import CONVERT, Unusable, one_line, shown

_LONGEST_NAME = 63  # bytes: GGML_MAX_NAME less the end
_MOST_DIMENSIONS = 4
_GUESSED = 1024  # LLAMA_FTYPE_GUESSED, a flag


class TensorType(NamedTuple):
    """A block of `block` values takes `n_bytes`: ggml's type_traits."""

    name: str
    block: int
    n_bytes: int


# The types that llama.cpp multiplies by, by ggml's numbers.
TYPES = {
    0: TensorType("F32", 1, 4),
    1: TensorType("F16", 1, 2),
    2: TensorType("Q4_0", 32, 18),
    3: TensorType("Q4_1", 32, 20),
    6: TensorType("Q5_0", 32, 22),
    7: TensorType("Q5_1", 32, 24),
    8: TensorType("Q8_0", 32, 34),
    10: TensorType("Q2_K", 256, 84),
    11: TensorType("Q3_K", 256, 110),
    12: TensorType("Q4_K", 256, 144),
    13: TensorType("Q5_K", 256, 176),
    14: TensorType("Q6_K", 256, 210),
    16: TensorType("IQ2_XXS", 256, 66),
    17: TensorType("IQ2_XS", 256, 74),
    18: TensorType("IQ3_XXS", 256, 98),
    19: TensorType("IQ1_S", 256, 50),
    20: TensorType("IQ4_NL", 32, 18),
    21: TensorType("IQ3_S", 256, 110),
    22: TensorType("IQ2_S", 256, 82),
    23: TensorType("IQ4_XS", 256, 136),
    29: TensorType("IQ1_M", 256, 56),
    30: TensorType("BF16", 1, 2),
    34: TensorType("TQ1_0", 256, 54),
    35: TensorType("TQ2_0", 256, 66),
    39: TensorType("MXFP4", 32, 17),
    40: TensorType("NVFP4", 64, 36),
    41: TensorType("Q1_0", 128, 18),
    42: TensorType("Q2_0", 64, 18),
}
# Types of ggml that no weights have: multiplying by one is a segmentation fault.
_NOT_FOR_WEIGHTS = {9: "Q8_1", 15: "Q8_K", 24: "I8", 25: "I16", 26: "I32", 27: "I64", 28: "F64"}
_REMOVED = {4: "Q4_2", 5: "Q4_3", 31: "Q4_0_4_4", 32: "Q4_0_4_8", 33: "Q4_0_8_8"} | {
    36: "IQ4_NL_4_4",
    37: "IQ4_NL_4_8",
    38: "IQ4_NL_8_8",
}
_F32_TENSOR = 0

# llama_ftype, as file names have it.
# fmt: off
FILE_TYPES = dict(enumerate((
    "F32", "F16", "Q4_0", "Q4_1", "", "", "", "Q8_0", "Q5_0", "Q5_1", "Q2_K", "Q3_K_S", "Q3_K_M", "Q3_K_L", "Q4_K_S",
    "Q4_K_M", "Q5_K_S", "Q5_K_M", "Q6_K", "IQ2_XXS", "IQ2_XS", "Q2_K_S", "IQ3_XS", "IQ3_XXS", "IQ1_S", "IQ4_NL",
    "IQ3_S", "IQ3_M", "IQ2_S", "IQ2_M", "IQ4_XS", "IQ1_M", "BF16", "Q4_0_4_4", "Q4_0_4_8", "Q4_0_8_8", "TQ1_0",
    "TQ2_0", "MXFP4", "NVFP4", "Q1_0", "Q2_0",
)))
# fmt: on


@dataclass(frozen=True, slots=True)
class Tensor:
    """`shape` is ggml's: the length of a row first. `offset` counts from where its part's data begins."""

    name: str
    shape: tuple[int, ...]
    type: int
    offset: int
    n_bytes: int


def read_tensors(reader: Reader, count: int) -> Iterator[Tensor]:
    """The descriptions. Raises Unusable for the first that llama.cpp cannot compute with."""
    names = set()
    for index in range(count):
        reader.place = f"tensor {index + 1} of {count}"
        raw = reader.string()
        name = raw.decode(errors="backslashreplace")
        if not 0 < len(raw) <= _LONGEST_NAME:
            raise Unusable(f"has a tensor whose name is {len(raw)} bytes long ({reader.place})")
        if name in names:
            raise Unusable(f"has the tensor {shown(name)} twice")
        names.add(name)
        printable = one_line(name)
        reader.place = f"tensor {printable}"
        shape = _shape(reader, printable)
        kind, offset = reader.number(U32), reader.number(U64)
        yield Tensor(name, shape, kind, offset, _n_bytes(printable, shape, kind))


def check_tensors(tensors: tuple[Tensor, ...], facts: Facts) -> None:
    """Of all parts together: each comes once, vectors are in F32, the embeddings are those of the vocabulary."""
    by_name = {tensor.name: tensor for tensor in tensors}
    if len(by_name) < len(tensors):
        twice = Counter(tensor.name for tensor in tensors).most_common(1)[0][0]
        raise Unusable(f"has the tensor {shown(twice)} in two of its parts")
    for tensor in tensors:
        if tensor.type != _F32_TENSOR and _is_vector(tensor):
            name = TYPES[tensor.type].name
            raise Unusable(f"has the vector {one_line(tensor.name)} in {name}; llama.cpp computes it in F32 only")
    embeddings = by_name.get("token_embd.weight")
    if not embeddings:
        raise Unusable("has no token_embd.weight, the vectors of its tokens")
    n_embd, n_vocab = embeddings.shape[0], math.prod(embeddings.shape[1:])
    if (n_embd, n_vocab) != (facts.n_embd, facts.n_vocab):
        wanted = f"{facts.n_vocab:,} tokens of {facts.n_embd:,}"
        raise Unusable(f"has vectors for {n_vocab:,} tokens of {n_embd:,} in token_embd.weight, not {wanted}")


def quantisation(tensors: tuple[Tensor, ...], facts: Facts) -> str:
    """By the file's own account; without one, the type that most of the bytes are in."""
    if facts.file_type >= 0 and (name := FILE_TYPES.get(facts.file_type & ~_GUESSED)):
        return name
    sizes: Counter[int] = Counter()
    for tensor in tensors:
        sizes[tensor.type] += tensor.n_bytes
    return TYPES[sizes.most_common(1)[0][0]].name


def _shape(reader: Reader, name: str) -> tuple[int, ...]:
    n_dimensions = reader.number(U32)
    if not 1 <= n_dimensions <= _MOST_DIMENSIONS:
        raise Unusable(f"has a tensor of {n_dimensions} dimensions ({name}), where 1 to 4 are possible")
    shape = tuple(reader.number(I64) for _ in range(n_dimensions))
    if min(shape) < 1:
        raise Unusable(f"has a tensor of the impossible shape {_by(shape)} ({name})")
    return shape


def _n_bytes(name: str, shape: tuple[int, ...], kind: int) -> int:
    """Raises Unusable unless llama.cpp can compute with a tensor of this type and shape."""
    if kind in _NOT_FOR_WEIGHTS:
        raise Unusable(f"has {name} in {_NOT_FOR_WEIGHTS[kind]}, a type that llama.cpp cannot compute with")
    if kind in _REMOVED:
        raise Unusable(f"has {name} in {_REMOVED[kind]}, a type that llama.cpp reads no more", CONVERT)
    if kind not in TYPES:
        raise Unusable(f"has {name} in a type that this llama.cpp does not know ({kind})")
    known = TYPES[kind]
    if shape[0] % known.block:
        raise Unusable(f"has rows of {shape[0]:,} values in {name}; {known.name} needs multiples of {known.block}")
    n_values = math.prod(shape)
    n_bytes = n_values // known.block * known.n_bytes
    if max(n_values, n_bytes) >= 1 << 63:
        raise Unusable(f"has a tensor larger than any memory ({name}, {_by(shape)})")
    return n_bytes


def _is_vector(tensor: Tensor) -> bool:
    """What is added or multiplied value by value. One row that is a matrix: the gate of a shared expert."""
    one_row = math.prod(tensor.shape[1:]) == 1
    return (one_row and not tensor.name.endswith("_shexp.weight")) or tensor.name.endswith("norm.weight")


def _by(shape: tuple[int, ...]) -> str:
    return " × ".join(f"{length:,}" for length in shape)
