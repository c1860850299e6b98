"""What a file is that llama.cpp cannot chat with: by its first bytes, its version, its architecture.

Knows nothing of how a header is read.
"""

from __future__ import annotations

import json
import re

from llamachat.models.gguf.unusable import CONVERT, PULL, RESUME, Unusable, shown

_UNPACK = "Unpack it, and name the .gguf file in it."
_BIG_ENDIAN = "is a big-endian GGUF; llama.cpp reads little-endian here"

# What begins otherwise than a GGUF: the pattern of its first bytes, what it is, the next thing to do.
_STRANGERS = (
    (rb"\Z", "is empty", PULL),
    (rb"G(GU?)?\Z", "is incomplete: it ends inside the mark of a GGUF", RESUME),
    (rb"\0+\Z", "begins with zeros: a download that has not begun", RESUME),
    (rb"(\xef\xbb\xbf)?\s*<[!?a-z]", "is a web page, not a model: perhaps a sign-in page", PULL),
    (rb"version https://git-lfs", "is a Git LFS pointer, not the file itself", "Fetch it: git lfs pull."),
    (rb".{5}\0{3}\{", "is a safetensors file, not a GGUF", CONVERT),
    (rb"PK\x03\x04.*data\.pkl", "is a PyTorch file (a ZIP archive with a pickle), not a GGUF", CONVERT),
    (rb"\x80[\x02-\x05]", "is a PyTorch file (a pickle), not a GGUF", CONVERT),
    (rb"FUGG", _BIG_ENDIAN, CONVERT),
    (rb"lmgg", "is in the GGML format of 2023, which llama.cpp reads no more", CONVERT),
    (rb"fmgg", "is in the GGMF format of 2023, which llama.cpp reads no more", CONVERT),
    (rb"tjgg", "is in the GGJT format of 2023, which llama.cpp reads no more", CONVERT),
    (rb"algg", "is a LoRA adapter in the GGLA format of 2023", CONVERT),
    (rb"[nq]sgg", "is a saved session of llama.cpp, not a model", PULL),
    (rb"PK\x03\x04", "is a ZIP archive", _UNPACK),
    (rb"7z\xbc\xaf\x27\x1c", "is a 7z archive", _UNPACK),
    (rb".{257}ustar", "is a tar archive", _UNPACK),
    (rb"\x1f\x8b", "is compressed with gzip", _UNPACK),
    (rb"BZh\d", "is compressed with bzip2", _UNPACK),
    (rb"\xfd7zXZ", "is compressed with xz", _UNPACK),
    (rb"\x28\xb5\x2f\xfd", "is compressed with zstd", _UNPACK),
    (rb"\x89HDF", "is an HDF5 file, not a GGUF", CONVERT),
)

# Architectures that llama.cpp knows, or its tools write, and that cannot hold a conversation.
_CANNOT_CHAT = {
    "an image or sound encoder": "clip mmproj",
    "a text encoder": "bert modern-bert nomic-bert nomic-bert-moe neo-bert jina-bert-v2 jina-bert-v3 eurobert "
    "t5encoder gemma-embedding llama-embed",
    "a translating model (encoder and decoder)": "t5",
    "a voice decoder": "wavtokenizer-dec",
    "a diffusion model": "dream llada llada-moe rnd1",
    "a draft model's head": "eagle3 dflash gemma4-assistant",
    "a control vector": "controlvector",
}
_NOT_MODELS = {"adapter": "a LoRA adapter", "mmproj": "an image or sound encoder", "imatrix": "an importance matrix"}


def stranger(start: bytes) -> Unusable:
    """What a file is that begins with `start`, and not as a GGUF does."""
    for pattern, what, hint in _STRANGERS:
        if re.match(pattern, start, re.DOTALL | re.IGNORECASE):
            return Unusable(what, hint)
    return _prose(start)


def check_version(version: int) -> None:
    """Of the format: llama.cpp reads 2 and 3."""
    if version and not version & 0xFFFF:
        raise Unusable(_BIG_ENDIAN, CONVERT)
    if version == 1:
        raise Unusable("is a GGUF of version 1, which llama.cpp reads no more", CONVERT)
    if version not in (2, 3):
        raise Unusable(f"is no usable GGUF: version {version} of the format; llama.cpp reads 2 and 3")


def other_than_chat(general_type: str, architecture: str) -> str:
    """What the GGUF is if it is no model that writes text, else empty."""
    for kind, architectures in _CANNOT_CHAT.items():
        if architecture in architectures.split():
            return kind
    return _NOT_MODELS.get(general_type, "")


def _prose(start: bytes) -> Unusable:
    """A file that begins with text: what servers send instead of a file."""
    try:
        text = start.decode().strip()
    except UnicodeDecodeError as error:  # cut inside a character, perhaps
        text = start[: error.start].decode() if error.start > len(start) - 4 else ""
    if not text or not text.translate(dict.fromkeys(b"\n\r\t")).isprintable():
        return Unusable("does not begin with GGUF, the mark of llama.cpp's model files", PULL)
    if text[0] not in "{[":
        return Unusable(f"is text, not a model: {shown(text)}", PULL)
    return Unusable(f"is JSON, not a model: {shown(_error_in(text) or text)}", PULL)


def _error_in(text: str) -> object:
    """What a server's answer in JSON says went wrong."""
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return said.get("error", said.get("message")) if isinstance(said, dict) else None
