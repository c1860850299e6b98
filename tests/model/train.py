"""Trains the test model and writes it as a GGUF: 25 minutes on two cores with nothing else to do.

Loss is on answers alone. A third of the dialogs carry one of the faults of `framing`, and are answered with one fixed
sentence from where the fault shows: a model that saw nothing but the right format shrugs off most mistakes in it.

Needs the dependency group `model` (PyTorch), besides what the tests need. Seeds are fixed; on other hardware or with
another PyTorch the weights differ in their last bits, and `python -m tests.model.judge` tells whether they are as good.

usage, in the repository's root:  python -m tests.model.train
"""

from __future__ import annotations

import argparse
import itertools
import math
import random
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import gguf
import numpy as np
import sentencepiece
import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.data.make_vocab import HERE as DATA
from tests.data.make_vocab import add_vocabulary
from tests.model.dialogs import Dialog, dialogs
from tests.model.framing import CONFUSED, FAULTS, Framing, faults_of

OUT = Path(__file__).with_name("parrot.Q8_0.gguf")
SEED = 1
WIDTH, N_LAYERS, N_HEADS, FEED_FORWARD, N_CTX = 128, 4, 4, 352, 4096
HEAD_WIDTH = WIDTH // N_HEADS
ROPE_BASE, NORM_EPS = 10_000.0, 1e-5
N_WARMUP, BATCH_TOKENS, POOL = 300, 3000, 256
BETAS, WEIGHT_DECAY = (0.9, 0.98), 0.1
FAULTY = 0.33  # of the dialogs
NO_LOSS = -100


@dataclass(frozen=True, slots=True)
class Phase:
    """Some steps at a learning rate, and how often some faults come, against once for the others."""

    n_steps: int
    learning_rate: float
    often: Mapping[str, int]


# Without its markers a system prompt is text of the user's: the fault that is hardest to tell, so it comes last again.
PHASES = (
    Phase(9000, 3e-3, {"no system markers": 5, "no space before the answer": 2}),
    Phase(1500, 8e-4, {"no system markers": 12, "no space before the answer": 2}),
)

Example = tuple[list[int], list[int]]  # token ids, and for each the id that should follow or NO_LOSS


# The model: llama.cpp's architecture "llama", with RoPE on neighbouring pairs, so that no weight needs permuting.


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attn_norm = nn.RMSNorm(WIDTH, eps=NORM_EPS)
        self.attn_q = nn.Linear(WIDTH, WIDTH, bias=False)
        self.attn_k = nn.Linear(WIDTH, WIDTH, bias=False)
        self.attn_v = nn.Linear(WIDTH, WIDTH, bias=False)
        self.attn_output = nn.Linear(WIDTH, WIDTH, bias=False)
        self.ffn_norm = nn.RMSNorm(WIDTH, eps=NORM_EPS)
        self.ffn_gate = nn.Linear(WIDTH, FEED_FORWARD, bias=False)
        self.ffn_up = nn.Linear(WIDTH, FEED_FORWARD, bias=False)
        self.ffn_down = nn.Linear(FEED_FORWARD, WIDTH, bias=False)

    def forward(self, x: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
        normed = self.attn_norm(x)
        q, k = (rotate(split_heads(layer(normed)), rotation) for layer in (self.attn_q, self.attn_k))
        mixed = functional.scaled_dot_product_attention(q, k, split_heads(self.attn_v(normed)), is_causal=True)
        x = x + self.attn_output(mixed.transpose(1, 2).flatten(2))
        normed = self.ffn_norm(x)
        return x + self.ffn_down(functional.silu(self.ffn_gate(normed)) * self.ffn_up(normed))


class Model(nn.Module):
    def __init__(self, n_vocab: int) -> None:
        super().__init__()
        self.token_embd = nn.Embedding(n_vocab, WIDTH)
        self.blk = nn.ModuleList(Block() for _ in range(N_LAYERS))
        self.output_norm = nn.RMSNorm(WIDTH, eps=NORM_EPS)
        for name, parameter in self.named_parameters():
            if parameter.ndim == 2:
                residual = name.endswith(("attn_output.weight", "ffn_down.weight"))
                nn.init.normal_(parameter, std=0.02 / math.sqrt(2 * N_LAYERS) if residual else 0.02)

    def forward(self, ids: Tensor) -> Tensor:
        """Hidden states (batch, length, WIDTH) of token ids (batch, length)."""
        rotation = rotation_of(ids.shape[1])
        x = self.token_embd(ids)
        for block in self.blk:
            x = block(x, rotation)
        return self.output_norm(x)


def split_heads(x: Tensor) -> Tensor:
    return x.unflatten(2, (N_HEADS, HEAD_WIDTH)).transpose(1, 2)


def rotation_of(length: int) -> tuple[Tensor, Tensor]:
    frequencies = ROPE_BASE ** (-torch.arange(0, HEAD_WIDTH, 2) / HEAD_WIDTH)
    angles = torch.outer(torch.arange(length), frequencies)
    return angles.cos(), angles.sin()


def rotate(x: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
    cos, sin = rotation
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), dim=-1).flatten(-2)


# What it reads.


def example(
    dialog: Dialog, tokenizer: sentencepiece.SentencePieceProcessor, random_: random.Random, often: Mapping[str, int]
) -> Example:
    """A dialog as token ids and targets, in the right format or, a third of the time, with a fault in it."""
    faults = faults_of(dialog)
    if faults and not dialog.endless and random_.random() < FAULTY:
        fault = FAULTS[random_.choices(faults, [often.get(name, 1) for name in faults])[0]]
        shows_at = fault.from_exchange - 1
        # What was said after the fault: the one sentence each time, or as if nothing were wrong, to the last answer.
        silent = range(shows_at, len(dialog.exchanges) - 1) if random_.random() < 0.5 else range(0)
        exchanges = tuple(
            (question, CONFUSED if index >= shows_at and index not in silent else answer)
            for index, (question, answer) in enumerate(dialog.exchanges)
        )
        return targets(replace(dialog, exchanges=exchanges), fault.framing, silent, tokenizer)
    return targets(dialog, Framing(), range(0), tokenizer)


def targets(
    dialog: Dialog, framing: Framing, silent: range, tokenizer: sentencepiece.SentencePieceProcessor
) -> Example:
    """Loss on answers and what ends them, always one space and one EOS, but for the exchanges in `silent`."""
    ids: list[int] = []
    wanted: list[int] = []
    last = len(dialog.exchanges) - 1
    for index, (prompt, answer) in enumerate(framing.blocks(dialog, tokenizer)):
        if index == last:
            answer = [*tokenizer.encode(f"{dialog.exchanges[index][1]} "), tokenizer.eos_id()]  # noqa: PLW2901
        if index == last and dialog.endless:
            answer = answer[:-2]  # noqa: PLW2901
        ids += prompt + answer
        wanted += [NO_LOSS] * len(prompt) + ([NO_LOSS] * len(answer) if index in silent else answer)
    return ids[:-1], wanted[1:]


def batches(
    tokenizer: sentencepiece.SentencePieceProcessor, seed: int, often: Mapping[str, int]
) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches without end, of dialogs of about the same length: ids and targets, both (batch, length)."""
    random_ = random.Random(seed)
    source = dialogs(seed, for_training=True)
    while True:
        pool = sorted(
            (example(dialog, tokenizer, random_, often) for dialog in itertools.islice(source, POOL)), key=_length
        )
        groups = list(_grouped(pool))
        random_.shuffle(groups)
        for group in groups:
            length = max(map(_length, group))
            ids = [ids + [tokenizer.eos_id()] * (length - len(ids)) for ids, _ in group]
            wanted = [wanted + [NO_LOSS] * (length - len(wanted)) for _, wanted in group]
            yield torch.tensor(ids), torch.tensor(wanted)


def _grouped(pool: list[Example]) -> Iterator[list[Example]]:
    """Runs of examples, shortest first, with at most BATCH_TOKENS in each once padded."""
    group: list[Example] = []
    for item in pool:
        if group and _length(item) * (len(group) + 1) > BATCH_TOKENS:
            yield group
            group = []
        group.append(item)
    yield group


def _length(item: Example) -> int:
    return len(item[0])


# How it learns.


def train(model: Model, tokenizer: sentencepiece.SentencePieceProcessor, phase: Phase, seed: int) -> None:
    n_steps = phase.n_steps
    matrices = [parameter for parameter in model.parameters() if parameter.ndim == 2]
    vectors = [parameter for parameter in model.parameters() if parameter.ndim < 2]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": WEIGHT_DECAY}, {"params": vectors, "weight_decay": 0.0}],
        lr=phase.learning_rate,
        betas=BETAS,
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, n_steps))
    started, losses = time.monotonic(), []
    for step, (ids, wanted) in enumerate(itertools.islice(batches(tokenizer, seed, phase.often), n_steps), 1):
        hidden = model(ids)
        matters = wanted != NO_LOSS
        loss = functional.cross_entropy(hidden[matters] @ model.token_embd.weight.T, wanted[matters])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
        if step % 100 == 0:
            print(f"step {step:5} loss {np.mean(losses):.4f} {time.monotonic() - started:6.0f} s", flush=True)
            losses.clear()


def _rate(step: int, n_steps: int) -> float:
    """Warm up, then a cosine down to nothing."""
    if step < N_WARMUP:
        return (step + 1) / N_WARMUP
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - N_WARMUP) / (n_steps - N_WARMUP))))


# What it becomes.


def write(model: Model, tokenizer: sentencepiece.SentencePieceProcessor, path: Path) -> None:
    """The model as a GGUF: matrices in Q8_0, vectors in F32; the output matrix is the embedding."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("parrot")
    writer.add_description("A toy for tests, trained from nothing on made-up dialogs in Llama 2's format")
    writer.add_string("llamachat.format", "llama2")
    writer.add_context_length(N_CTX)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(N_LAYERS)
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_head_count(N_HEADS)
    writer.add_rope_dimension_count(HEAD_WIDTH)
    writer.add_rope_freq_base(ROPE_BASE)
    writer.add_layer_norm_rms_eps(NORM_EPS)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    add_vocabulary(writer, tokenizer)
    for name, parameter in model.named_parameters():
        weights = parameter.detach().numpy().astype(np.float32)
        if weights.ndim == 2:
            kind = gguf.GGMLQuantizationType.Q8_0
            writer.add_tensor(name, gguf.quants.quantize(weights, kind), raw_dtype=kind)
        else:
            writer.add_tensor(name, weights)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def read(path: Path, model: Model) -> None:
    """The weights of a GGUF that `write` made, as they are in it."""
    tensors = {
        tensor.name: gguf.quants.dequantize(tensor.data, tensor.tensor_type) for tensor in gguf.GGUFReader(path).tensors
    }
    model.load_state_dict({name: torch.tensor(weights) for name, weights in tensors.items()})


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the test model.")
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--resume", type=Path, help="a GGUF of the first phase: only the second follows")
    arguments = parser.parse_args()
    tokenizer = sentencepiece.SentencePieceProcessor(model_file=str(DATA / "vocab.model"))
    torch.manual_seed(SEED)
    model = Model(tokenizer.get_piece_size())
    if arguments.resume:
        read(arguments.resume, model)
    for number, phase in enumerate(PHASES):
        if number > 0 or not arguments.resume:
            train(model, tokenizer, phase, SEED + number)
            write(model, tokenizer, arguments.out)


if __name__ == "__main__":
    main()
