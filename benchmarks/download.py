"""What a download costs in bytes when it is killed, in time against curl, and in memory; from a Hub on loopback."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from benchmarks.report import Row
from tests.hub import Hub, pseudo_random_file

ROOT = Path(__file__).parents[1]
KILLS = 20
KILLED_BYTES, KILLED_RATE = 200_000_000, 20e6
TIMED_BYTES, TIMED_RATE = 500_000_000, 100e6
SEVERAL_BYTES, EACH_RATE = 600_000_000, 25e6
MOST_MEMORY = 120e6


def measure(rounds: int) -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        return [
            _killed(place, KILLED_BYTES, KILLS),
            _killed(place, SEVERAL_BYTES, KILLS // 2, each=True),
            *_timed(place, rounds),
            _several(place, min(rounds, 3), each=True),
            _several(place, min(rounds, 3), each=False),
        ]


def _killed(folder: Path, n_bytes: int, kills: int, *, each: bool = False) -> Row:
    """Bytes sent in all, when the download is killed at moments drawn evenly over the file."""
    with Hub(rate=None if each else KILLED_RATE) as hub:
        hub.rate_each = KILLED_RATE if each else None
        hub.add("o/n", {"model.gguf": pseudo_random_file(folder / "model.gguf", n_bytes)})
        for moment in sorted(random.Random(20).sample(range(n_bytes), kills)):
            process = _start(hub, folder)
            while hub.bytes_sent("model.gguf") < moment:
                time.sleep(0.002)
            process.send_signal(signal.SIGKILL)
            process.communicate()
            hub.wait_idle()
        _start(hub, folder).communicate()
        n_sent = hub.bytes_sent("model.gguf")
    shutil.rmtree(folder / "hub")
    of_what = " of each connection" if each else ""
    what = f"{kills} times kill -9 in {n_bytes / 1e6:.0f} MB at {KILLED_RATE / 1e6:.0f} MB/s{of_what}"
    return Row(what, "the file's bytes", n_sent / n_bytes, "<=", 1.1, f"{n_sent / 1e6:.1f} MB")


def _several(folder: Path, rounds: int, *, each: bool) -> Row:
    """The same file over one connection and over as many as we take, by turns; each slow, or all on one line."""
    times: dict[str, list[float]] = {"one": [], "several": []}
    rate = EACH_RATE if each else TIMED_RATE
    with Hub(rate=None if each else rate) as hub:
        hub.rate_each = rate if each else None
        hub.add("o/n", {"model.gguf": pseudo_random_file(folder / "model.gguf", SEVERAL_BYTES)})
        for _ in range(rounds):
            for way, seconds in times.items():
                started = time.perf_counter()
                _start(hub, folder, way).communicate()
                seconds.append(time.perf_counter() - started)
                shutil.rmtree(folder / "hub")
    line = f"{rate / 1e6:.0f} MB/s of each connection" if each else f"one line of {rate / 1e6:.0f} MB/s"
    figure = f"{SEVERAL_BYTES / 1e6 / median(times['several']):.0f} MB/s"
    ratio = median(times["one"]) / median(times["several"])
    return Row(f"{SEVERAL_BYTES / 1e6:.0f} MB, {line}", "one connection", ratio, ">=", 0.97, figure)


def _timed(folder: Path, rounds: int) -> list[Row]:
    """The whole of both programs, by turns."""
    ours, theirs, memory = [], [], 0
    with Hub(rate=TIMED_RATE) as hub:
        hub.add("o/n", {"model.gguf": pseudo_random_file(folder / "model.gguf", TIMED_BYTES)})
        command = f"curl -sL {hub.endpoint}/o/n/resolve/main/model.gguf | sha256sum"
        for _ in range(rounds):
            started = time.perf_counter()
            subprocess.run(["sh", "-c", command], stdout=subprocess.DEVNULL, check=True)
            theirs.append(time.perf_counter() - started)
            started = time.perf_counter()
            said, _ = _start(hub, folder).communicate()
            ours.append(time.perf_counter() - started)
            memory = max(memory, 1024 * int(said.split("VmHWM:")[1].split()[0]))
            shutil.rmtree(folder / "hub")
    n_bytes, rate = f"{TIMED_BYTES / 1e6:.0f} MB", f"{TIMED_BYTES / 1e6 / median(ours):.0f} MB/s"
    against = f"curl into sha256sum, at {TIMED_RATE / 1e6:.0f} MB/s"
    return [
        Row(f"fetch and verify {n_bytes}", against, median(theirs) / median(ours), ">=", 0.9, rate),
        Row("memory while fetching", "120 MB", memory / MOST_MEMORY, "<=", 1.0, f"{memory / 1e6:.0f} MB"),
    ]


def _start(hub: Hub, folder: Path, *options: str) -> subprocess.Popen[str]:
    place = (hub.endpoint, str(folder / "hub"), "o/n", "model.gguf")
    command = [sys.executable, "-m", "tests.models.fetch", *place, *options]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
