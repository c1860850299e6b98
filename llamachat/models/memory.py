"""Whether a model fits this machine, and how fast it would be, before a byte of it is fetched.

`need` is arithmetic over a model's dimensions, `look` what this machine has, `judge` compares the two. What the
engine then does with the memory is its own decision (llama/machine.py), by the same reserves. An NVIDIA GPU is
counted when its driver answers; whether llama.cpp was built for it is not known here, so a caller that knows it was
not passes `gpus=False`.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from llamachat.models.catalogue import Geometry, Quantisation

N_UBATCH = 512  # tokens computed at once during prefill
QUALITY = (
    "F32", "BF16", "F16", "Q8_0", "Q6_K", "Q5_K_M", "Q5_K_S", "Q5_1", "Q5_0", "Q4_K_M", "Q4_K_S", "Q4_1", "IQ4_NL",
    "IQ4_XS", "Q4_0", "Q3_K_L", "Q3_K_M", "IQ3_M", "Q3_K_S", "IQ3_S", "IQ3_XS", "IQ3_XXS", "Q2_K", "Q2_K_S", "IQ2_M",
)  # fmt: skip
USUAL = "Q4_K_M"  # below it the loss shows, above it a CPU only gets slower

_MIB = 1 << 20
_KV_BYTES = {"f16": 2.0, "q8_0": 34 / 32}  # per element; a block of 32 has a scale of 2 bytes
_CONTEXT_STEP = 256  # llama.cpp pads a context to this
_SMALLEST_CONTEXT = 512
_RAM_RESERVE = 256 * _MIB  # llamachat's two processes and a margin for everyone else
_VRAM_RESERVE = 1024 * _MIB  # CUDA aborts, rather than fails, when it runs out while computing
_METAL_SHARE = 0.75  # of a Mac's memory, what Metal lets one process wire down, about
_SMI = ("nvidia-smi", "--query-gpu=name,memory.free,memory.total", "--format=csv,noheader,nounits")
_SMI_SECONDS = 3.0  # it takes a second where the driver is not kept loaded
_COPY_BYTES = 256 * _MIB  # read and written by all threads together: more than caches hold
_COPY_SECONDS = 0.15
_MOST_THREADS = 16
# Measured on a quiet 2-core EPYC that copies 40 GB/s, 2 threads: TinyLlama's shape in Q4_K_M (680 MB) 54 tokens/s,
# the starter (98 MB) 164, a Llama of 160M (105 MB) 265; estimated 45, 204 and 197. Llama 2's own sizes were not
# measured there: its 4.7 tokens/s for 7B Q4_K_M come from a machine whose bandwidth is not known.
_EFFICIENCY = 0.85
_TOKEN_SECONDS = 0.002


@dataclass(frozen=True, slots=True)
class Need:
    """Bytes that a model takes while it answers: weights, KV cache, compute buffers."""

    weights: int
    kv: int
    compute: int

    @property
    def total(self) -> int:
        return self.weights + self.kv + self.compute


@dataclass(frozen=True, slots=True)
class Device:
    """A GPU, its memory in bytes. `is_unified`: that memory is the machine's own (Apple)."""

    name: str
    vram_free: int
    vram_total: int
    is_unified: bool = False


@dataclass(frozen=True, slots=True)
class Machine:
    """Bytes there are. `bandwidth` is the memory's in bytes/s, None before `measured`."""

    ram_total: int
    ram_available: int
    disk_free: int
    devices: tuple[Device, ...] = ()
    bandwidth: float | None = None

    @property
    def vram_room(self) -> int:
        """Bytes of all GPUs' memory that a model may take."""
        return sum(max(0, device.vram_free - _VRAM_RESERVE) for device in self.devices)

    @property
    def room(self) -> int:
        """Bytes that a model may take in all. A unified GPU adds none."""
        ram = max(0, self.ram_available - _RAM_RESERVE)
        return ram if any(device.is_unified for device in self.devices) else ram + self.vram_room

    def measured(self) -> Machine:
        """The same with its memory bandwidth, which takes 0.3 s to measure."""
        return self if self.bandwidth else replace(self, bandwidth=measure_bandwidth())


class Verdict(StrEnum):
    """How a model fits."""

    FITS = "fits"
    SMALLER_CONTEXT = "fits with a smaller context"
    PARTLY_ON_GPU = "partly on the GPU"
    TOO_LARGE = "does not fit"


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict, and what is needed at `n_ctx`: the context asked for, or the smaller one that fits."""

    verdict: Verdict
    n_ctx: int
    need: Need

    @property
    def fits(self) -> bool:
        return self.verdict is not Verdict.TOO_LARGE


def need(n_bytes: int, geometry: Geometry, n_ctx: int, kv_type: str = "f16", n_ubatch: int = N_UBATCH) -> Need:
    """What a file of this size takes with a context of `n_ctx` tokens.

    The compute buffer holds the widest moment of one batch in f32, times `n_ubatch` tokens: the logits, the feed-
    forward layer, or without flash attention (which a quantised cache implies) the attention scores of every head
    and their mask. The counts beside them are what llama.cpp reports, within 2 % (test_memory.py).
    """
    kv = 2 * geometry.n_layers * geometry.n_embd_kv * n_ctx * _KV_BYTES[kv_type]
    logits = geometry.n_vocab + 2 * geometry.n_embd
    feed_forward = 2 * geometry.n_ff + 2 * geometry.n_embd
    scores = (geometry.n_heads + 1) * n_ctx + 5 * geometry.n_embd + 2 * geometry.n_embd_kv
    widest = max(logits, feed_forward, scores if kv_type == "f16" else 0)
    return Need(n_bytes, int(kv), 4 * n_ubatch * widest)


def judge(n_bytes: int, geometry: Geometry, n_ctx: int, machine: Machine, kv_type: str = "f16") -> Judgement:
    """Whether a file of this size fits with this context, or with the largest smaller one that does."""
    for smaller in (n_ctx, *_smaller_contexts(n_ctx)):
        needed = need(n_bytes, geometry, smaller, kv_type)
        if needed.total <= machine.room:
            if smaller < n_ctx:
                return Judgement(Verdict.SMALLER_CONTEXT, smaller, needed)
            is_split = 0 < gpu_share(needed, machine) < 1
            return Judgement(Verdict.PARTLY_ON_GPU if is_split else Verdict.FITS, n_ctx, needed)
    return Judgement(Verdict.TOO_LARGE, n_ctx, need(n_bytes, geometry, n_ctx, kv_type))


def gpu_share(needed: Need, machine: Machine) -> float:
    """The part of a model that the GPUs can take, from 0 to 1; 0 where it would be less than a layer or two."""
    share = min(1.0, machine.vram_room / max(1, needed.total))
    return share if share >= 0.02 else 0.0


def speed(needed: Need, machine: Machine) -> float | None:
    """Tokens a second while answering, estimated; None where nobody can say: all on a GPU, or nothing measured.

    For each token the weights are read once, and the KV cache as far as it is filled: half of it in the middle of a
    conversation. Two constants turn that into time, the part of the bandwidth that llama.cpp's kernels reach
    and what a token costs beside (see the numbers at `_EFFICIENCY`). What lies on a GPU is counted as free.
    """
    is_unified = any(device.is_unified for device in machine.devices)
    share = 0.0 if is_unified else gpu_share(needed, machine)
    if machine.bandwidth is None or share >= 1:
        return None
    n_bytes = (needed.weights + needed.kv / 2) * (1 - share)
    return 1 / (n_bytes / (machine.bandwidth * _EFFICIENCY) + _TOKEN_SECONDS)


def best(
    quantisations: Sequence[Quantisation], geometry: Geometry, n_ctx: int, machine: Machine, kv_type: str = "f16"
) -> tuple[Quantisation, Judgement] | None:
    """The quantisation to take where nobody says; None when none fits, or no size is known.

    Q4_K_M, the usual balance, where it fits. A better one only where GPUs hold it whole: on a CPU each step up slows,
    and what is measured of a CPU in a moment is no ground for gigabytes. A smaller one only where Q4_K_M would not keep
    at least half of the context, and then the best that does.
    """
    judged = [
        (each, judge(each.n_bytes, geometry, n_ctx, machine, kv_type))
        for each in sorted(quantisations, key=_rank)
        if each.n_bytes is not None
    ]
    better = [pair for pair in judged if _rank(pair[0]) < QUALITY.index(USUAL)]
    rest = [pair for pair in judged if pair not in better]
    for pair in better:
        if pair[1].verdict is Verdict.FITS and _is_on_gpu(pair[1].need, machine):
            return pair
    candidates = [pair for pair in (*rest, *reversed(better)) if pair[1].fits]
    roomy = [pair for pair in candidates if pair[1].n_ctx >= n_ctx / 2]
    return next(iter(roomy or candidates), None)


def look(folder: Path, *, gpus: bool = True, root: Path = Path("/")) -> Machine:
    """What this machine has now; `folder` is where the download would go and need not exist.

    `root` stands in for the file system's in tests.
    """
    import psutil  # noqa: PLC0415  30 ms, and only where a model is chosen

    memory = psutil.virtual_memory()
    total, available = int(memory.total), int(memory.available)
    for limit, used in _cgroup_limits(root):
        total, available = min(total, limit), min(available, max(0, limit - used))
    devices = _devices(total, available) if gpus else ()
    return Machine(total, available, _disk_free(folder), devices)


def measure_bandwidth(seconds: float = _COPY_SECONDS) -> float:
    """Bytes/s that all cores together read and write while they copy memory; about 0.3 s in all.

    `memmove` runs outside the interpreter lock. The first copy, which makes the pages, does not count.
    """
    n_cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    n_threads = min(_MOST_THREADS, n_cpus)
    n_bytes = _COPY_BYTES // (2 * n_threads)
    barrier = threading.Barrier(n_threads)
    rates = [0.0] * n_threads

    def copy(index: int) -> None:
        source, target = (ctypes.create_string_buffer(n_bytes) for _ in range(2))
        ctypes.memset(source, index + 1, n_bytes)  # pages never written to are all one page
        ctypes.memmove(target, source, n_bytes)
        barrier.wait()
        start, n_copies = time.perf_counter(), 0
        while (elapsed := time.perf_counter() - start) < seconds:
            ctypes.memmove(target, source, n_bytes)
            n_copies += 1
        rates[index] = 2 * n_bytes * n_copies / elapsed

    threads = [threading.Thread(target=copy, args=(index,)) for index in range(n_threads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(rates)


def parse_devices(report: str) -> tuple[Device, ...]:
    """NVIDIA's GPUs from nvidia-smi's lines `name, MiB free, MiB total`; a line without numbers is left out."""
    devices = []
    for line in report.splitlines():
        match [field.strip() for field in line.rsplit(",", 2)]:
            case [name, free, total] if free.isdigit() and total.isdigit():
                devices.append(Device(name, int(free) * _MIB, int(total) * _MIB))
    return tuple(devices)


def _devices(ram_total: int, ram_available: int) -> tuple[Device, ...]:
    """The GPUs there are. A driver that does not answer in time has none."""
    if sys.platform == "darwin":
        usable = int(ram_total * _METAL_SHARE)
        return (Device("Apple GPU", min(usable, ram_available), usable, is_unified=True),)
    try:
        done = subprocess.run(_SMI, capture_output=True, text=True, timeout=_SMI_SECONDS, check=False)
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return ()
    return parse_devices(done.stdout) if done.returncode == 0 else ()


def _cgroup_limits(root: Path) -> Iterator[tuple[int, int]]:
    """The memory limits of this process's cgroup and those above it, with the bytes in use, pages of files aside."""
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        base = root / "sys/fs/cgroup" / ("memory" if controllers else "")
        here = base / path.lstrip("/")
        for folder in (here, *(parent for parent in here.parents if parent.is_relative_to(base))):
            for limit, used in (("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes")):
                if (text := _read(folder / limit)).isdigit():
                    yield int(text), int(_read(folder / used) or 0) - _cached(folder / "memory.stat")


def _cached(statistics: Path) -> int:
    """Bytes of files that the cgroup holds in memory and can let go of."""
    entries = dict(line.split(maxsplit=1) for line in _read(statistics).splitlines() if " " in line)
    return int(entries.get("file") or entries.get("total_inactive_file") or 0)


def _disk_free(folder: Path) -> int:
    """Bytes free where the folder is or will be; 0 where nothing of its path exists."""
    for place in (folder, *folder.absolute().parents):
        with suppress(OSError):
            return shutil.disk_usage(place).free
    return 0


def _smaller_contexts(n_ctx: int) -> Iterator[int]:
    """Contexts below this one, the largest first."""
    largest = (n_ctx - 1) // _CONTEXT_STEP * _CONTEXT_STEP
    yield from range(largest, _SMALLEST_CONTEXT - 1, -_CONTEXT_STEP)


def _is_on_gpu(needed: Need, machine: Machine) -> bool:
    """Whether GPUs of their own hold all of it: then weight for weight quality comes first."""
    return gpu_share(needed, machine) >= 1 and not any(device.is_unified for device in machine.devices)


def _rank(quantisation: Quantisation) -> int:
    """Its place by quality, the best first; unknown ones come last."""
    return QUALITY.index(quantisation.name) if quantisation.name in QUALITY else len(QUALITY)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return ""
