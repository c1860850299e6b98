"""A model's vocabulary: text and prompt segments to token ids, ids to bytes."""

from __future__ import annotations

import ctypes
import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from llamachat.errors import ModelError, UsageError
from llamachat.formats.base import Bos, Control, Eos, Ids, Segment, Text
from llamachat.llama.lib import C

_SPM = 1  # LLAMA_VOCAB_TYPE_SPM
_FINGERPRINT_SAMPLES = 1024


class Vocabulary:
    """The vocabulary of a loaded model. It belongs to the model and is not freed on its own."""

    def __init__(self, handle: Any) -> None:
        self.handle = handle
        self.n_tokens: int = C.llama_vocab_n_tokens(handle)
        self.bos: int = C.llama_vocab_bos(handle)
        self.eos: int = C.llama_vocab_eos(handle)
        self.adds_bos: bool = C.llama_vocab_get_add_bos(handle)
        self.kind: int = C.llama_vocab_type(handle)
        self.is_sentencepiece = self.kind == _SPM
        self._pieces: dict[int, bytes] = {}
        self._ends: dict[int, bool] = {}
        self._controls: dict[str, int] | None = None

    @classmethod
    @contextmanager
    def load(cls, path: Path) -> Iterator[Vocabulary]:
        """The vocabulary of a GGUF file alone, without its weights."""
        params = C.llama_model_default_params()
        params.vocab_only = True
        model = C.llama_model_load_from_file(os.fsencode(path), params)
        if not model:
            raise ModelError(f"{path} holds no vocabulary that llama.cpp can read.")
        try:
            yield cls(C.llama_model_get_vocab(model))
        finally:
            C.llama_model_free(model)

    @property
    def fingerprint(self) -> str:
        """Identifies the vocabulary: two models with the same one can exchange token ids.

        Hashes the size, the special tokens and a thousand texts spread over all ids (1 ms; all of them
        would be 40).
        """
        digest = hashlib.blake2b(f"{self.n_tokens} {self.bos} {self.eos}".encode(), digest_size=16)
        for token in range(0, self.n_tokens, max(1, self.n_tokens // _FINGERPRINT_SAMPLES)):
            digest.update(C.llama_vocab_get_text(self.handle, token) + b"\0")
        return digest.hexdigest()

    def tokenize(self, text: str) -> list[int]:
        """Token ids of plain text. Nothing in it is parsed as a control token.

        Raises UsageError when the tokenizer would make one all the same (a vocabulary whose merges spell
        out a control token), since that text could end or forge a turn.
        """
        data = text.encode("utf-8", "replace")
        ids = (ctypes.c_int32 * (len(data) + 2))()
        n = C.llama_tokenize(self.handle, data, len(data), ids, len(ids), False, False)
        if n < 0:
            raise UsageError("this text is too long for the tokenizer.")
        tokens = ids[:n]
        for token in set(tokens):
            if self.is_control(token):
                raise UsageError(f"the text spells out the control token {self.text(token)!r}.", "Change it and retry.")
        return tokens

    def encode(self, segments: Sequence[Segment]) -> list[int]:
        """Token ids of a prompt. BOS is put in front where the vocabulary wants one and the format gave none."""
        tokens: list[int] = []
        for segment in segments:
            tokens += self._encode(segment)
        if self.adds_bos and tokens[:1] != [self.bos]:
            tokens.insert(0, self.bos)
        return tokens

    def _encode(self, segment: Segment) -> list[int]:
        match segment:
            case Text(text):
                return self.tokenize(text) if text else []
            case Control(text):
                return [self.controls[text]]
            case Bos():
                return [self.bos] if self.bos >= 0 else []
            case Eos():
                return [self.eos] if self.eos >= 0 else []
            case Ids(ids, close_with_space):
                space = self.closing_space if close_with_space else []
                return [*ids, *(space if list(ids[-1:]) != space else [])]

    @property
    def closing_space(self) -> list[int]:
        """The piece that a trailing space becomes: `▁` (29871 in Llama 2's vocabulary)."""
        return self.tokenize("x ")[-1:]

    @property
    def controls(self) -> dict[str, int]:
        """Every control token: its text and its id. Scanned once (10 ms for 32,000 tokens)."""
        if self._controls is None:
            is_control = C.llama_vocab_is_control
            self._controls = {
                self.text(token): token for token in range(self.n_tokens) if is_control(self.handle, token)
            }
        return self._controls

    def is_control(self, token: int) -> bool:
        return self._has_control_attribute(token) or self.is_end(token)

    def _has_control_attribute(self, token: int) -> bool:
        return bool(C.llama_vocab_is_control(self.handle, token))

    def is_end(self, token: int) -> bool:
        """Whether this token ends an answer: every end-of-generation token of the vocabulary."""
        end = self._ends.get(token)
        if end is None:
            end = self._ends[token] = bool(C.llama_vocab_is_eog(self.handle, token))
        return end

    def text(self, token: int) -> str:
        """The token as it stands in the vocabulary: `<s>`, `▁Hello`."""
        return str(C.llama_vocab_get_text(self.handle, token).decode("utf-8", "replace"))

    def control_text(self, token: int) -> str:
        """The text of BOS or EOS; empty in a vocabulary without one."""
        return self.text(token) if token >= 0 else ""

    def piece(self, token: int) -> bytes:
        """The bytes this token adds to an answer: none for a control token, often part of a character."""
        piece = self._pieces.get(token)
        if piece is None:
            piece = self._pieces[token] = self._piece(token)
        return piece

    def _piece(self, token: int, special: bool = False) -> bytes:
        buffer = ctypes.create_string_buffer(64)
        n = C.llama_token_to_piece(self.handle, token, buffer, len(buffer), 0, special)
        if n < 0:
            buffer = ctypes.create_string_buffer(-n)
            n = C.llama_token_to_piece(self.handle, token, buffer, len(buffer), 0, special)
        return buffer.raw[:n]

    def render(self, segments: Sequence[Segment]) -> str:
        """The prompt as text, control tokens spelled out: what `--dry-run` shows."""
        return "".join(map(self._render, segments))

    def _render(self, segment: Segment) -> str:
        match segment:
            case Text(text, spaced):
                return f" {text}" if spaced else text
            case Control(text):
                return text
            case Bos():
                return self.control_text(self.bos)
            case Eos():
                return self.control_text(self.eos)
            case Ids():
                return b"".join(map(self.piece, self._encode(segment))).decode("utf-8", "replace")
