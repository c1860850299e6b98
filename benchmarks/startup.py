"""How long until something is on the screen, against what Python needs to import the libraries used."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

from benchmarks.report import Row

LLAMACHAT = str(Path(sys.executable).with_name("llamachat"))
WORDS = "Write one short sentence about the sea for me now."


def measure(model: Path, rounds: int) -> list[Row]:
    typer = ["-c", "import typer"]
    line_editor = ["-c", "import prompt_toolkit, rich.console"]
    prompt = subprocess.check_output(
        [LLAMACHAT, "-m", str(model), "--dry-run", WORDS], stdin=subprocess.DEVNULL, text=True
    )
    n_options = subprocess.check_output([LLAMACHAT, "--help"], stdin=subprocess.DEVNULL, text=True).count("│ -")
    bare_help = ["-c", _TYPER.format(options=", ".join(map(_OPTION.format, range(n_options)))), "--help"]
    bare = ["-c", _BARE, str(model), prompt.removesuffix("\n")]
    return [
        _row("llamachat --version", "import typer", rounds, 2.0, lambda: _wall([LLAMACHAT, "--version"]), typer),
        _row("llamachat --help", "import typer", rounds, 3.0, lambda: _wall([LLAMACHAT, "--help"]), typer),
        _row("llamachat --help", _TYPER_HELP, rounds, 1.2, lambda: _wall([LLAMACHAT, "--help"]), bare_help),
        _row("prompt on the screen", "import prompt_toolkit, rich.console", rounds, 2.0, until_prompt, line_editor),
        _row(
            "one-shot of 10 words, to the first byte",
            "bare script: import llama_cpp, load, prefill",
            rounds,
            1.3,
            lambda: _until_first_byte([LLAMACHAT, "-m", str(model), WORDS]),
            bare,
        ),
    ]


def _row(what, against, rounds, bar, ours, theirs) -> Row:
    ratios, seconds = [], []
    for _ in range(rounds):
        mine = ours()
        ratios.append(mine / _wall([sys.executable, *theirs]))
        seconds.append(mine)
    return Row(what, against, median(ratios), "<=", bar, f"{1000 * median(seconds):.0f} ms")


def _wall(command: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    return time.perf_counter() - started


def _until_first_byte(command: list[str]) -> float:
    started = time.perf_counter()
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        process.stdout.read(1)
        elapsed = time.perf_counter() - started
        process.kill()
    return elapsed


def until_prompt(*arguments: str, home: Path | None = None) -> float:
    """Seconds from the start of `llamachat` on a pseudo-terminal to its prompt."""
    main, terminal = pty.openpty()
    started = time.perf_counter()
    process = subprocess.Popen(
        [LLAMACHAT, *arguments], stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True,
        close_fds=True, env={**os.environ, **({"LLAMACHAT_HOME": str(home)} if home else {})},
    )  # fmt: skip
    os.close(terminal)
    seen = b""
    while "›".encode() not in seen:
        assert select.select([main], [], [], 20)[0], "no prompt within 20 s"
        seen += os.read(main, 4096)
        if b"\x1b[6n" in seen:  # the line editor asks where the cursor is
            os.write(main, b"\x1b[1;1R")
            seen = seen.replace(b"\x1b[6n", b"")
    elapsed = time.perf_counter() - started
    process.kill()
    process.wait()
    os.close(main)
    return elapsed


_TYPER_HELP = "a Typer program with as many options, its --help"
_OPTION = "option_{}: str = typer.Option('', help='What this one is for, in a few words.')"
_TYPER = """
import typer
app = typer.Typer()
@app.command()
def main({options}):
    pass
app()
"""
_BARE = f"""
import os, sys
os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
import ctypes, llama_cpp
from llama_cpp import llama_cpp as c
c.llama_backend_init()
model = c.llama_model_load_from_file(sys.argv[1].encode(), c.llama_model_default_params())
params = c.llama_context_default_params()
params.n_ctx = 0
params.n_threads = params.n_threads_batch = {os.cpu_count()}
context = c.llama_init_from_model(model, params)
text = sys.argv[2].encode()
tokens = (ctypes.c_int32 * 200)()
n = c.llama_tokenize(c.llama_model_get_vocab(model), text, len(text), tokens, 200, False, True)
assert c.llama_decode(context, c.llama_batch_get_one(tokens, n)) == 0
os.write(1, b"x")
os._exit(0)
"""
