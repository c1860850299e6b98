"""Memory that is ours: the parent's, and the child's beyond weights, KV cache and compute buffers. Linux."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from pathlib import Path

from benchmarks.report import Row
from benchmarks.startup import LLAMACHAT

_MIB = 1 << 20
_BUFFERS = re.compile(r"(\S+)\s+(?:model|KV) buffer size\s*=\s*([\d.]+) MiB")


def measure(model: Path) -> list[Row]:
    """After one answer in a chat."""
    import pexpect  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as home:
        variables = {**os.environ, "LLAMACHAT_HOME": home}
        chat = pexpect.spawn(
            LLAMACHAT, ["-m", str(model), "-n", "20", "-v"], env=variables, timeout=60, encoding="utf-8"
        )
        chat.expect("›")
        chat.send("Hello!\r")
        chat.expect("reused")
        parent = chat.pid
        child = int(subprocess.check_output(["pgrep", "-P", str(parent)]).split()[0])
        parent_rss = _field(parent, "Rss")
        ours = _field(child, "Anonymous") - _buffers(Path(home) / "state" / "engine.log")
        chat.sendeof()
        chat.close()
    return [
        Row("parent, RSS in MB", "-", parent_rss / 1e6, "<=", 80, f"{parent_rss / 1e6:.0f} MB"),
        Row(
            "child, anonymous beyond weights, KV and buffers, in MB", "-", ours / 1e6, "<=", 150, f"{ours / 1e6:.0f} MB"
        ),
    ]


def _field(pid: int, name: str) -> int:
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(re.search(rf"^{name}:\s+(\d+) kB", text, re.MULTILINE)[1]) * 1024


def _buffers(log: Path) -> int:
    """Bytes of repacked weights and KV cache, by llama.cpp's own log: these are touched when they are made.

    Of the compute buffers only a part is ever touched; that part counts as ours, so the figure is an upper bound.
    Mapped weights are not anonymous and don't count.
    """
    found = _BUFFERS.findall(log.read_text())
    return sum(int(float(size) * _MIB) for name, size in found if "Mapped" not in name)
