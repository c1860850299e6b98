"""Small GGUF files for tests."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np

VOCABULARY = Path(__file__).parent / "data" / "vocab.gguf"
WIDTH, N_LAYERS, N_HEADS, FEED_FORWARD, N_CTX = 64, 2, 4, 128, 1024


def write_tiny_model(
    path: Path,
    *,
    n_ctx: int = N_CTX,
    template: str | None = None,
    seed: int = 0,
    extra: dict[str, float | int | str] | None = None,
) -> Path:
    """A Llama of random weights in F16 (about 0.5 MB) over the vocabulary of tests/data."""
    fields = gguf.GGUFReader(str(VOCABULARY)).fields

    def column(key: str) -> list:
        return [fields[key].parts[index] for index in fields[key].data]

    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_name("tiny")
    writer.add_context_length(n_ctx)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(N_LAYERS)
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_rope_dimension_count(WIDTH // N_HEADS)
    writer.add_head_count(N_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    writer.add_tokenizer_model("llama")
    writer.add_token_list([bytes(part) for part in column("tokenizer.ggml.tokens")])
    writer.add_token_scores([float(part[0]) for part in column("tokenizer.ggml.scores")])
    writer.add_token_types([int(part[0]) for part in column("tokenizer.ggml.token_type")])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_string("llamachat.format", "llama2")
    if template is not None:
        writer.add_chat_template(template)
    adders = {int: writer.add_int32, float: writer.add_float32, str: writer.add_string}
    for key, value in (extra or {}).items():
        adders[type(value)](key, value)
    _add_weights(writer, len(fields["tokenizer.ggml.tokens"].data), np.random.default_rng(seed))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _add_weights(writer: gguf.GGUFWriter, n_vocab: int, rng: np.random.Generator) -> None:
    def matrix(name: str, rows: int, columns: int, scale: float) -> None:
        writer.add_tensor(name, (rng.standard_normal((rows, columns)) * scale).astype(np.float16))

    def norm(name: str) -> None:
        writer.add_tensor(name, np.ones(WIDTH, np.float32))

    matrix("token_embd.weight", n_vocab, WIDTH, 1.0)
    norm("output_norm.weight")
    matrix("output.weight", n_vocab, WIDTH, WIDTH**-0.5)
    for layer in range(N_LAYERS):
        name = f"blk.{layer}."
        norm(name + "attn_norm.weight")
        norm(name + "ffn_norm.weight")
        for projection in ("q", "k", "v", "output"):
            matrix(f"{name}attn_{projection}.weight", WIDTH, WIDTH, WIDTH**-0.5)
        matrix(name + "ffn_gate.weight", FEED_FORWARD, WIDTH, WIDTH**-0.5)
        matrix(name + "ffn_up.weight", FEED_FORWARD, WIDTH, WIDTH**-0.5)
        matrix(name + "ffn_down.weight", WIDTH, FEED_FORWARD, FEED_FORWARD**-0.5)
