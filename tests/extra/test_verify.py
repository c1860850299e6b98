"""`models verify` on Llama 2's own vocabulary, in a model whose weights are noise."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture
def shared() -> Path:
    return Path(os.environ["LLAMACHAT_SHARED"])


def test_the_golden_vectors_are_what_a_right_conversion_gives(run, shared, tmp_path):
    model = tmp_path / "llama-2-7b-chat-noise.gguf"
    tool = shared / "tools" / "synth_llama2.py"
    subprocess.run([sys.executable, str(tool), str(model), "--size", "tiny"], check=True, capture_output=True)
    place = {"HF_HOME": str(tmp_path / "hf")}
    assert run("models", "import", str(model), **place).code == 0
    result = run("models", "verify", "llama-2-7b-chat-noise", "--json", **place)
    assert result.code == 0, result.out
    assert "dialogs" in json.loads(result.out)["checks"]["tokens"]
