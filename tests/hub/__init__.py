"""A stand-in for the Hugging Face Hub on loopback, with faults by script."""

from __future__ import annotations

from tests.hub.faults import (
    Drop,
    Expire,
    Flip,
    FlipInRange,
    Header,
    Html,
    IgnoreRange,
    LongLength,
    Replace,
    Reset,
    ShortBody,
    Stall,
    Status,
    TooManyRequests,
    WrongRange,
)
from tests.hub.server import Hub, RepoFile, Request, pseudo_random_file

__all__ = [
    "Drop",
    "Expire",
    "Flip",
    "FlipInRange",
    "Header",
    "Html",
    "Hub",
    "IgnoreRange",
    "LongLength",
    "Replace",
    "RepoFile",
    "Request",
    "Reset",
    "ShortBody",
    "Stall",
    "Status",
    "TooManyRequests",
    "WrongRange",
    "pseudo_random_file",
]
