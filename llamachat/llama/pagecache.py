"""Brings a file into the operating system's page cache, with progress.

llama.cpp maps weights into memory and blocks until the kernel has read them, without a word. Reading
the file first is as fast and can be shown.
"""

from __future__ import annotations

import ctypes
import mmap
import sys
import time
from collections.abc import Callable
from pathlib import Path

_BLOCK = 16 << 20
_RESIDENT = 0.95
_PROBE_BYTES = 256 << 20
_CACHED_RATE = 3e9  # bytes a second that only a page cache gives


def warm(path: Path, available: int, on_progress: Callable[[int, int], None]) -> None:
    """Read the file unless it is in the page cache already, or larger than `available` memory (bytes).

    `on_progress(done, total)` counts bytes.
    """
    total = path.stat().st_size
    if total > available or _resident_fraction(path, total) >= _RESIDENT:
        return
    block, done, started = bytearray(_BLOCK), 0, time.monotonic()
    with path.open("rb", buffering=0) as file:
        while n := file.readinto(block):
            done += n
            on_progress(done, total)
            elapsed = time.monotonic() - started
            if sys.platform == "win32" and done >= _PROBE_BYTES and done > _CACHED_RATE * elapsed:
                return


def _resident_fraction(path: Path, size: int) -> float:
    """The part of the file that is in memory; 0 where the system does not tell (Windows)."""
    if sys.platform == "win32" or size == 0:
        return 0.0
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY) as view:
        n_pages = -(-size // mmap.PAGESIZE)
        pages = (ctypes.c_ubyte * n_pages)()
        first = ctypes.c_char.from_buffer(view)
        status = ctypes.CDLL(None).mincore(ctypes.c_void_p(ctypes.addressof(first)), ctypes.c_size_t(size), pages)
        del first  # or the map could not be closed
        return sum(page & 1 for page in pages) / n_pages if status == 0 else 0.0
