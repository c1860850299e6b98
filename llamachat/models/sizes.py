"""Sizes for people."""

from __future__ import annotations


def size_in_words(n_bytes: int) -> str:
    """A size for people: 10^9 bytes are a GB, as the Hub counts."""
    if n_bytes < 1e9:
        return f"{n_bytes / 1e6:,.1f} MB" if n_bytes < 1e8 else f"{n_bytes / 1e6:,.0f} MB"
    return f"{n_bytes / 1e9:,.2f} GB" if n_bytes < 1e11 else f"{n_bytes / 1e9:,.0f} GB"
