"""`python -m benchmarks [--model GGUF] [--rounds N] [--only PART]`: every bar, measured. `make bench` runs it."""

from __future__ import annotations

import argparse
import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import abort, download, engine, memory, startup, store, terminal
from benchmarks.report import HEADER
from benchmarks.starter import starter
from llamachat import __version__


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--model", type=Path, default=None, help="a GGUF; the starter model")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", choices=("engine", "abort", "startup", "memory", "download", "terminal", "store"))
    arguments = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # compiling each time is 100 ms that nobody has
    model = arguments.model or starter()
    parts = {
        "engine": lambda: engine.measure(model, arguments.rounds),
        "abort": lambda: abort.measure(model, 2 * arguments.rounds, bar=200 if model.stat().st_size > 3e9 else 100),
        "startup": lambda: startup.measure(model, arguments.rounds),
        "memory": lambda: memory.measure(model),
        "download": lambda: download.measure(arguments.rounds),
        "store": lambda: store.measure(arguments.rounds),
        "terminal": lambda: terminal.measure(model, arguments.rounds),
    }
    python = f"Python {platform.python_version()}"
    print(f"llamachat {__version__}, {datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, {python}")
    print(f"\n{HEADER}")
    missed = 0
    for name, measure in parts.items():
        if arguments.only in (None, name):
            for row in measure():
                print(row.line(), flush=True)
                missed += not row.is_met
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
