"""What a KV cache depends on besides its tokens: the names under which blocks of it are kept (snapshot.py)."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from llamachat.llama.lib import C, build_description
from llamachat.llama.model import Model
from llamachat.llama.session import Session

_END, _SAMPLE, _N_SAMPLES = 1 << 20, 4096, 256  # bytes
_SPLIT = re.compile(r"(.*)-\d{5}-of-(\d{5})\.gguf", re.DOTALL)
# Options that leave the cache as it is, or that `_shape` has in another way. A new one counts until it is named here.
_WITHOUT_EFFECT = {
    "path", "name", "sha256", "is_starter", "n_ctx", "n_threads", "gpu_layers", "format", "sampling", "use_amx",
    "use_extra_buffers", "use_flash_attention", "use_gpu", "draft", "cache_folder", "cache_bytes", "turns", "tuned",
    "measures",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Identity:
    """`fingerprint`: two caches with the same one can exchange blocks. `grid`: and have the same bits, where
    they were evaluated in the same chunks. `name` and `build` are for people.
    """

    fingerprint: bytes
    grid: bytes
    name: str
    build: str


def identify(model: Model, session: Session) -> Identity:
    """Of a loaded model and a context of it. Raises OSError when its file cannot be read any more."""
    build = build_description()
    digest = hashlib.blake2b(json.dumps(_shape(model, session), sort_keys=True).encode(), digest_size=16)
    for part in _parts(Path(model.options.path)):
        for sample in _samples(part):
            digest.update(sample)
    options, knobs = model.options, model.knobs
    arithmetic = (
        session.chunk, knobs.n_threads, knobs.n_threads_prefill, model.n_gpu_layers, options.use_amx,
        options.use_extra_buffers, [gpu.description for gpu in model.gpus],
    )  # fmt: skip
    grid = hashlib.blake2b(json.dumps(arithmetic).encode(), digest_size=16).digest()
    return Identity(digest.digest(), grid, options.name or Path(options.path).stem, build)


def can_be_kept(model: Model) -> bool:
    """Whether the cache has a cell for each token, and nothing else: not in recurrent models, nor with windows."""
    return model.can_forget and C.llama_model_n_swa(model.handle) == 0


def _shape(model: Model, session: Session) -> dict[str, object]:
    options = {key: value for key, value in asdict(model.options).items() if key not in _WITHOUT_EFFECT}
    return {
        **options,
        "build": build_description(),
        "architecture": model.architecture,
        "quantisation": model.quantisation,
        "layers": model.n_layers,
        "bytes": model.kv_bytes_per_token,
        "flash attention": model.knobs.flash_attention,  # without it values are stored the other way round
        "stretch": model.rope.stretch(session.n_ctx),
        "rotation": os.environ.get("LLAMA_ATTN_ROT_DISABLE", ""),  # of quantised keys
    }


def _parts(path: Path) -> list[Path]:
    """The files of a model."""
    if match := _SPLIT.fullmatch(path.name):
        stem, count = match[1], int(match[2])
        return [path.with_name(f"{stem}-{index:05}-of-{count:05}.gguf") for index in range(1, count + 1)]
    return [path]


def _samples(path: Path) -> Iterator[bytes]:
    """Size and time of a file, its first and last MiB, and a page here and there: all of it would take seconds."""
    with path.open("rb", buffering=0) as file:
        known = os.fstat(file.fileno())
        yield f"{known.st_size} {known.st_mtime_ns}".encode()
        for place, length in (
            (0, _END),
            (max(0, known.st_size - _END), _END),
            *((known.st_size * index // _N_SAMPLES, _SAMPLE) for index in range(_N_SAMPLES)),
        ):
            file.seek(place)
            yield file.read(length)
