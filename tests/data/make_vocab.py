"""Makes vocab.model and vocab.gguf, the vocabulary of these tests: small, and of the same kind as Llama 2's.

A SentencePiece BPE of 1,024 pieces with byte fallback, no normalisation, a space put before the text, digits
apart, and pieces of nothing but spaces, trained on corpus.txt, which was written for this project, and on dialogs
that the test model is taught. vocab.gguf holds the same pieces without weights, as llama.cpp loads them with
`vocab_only`. Made anew, the test model has to be, too.

usage, in the repository's root:  python -m tests.data.make_vocab
"""

from __future__ import annotations

import io
from itertools import islice
from pathlib import Path

import gguf
import sentencepiece

from tests.model.dialogs import Dialog, dialogs

HERE = Path(__file__).resolve().parent
N_PIECES = 1024
N_DIALOGS = 2000


def lines() -> list[str]:
    """What the pieces are learned from."""
    corpus = (HERE / "corpus.txt").read_text(encoding="utf-8")
    framed = [_framed(dialog) for dialog in islice(dialogs(0, for_training=True), N_DIALOGS)]
    return [line for text in (corpus, *framed) for line in text.splitlines() if line]


def _framed(dialog: Dialog) -> str:
    """The dialog in Llama 2's format, as far as it is text."""
    exchanges = "\n".join(f"[INST] {question} [/INST] {answer}" for question, answer in dialog.exchanges)
    return f"<<SYS>>\n{dialog.system or ''}\n<</SYS>>\n\n{exchanges}"


def train() -> bytes:
    """The SentencePiece model. Deterministic: one thread, and no sampling of so few lines."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines()),
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


def add_vocabulary(writer: gguf.GGUFWriter, tokenizer: sentencepiece.SentencePieceProcessor) -> None:
    """The pieces, their scores and types, as llama.cpp reads a SentencePiece vocabulary."""
    tokens = range(tokenizer.get_piece_size())
    writer.add_tokenizer_model("llama")
    writer.add_token_list([tokenizer.id_to_piece(token) for token in tokens])
    writer.add_token_scores([tokenizer.get_score(token) for token in tokens])
    writer.add_token_types([token_type(tokenizer, token) for token in tokens])
    writer.add_unk_token_id(tokenizer.unk_id())
    writer.add_bos_token_id(tokenizer.bos_id())
    writer.add_eos_token_id(tokenizer.eos_id())
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(False)


def write_gguf(path: Path, tokenizer: sentencepiece.SentencePieceProcessor) -> None:
    """A Llama 2 by its metadata, with this vocabulary and no tensors."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("a vocabulary for tests")
    writer.add_block_count(1)
    writer.add_context_length(4096)
    writer.add_embedding_length(64)
    writer.add_feed_forward_length(128)
    writer.add_head_count(1)
    writer.add_rope_dimension_count(64)
    writer.add_layer_norm_rms_eps(1e-5)
    add_vocabulary(writer, tokenizer)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()


def main() -> None:
    (HERE / "vocab.model").write_bytes(train())
    tokenizer = sentencepiece.SentencePieceProcessor(model_file=str(HERE / "vocab.model"))
    write_gguf(HERE / "vocab.gguf", tokenizer)


if __name__ == "__main__":
    main()
