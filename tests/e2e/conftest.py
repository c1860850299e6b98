"""The real program, one token after the other: a long answer has to last until it is stopped."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def without_guesses(monkeypatch) -> None:
    """The test model's long answers repeat themselves; where guesses are cheap it says ten thousand tokens a second."""
    monkeypatch.setenv("LLAMACHAT_SPECULATE", "false")
