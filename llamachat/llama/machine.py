"""What this machine can give the engine: threads, memory, layers on a GPU.

Reads the operating system; decides nothing about a model beyond the arithmetic of what fits.
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

_MIB = 1 << 20
_CONTEXT_STEP = 256  # llama.cpp pads a context to this
_SMALLEST_CONTEXT = 512
_VRAM_RESERVE = 1024 * _MIB  # CUDA aborts, rather than fails, when it runs out while computing


def thread_count(root: Path = Path("/"), allowed: Iterable[int] | None = None) -> int:
    """Threads for decoding: one for each physical performance core that this process may use.

    Barriers after every operation make one thread too many catastrophic (2 cores: 88 tokens/s with two
    threads, 29 with three), so affinity and the cgroup's CPU quota count, SMT siblings and efficiency
    cores don't. `root` and `allowed` stand in for the machine in tests.
    """
    if sys.platform.startswith("linux") or allowed is not None:
        cpus = set(os.sched_getaffinity(0) if allowed is None else allowed)
        cores = _performance_cores(root / "sys/devices", cpus)
        quota = _cgroup_quota(root)
        return max(1, min(cores, int(quota)) if quota else cores)
    if sys.platform == "darwin" and (count := _sysctl("hw.perflevel0.physicalcpu")):
        return count
    import psutil  # noqa: PLC0415  30 ms that Linux and macOS do not need here

    return psutil.cpu_count(logical=False) or os.cpu_count() or 1


def most_threads(allowed: Iterable[int] | None = None, root: Path = Path("/")) -> int:
    """Threads that can run at once: SMT siblings and efficiency cores count as well."""
    if allowed is None:
        allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    quota = _cgroup_quota(root)
    n_cpus = len(set(allowed))
    return max(1, min(n_cpus, int(quota)) if quota else n_cpus)


def _performance_cores(devices: Path, cpus: set[int]) -> int:
    """Distinct cores among `cpus`, of the fastest kind where there are several."""
    hybrid = _read(devices / "cpu_core/cpus")  # Intel: the performance cores
    fast = (cpus & set(parse_cpu_list(hybrid)) if hybrid else set()) or _most_capable(devices, cpus)
    siblings = {_read(devices / f"system/cpu/cpu{cpu}/topology/thread_siblings_list") or str(cpu) for cpu in fast}
    return len(siblings)


def _most_capable(devices: Path, cpus: set[int]) -> set[int]:
    """Arm's big cores: those within a fifth of the largest capacity. All of them where none is told."""
    capacity = {cpu: int(_read(devices / f"system/cpu/cpu{cpu}/cpu_capacity") or 0) for cpu in cpus}
    top = max(capacity.values(), default=0)
    return {cpu for cpu, value in capacity.items() if value >= 0.8 * top}


def parse_cpu_list(text: str) -> list[int]:
    """The kernel's list format: `0-3,8` is 0, 1, 2, 3, 8."""
    cpus: list[int] = []
    for part in filter(None, text.strip().split(",")):
        first, _, last = part.partition("-")
        cpus += range(int(first), int(last or first) + 1)
    return cpus


def _cgroup_quota(root: Path) -> float | None:
    """CPUs' worth of time that the cgroup grants, the tightest on the way up; None without a limit."""
    quotas: list[float] = []
    for folder in _cgroup_folders(root):
        if (limit := _read(folder / "cpu.max")) and not limit.startswith("max"):
            quota, _, period = limit.partition(" ")
            quotas.append(int(quota) / int(period or 100_000))
        quota_us = int(_read(folder / "cpu.cfs_quota_us") or -1)
        if quota_us > 0:
            quotas.append(quota_us / int(_read(folder / "cpu.cfs_period_us") or 100_000))
    return min(quotas, default=None)


def _cgroup_folders(root: Path) -> list[Path]:
    """This process's cgroup folders and their parents, of version 2 and of version 1's CPU and memory controllers."""
    folders: list[Path] = []
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        names = set(controllers.split(","))
        if controllers and not names & {"cpu", "memory"}:
            continue
        for mount in {"", *names}:
            base = root / "sys/fs/cgroup" / mount
            here = base / path.lstrip("/")
            folders += [here, *(parent for parent in here.parents if parent.is_relative_to(base))]
    return folders


def available_memory(root: Path = Path("/")) -> int:
    """Bytes a new process can take without pushing others out, within the cgroup's limit."""
    import psutil  # noqa: PLC0415  imported ahead by the engine, beside the weights

    available = int(psutil.virtual_memory().available)
    for folder in _cgroup_folders(root):
        for limit, used in (("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes")):
            text = _read(folder / limit)
            if text.isdigit():
                cached = _statistic(folder / "memory.stat", r"^(?:total_)?(?:inactive_)?file (\d+)")
                available = min(available, int(text) - int(_read(folder / used) or 0) + cached)
    return max(0, available)


def memory_taken() -> int:
    """Bytes of memory that this process has now, weights in the page cache included."""
    import psutil  # noqa: PLC0415  as above

    return int(psutil.Process().memory_info().rss)


def _statistic(path: Path, pattern: str) -> int:
    match = re.search(pattern, _read(path), re.MULTILINE)
    return int(match[1]) if match else 0


def fit_context(n_ctx_train: int, kv_bytes_per_token: int, weight_bytes: int, available: int) -> int:
    """The largest context up to what the model was trained on whose KV cache fits beside the weights.

    A tenth of the rest stays free for compute buffers and everyone else. Never under 512 tokens: a
    machine without even that much memory fails at loading, with llama.cpp's own reason.
    """
    room = int(0.9 * max(0, available - weight_bytes))
    fitting = room // max(1, kv_bytes_per_token) // _CONTEXT_STEP * _CONTEXT_STEP
    return min(n_ctx_train, max(_SMALLEST_CONTEXT, fitting))


def fit_gpu_layers(n_layers: int, weight_bytes: int, kv_bytes: int, free_bytes: Sequence[int]) -> int:
    """How many layers, the output layer counted as one, fit the GPUs' free memory with a reserve on each.

    Layers are taken to be of one size, which for Llama models is right within a few per cent.
    """
    room = sum(max(0, free - _VRAM_RESERVE) for free in free_bytes)
    per_layer = (weight_bytes + kv_bytes) / (n_layers + 1)
    return min(n_layers + 1, int(room / per_layer))


def flash_attention_pays() -> bool:
    """Whether flash attention is worth having on this CPU before anything was measured: not on x86.

    Measured (docs/benchmarks.md): it doubles what a token costs on Sapphire Rapids. On EPYCs with AVX-512 small models
    gain by it and Llama 2 7B loses a quarter, on one without all lose; and all read few tokens at depth more slowly.
    """
    return platform.machine().lower() not in ("x86_64", "amd64")


def _sysctl(name: str) -> int:
    result = subprocess.run(["/usr/sbin/sysctl", "-n", name], capture_output=True, text=True, check=False)
    return int(result.stdout) if result.stdout.strip().isdigit() else 0


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return ""
