"""A download in a process of its own, for the tests that kill it: `fetch.py ENDPOINT CACHE REPO FILE [one]`.

`one`: over one connection, however large the file. Prints the path, and the most memory that it ever held.
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path

from llamachat.models.download import Downloader
from llamachat.models.hub import Hub


class Silent:
    """Nothing is shown; waiting is waiting."""

    def moved(self, done: int, total: int) -> None: ...

    def checking(self, done: int, total: int) -> None: ...

    def note(self, text: str) -> None:
        say(text)

    def pause(self, seconds: float, why: str) -> None:
        time.sleep(seconds)


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> None:
    endpoint, cache, repo, file, *options = sys.argv[1:]
    hub = Hub(endpoint, None, Path(cache))
    downloader = Downloader(hub, Path(cache).with_name("joined"), Silent(), pause=0.05, patience=5)
    if "one" in options:
        downloader.ahead = replace(downloader.ahead, threshold=1 << 62)
    say(str(downloader.fetch(downloader.look_up(repo, file))))
    status = Path("/proc/self/status")
    if status.exists():
        say(next(line for line in status.read_text().splitlines() if line.startswith("VmHWM")))


if __name__ == "__main__":
    main()
