"""What the terminal costs: the parent's CPU while Markdown streams, a key's way to the screen, Ctrl-C to the prompt."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from benchmarks.report import Row
from tests.e2e.terminal import Terminal

ANSWER = Path(__file__).parent.parent / "tests" / "ui" / "corpus"
RATE = 100  # tokens a second
N_KEYS = 60
_LLAMACHAT = (sys.executable, "-m", "llamachat")


def measure(model: Path, rounds: int) -> list[Row]:
    return [*_cpu(), _key_latency(model), _interrupt(model, 2 * rounds)]


def _cpu() -> list[Row]:
    """The parent's CPU, from a process that shows an answer of a scripted engine on a pseudo-terminal."""
    slow = _stream(n_tokens=2000, rate=RATE)
    fast = _stream(n_tokens=10_000, rate=1000)
    early, late = fast[0], fast[-1]
    share = sum(slow) / len(slow) * RATE
    return [
        Row(f"parent's CPU at {RATE} tokens/s of Markdown, % of a core", "-", 100 * share, "<=", 5, ""),
        Row("CPU per token, the last 1,000 of 10,000", "the 2nd 1,000", late / early, "<=", 1.25,
            f"{1e6 * late:.0f} µs"),
    ]  # fmt: skip


def _stream(n_tokens: int, rate: int) -> list[float]:
    """CPU seconds a token, for each 1,000 tokens after the first, of which imports are a part."""
    with tempfile.TemporaryDirectory() as home:
        script = Path(__file__).with_name("stream.py")
        terminal = Terminal(Path(home), command=(sys.executable, str(script), str(n_tokens), str(rate), home))
        terminal.exit_code(seconds=3 * n_tokens / rate + 60)
        return [float(line) for line in (Path(home) / "cpu").read_text().split()]


def _key_latency(model: Path) -> Row:
    """A key's way to the screen while another llamachat decodes on all cores."""
    waits = []
    with tempfile.TemporaryDirectory() as home:
        terminal = Terminal(Path(home), "-m", str(model))
        terminal.wait_for_prompt()
        terminal.wait_for("0/")  # loaded
        busy = subprocess.Popen(
            [*_LLAMACHAT, "-m", str(model), "-t", "0", "-n", "4000", "Count from one to ten thousand."],
            env={**os.environ, "LLAMACHAT_HOME": home, "LLAMACHAT_THREADS": str(os.cpu_count())},
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            time.sleep(5)
            assert busy.poll() is None, "the other engine has ended already"
            for count in range(N_KEYS):
                waits.append(_until_shown(terminal, "abcdefghij"[count % 10]))
                time.sleep(random.uniform(0.05, 0.2))
            assert busy.poll() is None, "the other engine ended too soon"
        finally:
            busy.kill()
            busy.wait()
            terminal.close()
    figure = f"worst of {N_KEYS}: {max(waits):.0f} ms"
    return Row("key to screen while all cores decode, median in ms", "-", median(waits), "<=", 20, figure)


def _until_shown(terminal: Terminal, key: str) -> float:
    """Milliseconds from a key to its character on the screen."""
    before = terminal.line.count(key)
    started = time.perf_counter()
    terminal.type(key)
    while terminal.line.count(key) <= before:
        terminal.read(0.001)
        assert time.perf_counter() - started < 5, terminal.text
    return 1000 * (time.perf_counter() - started)


def _interrupt(model: Path, rounds: int) -> Row:
    """Ctrl-C at random moments of a prefill, to the prompt."""
    waits = []
    with tempfile.TemporaryDirectory() as home:
        terminal = Terminal(Path(home), "-m", str(model), columns=200)
        terminal.wait_for_prompt()
        terminal.wait_for("0/")
        for _ in range(rounds):
            words = " ".join(str(random.randrange(10**6)) for _ in range(500))
            terminal.type(f"\x1b[200~{words}\x1b[201~\r")
            time.sleep(random.uniform(0.3, 3))
            terminal.read()
            started = time.perf_counter()
            terminal.type("\x03")
            terminal.wait_for("[stopped", 1)
            terminal.wait_until(lambda: terminal.line.startswith("›"), interval=0.001)
            waits.append(1000 * (time.perf_counter() - started))
            terminal.type("\x03\x0c")  # clear the draft and the screen
            terminal.wait_for_prompt()
        terminal.close()
    figure = f"median {median(waits):.0f} ms of {rounds}"
    return Row(f"Ctrl-C in a prefill to the prompt, worst in ms, {model.stem}", "-", max(waits), "<=", 200, figure)
