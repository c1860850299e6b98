"""The weights of a GGUF file: whether it is one, and llama.cpp's own loading of it."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from llamachat.errors import ModelError
from llamachat.llama.lib import C
from llamachat.types import LoadOptions

_MAGIC = b"GGUF"
_REPORT_SECONDS = 0.1

OnProgress = Callable[[int, int], None]


def check_file(path: Path) -> None:
    """Raise ModelError unless this is a file that starts as a GGUF does."""
    try:
        with path.open("rb") as file:
            magic = file.read(4)
    except IsADirectoryError as error:
        raise ModelError(f"{path} is a folder, not a model file.", "Name the .gguf file in it.") from error
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}.", "Check the path given with -m.") from error
    if magic != _MAGIC:
        raise ModelError(f"{path} is not a GGUF file.", "llamachat runs models in llama.cpp's GGUF format only.")


def load(options: LoadOptions, n_gpu_layers: int, on_progress: OnProgress) -> Any:
    """llama.cpp's model, or None."""
    path = Path(options.path)
    total, shown = path.stat().st_size, time.monotonic()

    def report(fraction: float, _user_data: Any) -> bool:
        nonlocal shown
        if (now := time.monotonic()) - shown > _REPORT_SECONDS:
            shown = now
            on_progress(int(fraction * total), total)
        return True

    params = C.llama_model_default_params()
    params.n_gpu_layers = n_gpu_layers
    params.use_extra_bufts = options.use_extra_buffers
    params.progress_callback = callback = C.llama_progress_callback(report)
    handle = C.llama_model_load_from_file(encoded(path), params)
    del callback  # alive until here, since C calls it
    return handle


def encoded(path: Path) -> bytes:
    """A path as llama.cpp wants it: the file system's bytes, UTF-8 on Windows."""
    return str(path).encode() if sys.platform == "win32" else os.fsencode(path)
