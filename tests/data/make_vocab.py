"""Makes vocab.model and vocab.gguf, the vocabulary of these tests: small, and of the same kind as Llama 2's.

A SentencePiece BPE of 1,000 pieces with byte fallback, no normalisation, a space put before the text, digits
apart, and pieces of nothing but spaces, trained on corpus.txt, which was written for this project. vocab.gguf
holds the same pieces without weights, as llama.cpp loads them with `vocab_only`.

usage, in this directory:  python make_vocab.py
"""

from __future__ import annotations

import io
from pathlib import Path

import gguf
import sentencepiece

HERE = Path(__file__).resolve().parent
N_PIECES = 1000


def train() -> bytes:
    """The SentencePiece model. Deterministic: one thread, and no sampling of so few lines."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter((HERE / "corpus.txt").read_text(encoding="utf-8").splitlines()),
        model_writer=model,
        model_type="bpe",
        vocab_size=N_PIECES,
        byte_fallback=True,
        normalization_rule_name="identity",
        add_dummy_prefix=True,
        remove_extra_whitespaces=False,
        allow_whitespace_only_pieces=True,
        split_digits=True,
        character_coverage=0.995,
        num_threads=1,
        minloglevel=2,
    )
    return model.getvalue()


def token_type(tokenizer: sentencepiece.SentencePieceProcessor, token: int) -> gguf.TokenType:
    if tokenizer.is_unknown(token):
        return gguf.TokenType.UNKNOWN
    if tokenizer.is_control(token):
        return gguf.TokenType.CONTROL
    return gguf.TokenType.BYTE if tokenizer.is_byte(token) else gguf.TokenType.NORMAL


def write_gguf(path: Path, tokenizer: sentencepiece.SentencePieceProcessor) -> None:
    """A Llama 2 by its metadata, with this vocabulary and no tensors."""
    tokens = range(tokenizer.get_piece_size())
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("a vocabulary for tests")
    writer.add_block_count(1)
    writer.add_context_length(4096)
    writer.add_embedding_length(64)
    writer.add_feed_forward_length(128)
    writer.add_head_count(1)
    writer.add_rope_dimension_count(64)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_tokenizer_model("llama")
    writer.add_token_list([tokenizer.id_to_piece(token) for token in tokens])
    writer.add_token_scores([tokenizer.get_score(token) for token in tokens])
    writer.add_token_types([token_type(tokenizer, token) for token in tokens])
    writer.add_unk_token_id(tokenizer.unk_id())
    writer.add_bos_token_id(tokenizer.bos_id())
    writer.add_eos_token_id(tokenizer.eos_id())
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(False)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()


def main() -> None:
    (HERE / "vocab.model").write_bytes(train())
    tokenizer = sentencepiece.SentencePieceProcessor(model_file=str(HERE / "vocab.model"))
    write_gguf(HERE / "vocab.gguf", tokenizer)


if __name__ == "__main__":
    main()
