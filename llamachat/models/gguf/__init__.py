"""A GGUF file's header, read without llama.cpp: what the model is, and whether llama.cpp will survive the file.

    unusable    what is wrong with a file becomes a ModelError, in one printable line
    kinds       what a file is that is no GGUF, and which GGUFs are no models to chat with
    reader      the bytes of a stream, read forward and within limits
    metadata    the key-value pairs, and their values by type
    facts       what they say of the model                        read_facts, read_header
    tensors     the tensors' descriptions, and ggml's types
    parts       a file's header and length, and the files of a split model
    checks      the values over which llama.cpp would end         check

Each imports only those above it. Format: the GGUF specification in ggml's docs/gguf.md. Little-endian: magic,
version, counts, key-value pairs (of which writers put `general.*` first and the vocabulary's long arrays later),
descriptions of the tensors, padding, their data. llama.cpp ends the process over values that are well formed and
wrong: `check` finds these first, each with its own message. Nothing here looks at the weights, or knows how much
memory there is.
"""

from llamachat.models.gguf.checks import Checked, check
from llamachat.models.gguf.facts import Facts, Header, read_facts, read_header
from llamachat.models.gguf.tensors import FILE_TYPES, TYPES, Tensor, TensorType

__all__ = [
    "FILE_TYPES",
    "TYPES",
    "Checked",
    "Facts",
    "Header",
    "Tensor",
    "TensorType",
    "check",
    "read_facts",
    "read_header",
]
