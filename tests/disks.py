"""Disks that are small, full or read-only: a tmpfs of the test's own (fixture `small_disk`)."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def why_no_disk() -> str:
    """Why no file system can be mounted here; empty if one can."""
    if sys.platform != "linux":
        return f"the test mounts a tmpfs, which is Linux's; this is {sys.platform}"
    if os.geteuid():
        return f"the test mounts a tmpfs, which takes root; this is user {os.geteuid()}"
    return ""


def mount(*arguments: str) -> str:
    """What mount said; empty if it is mounted."""
    done = subprocess.run(["mount", *arguments], capture_output=True, check=False, text=True)
    return (done.stderr.strip() or f"exit code {done.returncode}") if done.returncode else ""


@contextmanager
def read_only(disk: Path) -> Iterator[None]:
    assert not mount("-o", "remount,ro", str(disk))
    try:
        yield
    finally:
        assert not mount("-o", "remount,rw", str(disk))


def fill(disk: Path) -> Path:
    """Let not a byte be free; the file that takes it all."""
    filler = disk / "filler"
    with suppress(OSError), filler.open("ab", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    return filler


@contextmanager
def filled(disk: Path) -> Iterator[None]:
    filler = fill(disk)
    try:
        yield
    finally:
        filler.unlink()
