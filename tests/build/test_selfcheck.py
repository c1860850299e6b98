"""llamachat/build/selfcheck.py: llama.cpp as it is installed here, and stand-ins with each fault."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run_selfcheck(extra_path: Path | None = None) -> int:
    env = os.environ | ({"PYTHONPATH": str(extra_path)} if extra_path else {})
    return subprocess.run(
        [sys.executable, "-m", "llamachat.build", "--check"], env=env, capture_output=True, check=False
    ).returncode


def test_llama_cpp_as_it_is_installed_here_decodes():
    assert run_selfcheck() == 0


BINDING_STAND_IN = """
import os, signal, types
llama_backend_init = lambda: None
llama_model_default_params = llama_context_default_params = types.SimpleNamespace
llama_model_load_from_file = lambda path, params: {model}
llama_init_from_model = lambda model, params: {context}
llama_batch_get_one = lambda tokens, n_tokens: len(tokens)
llama_decode = lambda context, n_tokens: {decode}
llama_get_logits_ith = lambda context, i: [{logit}]
llama_free = llama_model_free = lambda it: None
"""
GOOD = {"model": "'m'", "context": "'c'", "decode": "0", "logit": "1.5"}


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        ({}, 0),
        ({"decode": "os.kill(os.getpid(), signal.SIGSEGV)"}, -signal.SIGSEGV),
        ({"decode": "os.kill(os.getpid(), signal.SIGILL) if n_tokens == 1 else 0"}, -signal.SIGILL),
        ({"decode": "1"}, 1),
        ({"decode": "1 if n_tokens == 1 else 0"}, 1),
        ({"decode": "0 if n_tokens == 1 else 1"}, 1),
        ({"logit": "float('nan')"}, 1),
        ({"model": "None"}, 1),
        ({"context": "None"}, 1),
        ({"model": "1 / 0"}, 1),
    ],
)
def test_the_check_tells_a_build_that_works_from_one_that_does_not(tmp_path, fault, status):
    package = tmp_path / "llama_cpp"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "llama_cpp.py").write_text(BINDING_STAND_IN.format(**GOOD | fault))
    assert run_selfcheck(tmp_path) == status
