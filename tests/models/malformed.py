"""Broken GGUF files, each with the words its error must say: the small model, changed in one place."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.models.malformed_model import (
    ALIGNMENT,
    ARRAY,
    BOOL,
    F32,
    I32,
    STRING,
    TOKENS,
    U16,
    U32,
    U64,
    WIDTH,
    Entry,
    Model,
    data_offset,
    text,
    valid,
    written,
)


@dataclass(frozen=True)
class Case:
    """A broken file: what it is, its bytes, and the words that its error must say."""

    what: str
    data: bytes
    words: str


def cases() -> list[Case]:
    """All of them."""
    return [*_strangers(), *_truncated(), *_headers(), *_values(), *_vocabularies(), *_tensors()]


def _changed(what: str, words: str, *changes: Callable[[Model], object]) -> Case:
    model = valid()
    for change in changes:
        change(model)
    return Case(what, written(model), words)


def _set(key: str, kind: int, value: object = None, **more) -> Callable[[Model], None]:
    return lambda model: model.set(key, kind, value, **more)


def _drop(key: str) -> Callable[[Model], None]:
    return lambda model: model.drop(key)


def _field(name: str, value: object) -> Callable[[Model], None]:
    return lambda model: setattr(model, name, value)


def _tensor(which: str, **changes) -> Callable[[Model], None]:
    def change(model: Model) -> None:
        tensor = model.tensor(which)
        for key, value in changes.items():
            setattr(tensor, key, value)

    return change


def _strangers() -> Iterator[Case]:
    """Files that are no GGUF at all."""
    lfs = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 4081004224\n"
    pages = [
        b"<!DOCTYPE html><html><head><title>Sign in</title>",
        b"<html>",
        b"\n\n  <HTML lang=en>",
        b"\xef\xbb\xbf<!doctype html>",
        b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>",
        b"<head><meta>",
        b"<!-- a portal --><body>",
    ]
    for index, page in enumerate(pages):
        yield Case(f"a web page, {index}", page, "is a web page, not a model: perhaps a sign-in page")
    safetensors = struct.pack("<Q", 200) + b'{"__metadata__":{"format":"pt"}}'
    error_json = b'{"error":"Repository not found"}'
    for what, data, words in (
        ("nothing", b"", "is empty"),
        ("a Git LFS pointer", lfs, "is a Git LFS pointer, not the file itself"),
        ("safetensors", safetensors, "is a safetensors file"),
        ("a PyTorch archive", b"PK\x03\x04" + bytes(26) + b"archive/data.pkl" + bytes(99), "is a PyTorch file (a ZIP"),
        ("a pickle", b"\x80\x02}q\x00.", "is a PyTorch file (a pickle)"),
        ("a newer pickle", b"\x80\x04\x95\x10", "is a PyTorch file (a pickle)"),
        ("GGML", b"lmgg" + bytes(60), "GGML format of 2023"),
        ("GGMF", b"fmgg\x01" + bytes(60), "GGMF format of 2023"),
        ("GGJT", b"tjgg\x03" + bytes(60), "GGJT format of 2023"),
        ("GGLA", b"algg\x01" + bytes(60), "LoRA adapter in the GGLA format"),
        ("a session", b"nsgg\x09" + bytes(60), "is a saved session"),
        ("a state", b"qsgg\x02" + bytes(60), "is a saved session"),
        ("gzip", b"\x1f\x8b\x08" + bytes(60), "is compressed with gzip"),
        ("bzip2", b"BZh91AY" + bytes(60), "is compressed with bzip2"),
        ("xz", b"\xfd7zXZ\x00" + bytes(60), "is compressed with xz"),
        ("zstd", b"\x28\xb5\x2f\xfd" + bytes(60), "is compressed with zstd"),
        ("ZIP", b"PK\x03\x04" + bytes(26) + b"model.gguf", "is a ZIP archive"),
        ("7z", b"7z\xbc\xaf\x27\x1c" + bytes(60), "is a 7z archive"),
        ("tar", b"model.gguf" + bytes(247) + b"ustar\x0000" + bytes(300), "is a tar archive"),
        ("HDF5", b"\x89HDF\r\n\x1a\n" + bytes(60), "is an HDF5 file"),
        ("zeros", bytes(5000), "begins with zeros"),
        ("an error in JSON", error_json, "is JSON, not a model: 'Repository not found'"),
        ("another error in JSON", b'{"message": "Not Found"}', "is JSON, not a model: 'Not Found'"),
        ("JSON of another kind", b'{"hidden_size": 4096}', "is JSON, not a model: "),
        ("broken JSON", b'{"error": ', "is JSON, not a model: "),
        ("a list in JSON", b"[1, 2]", "is JSON, not a model: '[1, 2]'"),
        ("a sentence", b"Access to model x is restricted.\n", "is text, not a model: 'Access to model x is restricted"),
        ("long prose", "Ein längerer Text. ".encode() * 900, "is text, not a model: 'Ein längerer Text."),
        ("noise", bytes(range(255, 100, -1)), "does not begin with GGUF"),
        ("control characters", b"\x1b[2J\x07hello", "does not begin with GGUF"),
        ("lower case", b"gguf" + written(valid())[4:], "does not begin with GGUF"),
        ("a byte before it", b"\x01" + written(valid()), "does not begin with GGUF"),
    ):
        yield Case(what, data, words)


def _truncated() -> Iterator[Case]:
    """Cut at every kind of place: in the mark, the counts, keys, lengths, arrays, descriptions, padding and data."""
    whole = written(valid())
    end = data_offset()
    for length in (1, 2, 3):
        yield Case(f"cut to {length}", whole[:length], "is incomplete: it ends inside the mark")
    for length in (*range(4, 64, 3), *range(64, end - 64, 211), *range(end - 64, end - 32, 7)):
        yield Case(f"cut to {length}", whole[:length], f"is incomplete: it ends after {length:,} bytes, inside")
    for missing in (ALIGNMENT, 1000, (len(whole) - end) // 2, len(whole) - end - 1, len(whole) - end):
        yield Case(f"cut by {missing}", whole[:-missing], "is incomplete: it has ")
    yield Case("cut by a byte", whole[:-1], f"it has {len(whole) - 1:,} of {len(whole):,} bytes")


def _headers() -> Iterator[Case]:
    """Mark, version, counts, keys, types and lengths."""
    for version, words in {
        0: "version 0 of the format",
        1: "GGUF of version 1, which llama.cpp reads no more",
        4: "version 4 of the format",
        99: "version 99 of the format",
        2**31: "is a big-endian GGUF",
        0x03000000: "is a big-endian GGUF",
        0x02000000: "is a big-endian GGUF",
        0xFFFFFFFF: "version 4294967295 of the format",
    }.items():
        yield _changed(f"version {version}", words, _field("version", version))
    yield _changed("its mark reversed", "is a big-endian GGUF", _field("magic", b"FUGG"))
    for count in (2**20 + 1, 2**31, 2**63 - 1, 2**63, 2**64 - 1):
        yield _changed(f"{count} entries", f"claims {count:,} entries in its header", _field("n_entries", count))
        yield _changed(f"{count} tensors", f"claims {count:,} tensors", _field("n_weights", count))
    yield _changed(
        "no entries", "has a tensor of 10 dimensions", _field("n_entries", 0), _set("general.architecture", U64, 10)
    )
    yield _changed(
        "an entry too few", "has tokenizer.ggml.eos_token_id in a type", _field("n_entries", len(valid().entries) - 1)
    )
    yield _changed("an entry too many", "in its header (tensor 1 of 11)", _field("n_entries", len(valid().entries) + 1))
    yield _changed(
        "a tensor too many", "whose name is 0 bytes long (tensor 12", _field("n_weights", len(valid().weights) + 1)
    )
    yield _changed("a tensor too few", "has no token_embd.weight", lambda model: model.weights.pop(0))
    first = ("general.architecture", Entry(STRING, "llama"))
    yield _changed("a key twice", "has the key 'general.architecture' twice", lambda model: model.entries.append(first))
    yield _changed("an empty key", "has an empty key", _set("", U32, 1))
    for kind in (13, 14, 99, 2**31, 2**32 - 1):
        yield _changed(f"type {kind}", f"a value of unknown type {kind}", _set("x", kind, raw=b"\0" * 8))
        array = struct.pack("<IQ", kind, 1) + bytes(8)
        yield _changed(f"array of type {kind}", f"an array of unknown type {kind}", _set("x", ARRAY, raw=array))
    nested = struct.pack("<IQ", ARRAY, 1) + bytes(20)
    yield _changed("an array of arrays", "an array of unknown type 9", _set("x", ARRAY, raw=nested))
    for length in (2**24 + 1, 2**40, 2**62, 2**63, 2**64 - 1):
        raw = struct.pack("<Q", length)
        yield _changed(f"a text of {length}", f"has a text of {length:,} bytes", _set("x", STRING, raw=raw))
        raw = struct.pack("<IQ", STRING, length)
        yield _changed(f"{length} texts", f"claims {length:,} texts in its header (x)", _set("x", ARRAY, raw=raw))
        raw = struct.pack("<IQ", U64, length)
        yield _changed(f"{length} numbers", f"claims {length:,} numbers in its header", _set("x", ARRAY, raw=raw))
        raw = struct.pack("<IQQ", STRING, 1, length)
        yield _changed(f"an array's text of {length}", f"a text of {length:,} bytes", _set("x", ARRAY, raw=raw))
    beyond = "inside its GGUF header (x)"
    yield _changed("a text beyond the file", beyond, _set("x", STRING, raw=struct.pack("<Q", 2**20)))
    yield _changed("numbers beyond the file", beyond, _set("x", ARRAY, raw=struct.pack("<IQ", F32, 2**20)))
    raw = struct.pack("<IQ", STRING, 2**20) + text("a") * 10
    yield _changed("texts beyond the file", "bytes in its header (x)", _set("x", ARRAY, raw=raw))
    raw = struct.pack("<Q", 2**20) + b"\x1b[2J\n"
    yield _changed("a key that moves the cursor", "inside its GGUF header (?[2J?)", _set("\x1b[2J\n", STRING, raw=raw))


def _values() -> Iterator[Case]:
    """What the header says of the model."""
    yield _changed("no architecture", "does not say which architecture", _drop("general.architecture"))
    yield _changed(
        "an empty architecture", "says '' for general.architecture", _set("general.architecture", STRING, "")
    )
    yield _changed(
        "a number for it", "says 5 for general.architecture, where a text", _set("general.architecture", U32, 5)
    )
    yield _changed("a name for it", "which is no name", _set("general.architecture", STRING, "ll\x1bama\n"))
    for name, kind in {
        "clip": "an image or sound encoder",
        "bert": "a text encoder",
        "nomic-bert": "a text encoder",
        "modern-bert": "a text encoder",
        "t5encoder": "a text encoder",
        "gemma-embedding": "a text encoder",
        "t5": "a translating model",
        "wavtokenizer-dec": "a voice decoder",
        "llada": "a diffusion model",
        "eagle3": "a draft model's head",
        "controlvector": "a control vector",
    }.items():
        yield _changed(f"architecture {name}", f"is {kind}", _set("general.architecture", STRING, name))
    for name, kind in {"adapter": "a LoRA adapter", "mmproj": "an image", "imatrix": "an importance matrix"}.items():
        yield _changed(f"type {name}", f"is {kind}", _set("general.type", STRING, name))
    yield _changed("an unknown one", "does not say its new.context_length", _set("general.architecture", STRING, "new"))
    own = "llama."
    for key in ("context_length", "embedding_length"):
        yield _changed(f"no {key}", f"does not say its llama.{key}", _drop(own + key))
        yield _changed(f"zero {key}", f"does not say its llama.{key}", _set(own + key, U32, 0))
        yield _changed(f"a text for {key}", f"says 'x' for llama.{key}, where a whole", _set(own + key, STRING, "x"))
        yield _changed(f"absurd {key}", "says 4,294,967,295 for", _set(own + key, U32, 2**32 - 1))
    yield _changed("no layers said", "claims 0 layers", _drop("llama.block_count"))
    for count in (0, 513, 100_000):
        yield _changed(f"{count} layers", f"claims {count:,} layers", _set("llama.block_count", U32, count))
    yield _changed("minus one layer", "says -1 for llama.block_count", _set("llama.block_count", I32, -1))
    yield _changed("layers true", "says True for llama.block_count", _set("llama.block_count", BOOL, value=True))
    yield _changed("layers 1.5", "says 1.5 for llama.block_count", _set("llama.block_count", F32, 1.5))
    yield _changed("an array of layers", "says an array of 2", _set("llama.block_count", U32, [1, 1], is_array=True))
    heads = "llama.attention.head_count"
    yield _changed("too many heads", "claims 4,096 attention heads over vectors of 32", _set(heads, U32, 4096))
    yield _changed("too many KV heads", "claims 4 key-value heads for 2", _set(f"{heads}_kv", U32, 4))
    yield _changed("fractions of heads", "where whole numbers belong", _set(heads, F32, [1.5], is_array=True))
    yield _changed("minus heads", "where whole numbers belong", _set(heads, I32, [-1], is_array=True))
    yield _changed("no heads in an array", "where whole numbers belong", _set(heads, U32, [], is_array=True))
    for values, words in (
        ((513, 2), "claims 513 experts"),
        ((4, 5), "uses 5 experts of 4"),
        ((0, 2), "uses 2 experts of 0"),
        ((8, 0), "has 8 experts and uses none"),
        ((8, 2, 8, 1), "has 8 groups of experts for 8"),
        ((8, 2, 3, 1), "8 experts, which 3 groups cannot share"),
        ((8, 2, 4, 0), "uses 0 groups of experts of 4"),
        ((8, 2, 4, 4), "uses 4 groups of experts of 4"),
        ((0, 0, 1, 1), "has 1 groups of experts for 0"),
    ):
        keys = ("expert_count", "expert_used_count", "expert_group_count", "expert_group_used_count")
        pairs = zip(keys, values, strict=False)
        yield _changed(f"experts {values}", words, *(_set(own + key, U32, value) for key, value in pairs))
    for value in ("", "dynamic", "YARN", "x" * 999):
        words = f"says {repr(value)[:60]}"
        yield _changed(f"rope {value[:9]}", words, _set("llama.rope.scaling.type", STRING, value))
    yield _changed("rope 3", "says 3 for llama.rope.scaling.type", _set("llama.rope.scaling.type", U32, 3))
    for name in ("layer_norm_rms_epsilon", "layer_norm_epsilon"):
        for value in (-1e-5, float("nan"), float("inf"), float("-inf")):
            key = f"llama.attention.{name}"
            yield _changed(f"{name} {value}", f"says {value:g} for {key}", _set(key, F32, value))
    key = "llama.attention.layer_norm_rms_epsilon"
    yield _changed("a whole epsilon", f"says 1 for {key}, where a fraction", _set(key, U32, 1))
    yield _changed("next", "claims 2 layers for predictions", _set("llama.nextn_predict_layers", U32, 2))
    for value in (0, 3, 33, 2**31 + 1, 2**21, 2**31):
        words = f"aligns its tensors to {value:,} bytes"
        yield _changed(f"alignment {value}", words, _set("general.alignment", U32, value))
    for kind in (U64, I32, U16):
        words = "says 32 for general.alignment, where a 32-bit number belongs"
        yield _changed(f"alignment of type {kind}", words, _set("general.alignment", kind, 32))
    yield _changed("an alignment in words", "says 'x' for general.alignment", _set("general.alignment", STRING, "x"))
    for kind in (U32, I32, U64):
        words = "says 0 for split.no, where a 16-bit number belongs"
        yield _changed(f"split.no of type {kind}", words, _set("split.no", kind, 0))
    count = _set("split.count", U16, 3)
    yield _changed("part 2", "is part 2 of 3", _set("split.no", U16, 1), count)
    yield _changed("part 9 of 3", "claims to be part 9 of 3", _set("split.no", U16, 8), count)
    yield _changed("part 1", "is part 1 of 3 by another name", _set("split.no", U16, 0), count)
    yield _changed("a name that is a number", "says 7 for general.name", _set("general.name", U32, 7))
    yield _changed("a file type in words", "says 'Q4' for general.file_type", _set("general.file_type", STRING, "Q4"))


def _vocabularies() -> Iterator[Case]:
    """Tokens, and what goes with them."""
    tokens, own = "tokenizer.ggml.tokens", "tokenizer.ggml."
    yield _changed("no tokenizer", "does not say how it cuts text", _drop(own + "model"))
    yield _changed("no tokens", "has no vocabulary", _drop(tokens))
    yield _changed("an empty vocabulary", "has no vocabulary", _set(tokens, STRING, [], is_array=True))
    yield _changed("tokens as numbers", "where an array of texts belongs", _set(tokens, U32, [1, 2], is_array=True))
    yield _changed("tokens as a text", "where an array of texts belongs", _set(tokens, STRING, "abc"))
    for text_, shown in (("ab", "'ab'"), ("\n\x1b[2J", r"'\n\x1b[2J'"), ("é", "'é'"), ("<s>", "'<s>'")):
        twice = [*TOKENS[:-2], text_, text_]
        yield _changed(f"{shown} twice", "has the token " + shown, _set(tokens, STRING, twice, is_array=True))
    bad = [*TOKENS[:-2], b"\xff\xfe", b"\xff\xfe"]
    yield _changed("bytes twice", r"has the token '\\xff\\xfe' 2 times", _set(tokens, STRING, bad, is_array=True))
    for missing in (0, 10, 65, 255):
        texts = [f"x{text_}" if text_ == f"<0x{missing:02X}>" else text_ for text_ in TOKENS]
        words = f"lacks the token for the byte <0x{missing:02X}>;"
        yield _changed(f"no byte {missing}", words, _set(tokens, STRING, texts, is_array=True))
    texts = [text_.lower() for text_ in TOKENS]
    yield _changed("lower-case bytes", "for the byte <0x0A> and", _set(tokens, STRING, texts, is_array=True))
    n_tokens = len(TOKENS)
    for count in (0, 1, n_tokens - 1, n_tokens + 1):
        words = f"has {count:,} values in tokenizer.ggml."
        yield _changed(f"{count} scores", words + "scores", _set(own + "scores", F32, [0.0] * count, is_array=True))
        types = _set(own + "token_type", I32, [1] * count, is_array=True)
        yield _changed(f"{count} token types", words + "token_type", types)
    scores = _set(own + "scores", U32, [0] * n_tokens, is_array=True)
    yield _changed("whole scores", "where an array of fractions belongs", scores)
    types = _set(own + "token_type", F32, [1.0] * n_tokens, is_array=True)
    yield _changed("token types in fractions", "where an array of whole numbers belongs", types)
    yield _changed("one score", "where an array of fractions belongs", _set(own + "scores", F32, 1.0))
    yield _changed("merges as a text", "where an array of texts belongs", _set(own + "merges", STRING, "a b"))
    for name in ("bos", "eos"):
        key = f"{own}{name}_token_id"
        for token in (n_tokens, 32000, 2**32 - 2):
            yield _changed(f"{name} {token}", f"says {token:,} for {key}, and has 262 tokens", _set(key, U32, token))
        yield _changed(f"{name} -1", f"says -1 for {key}", _set(key, I32, -1))
        yield _changed(f"{name} in words", f"says '<s>' for {key}", _set(key, STRING, "<s>"))
    yield _changed(
        "byte tokens in BERT's", "has byte tokens in a vocabulary of BERT's", _set(own + "model", STRING, "bert")
    )
    for kind, key in {"t5": "model", "gemma4": "model", "glm4": "pre", "chatglm-bpe": "pre"}.items():
        first = [_set(own + "add_bos_token", BOOL, value=True), _set(own + key, STRING, kind)]
        words = "puts a token before every text and does not say which"
        yield _changed(f"no first token for {kind}", words, *first, _drop(own + "bos_token_id"))
        none = _set(own + "bos_token_id", U32, 2**32 - 1)
        yield _changed(f"minus one as the first token for {kind}", words, *first, none)
    fewer = [_set(tokens, STRING, TOKENS[:-1], is_array=True), _drop(own + "scores"), _drop(own + "token_type")]
    yield _changed("a token too few", "has vectors for 262 tokens of 32 in token_embd.weight, not 261", *fewer)
    yield _changed("only a vocabulary", "holds a vocabulary and no weights", _field("weights", []))
    yield _changed("neither", "holds no weights", _field("weights", []), _drop(tokens))


def _tensors() -> Iterator[Case]:
    """Descriptions of the tensors."""
    matrix, norm = "blk.0.attn_q.weight", "blk.0.attn_norm.weight"
    not_for_weights = {9: "Q8_1", 15: "Q8_K", 24: "I8", 25: "I16", 26: "I32", 27: "I64", 28: "F64"}
    for kind, name in not_for_weights.items():
        yield _changed(
            f"a matrix in {name}", f"{matrix} in {name}, a type that llama.cpp cannot", _tensor(matrix, kind=kind)
        )
    yield _changed("embeddings in I32", "token_embd.weight in I32", _tensor("token_embd.weight", kind=26))
    for kind in (4, 5, 31, 32, 33, 36, 37, 38):
        yield _changed(f"weights of type {kind}", "a type that llama.cpp reads no more", _tensor(matrix, kind=kind))
    for kind in (43, 64, 1000, 2**31, 2**32 - 1):
        yield _changed(
            f"weights of type {kind}",
            f"in a type that this llama.cpp does not know ({kind})",
            _tensor(matrix, kind=kind),
        )
    for kind, name in {1: "F16", 30: "BF16", 2: "Q4_0", 8: "Q8_0"}.items():
        n_bytes = {"Q4_0": 18, "Q8_0": 34}.get(name, 64)
        for vector in (norm, "output_norm.weight"):
            words = f"has the vector {vector} in {name}"
            yield _changed(f"{vector} in {name}", words, _tensor(vector, kind=kind, n_bytes=n_bytes))
    in_two = _tensor(norm, kind=1, shape=[WIDTH, 1])
    yield _changed("a norm of two dimensions", f"has the vector {norm} in F16", in_two)
    for kind, multiple in {10: 256, 14: 256, 23: 256, 40: 64, 41: 128}.items():
        words = f"has rows of 32 values in {matrix}; "
        yield _changed(f"rows for {multiple}, type {kind}", words, _tensor(matrix, kind=kind))
    yield _changed("rows of 33 in Q8_0", "needs multiples of 32", _tensor(matrix, kind=8, shape=[33, 32]))
    for count in (0, 5, 2**31, 2**32 - 1):
        name = text(matrix)
        data = written(valid()).replace(name + struct.pack("<I", 2), name + struct.pack("<I", count))
        yield Case(f"{count} dimensions", data, f"has a tensor of {count} dimensions ({matrix})")
    for shape in ([0, 32], [32, 0], [-32, 32], [32, -1], [-(2**63), 1]):
        yield _changed(f"shape {shape}", "the impossible shape", _tensor(matrix, shape=shape))
    for shape in ([2**62, 2], [2**31, 2**32], [2**32] * 4, [2**63 - 1, 32, 2, 2], [2**62]):
        yield _changed(f"shape {shape}", "larger than any memory", _tensor(matrix, shape=shape, n_bytes=32))
    yield _changed(
        "a huge matrix", "it has 99.6 kB of 2,199.0 GB", _tensor("blk.0.ffn_down.weight", shape=[2**30, 2**10])
    )
    yield _changed("an empty name", "whose name is 0 bytes long", _tensor(matrix, name=""))
    for length in (64, 65, 1000):
        yield _changed(f"a name of {length}", f"whose name is {length} bytes long", _tensor(matrix, name="x" * length))
    yield _changed("a name twice", f"has the tensor '{norm}' twice", _tensor(matrix, name=norm))
    yield _changed("other embeddings", "has no token_embd.weight", _tensor("token_embd.weight", name="x"))
    wide = _tensor("token_embd.weight", shape=[64, len(TOKENS)])
    yield _changed("wider embeddings", "has vectors for 262 tokens of 64 in", wide)
    last = "blk.0.ffn_down.weight"
    for offset in (1, 8, 31, 2**63 + 1, 2**64 - 1):
        yield _changed(f"data at {offset}", "which is no multiple of 32", _tensor(matrix, offset=offset))
    for offset in (0, 32, ALIGNMENT * 3):
        yield _changed(f"data at {offset}", "which overlaps the data before it", _tensor(last, offset=offset))
    for offset in (2**20, 2**40, 2**63):
        yield _changed(f"data at {offset}", "was to be expected", _tensor(last, offset=offset))
    swapped = [_tensor(matrix, offset=19648), _tensor("blk.0.attn_k.weight", offset=17152)]
    yield _changed("data in another order", "has the data of blk.0.attn_q.weight at 19,648", *swapped)
    yield _changed("another alignment", "no multiple of 4096", _set("general.alignment", U32, 4096))
