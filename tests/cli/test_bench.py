"""`llamachat bench`, from the command line to what it prints: on the tests' own model, with a real raw loop."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.terminal import Terminal

QUICK = ("--quick", "--depth", "0", "--threads", "1")


def test_a_run_says_how_fast_this_machine_is(run, parrot, tmp_path):
    result = run("bench", "-m", str(parrot), *QUICK, "--svg", str(tmp_path / "new" / "chart.svg"))
    assert (result.code, result.err) == (0, "")
    for what in (
        "parrot Q8_0",
        "1 thread,",
        "prefill, tokens/s",
        "decode, tokens/s",
        "first token, ms",
        "a copy reaches",
    ):
        assert what in result.out
    assert max(map(len, result.out.splitlines())) <= 80
    assert "\x1b" not in result.out
    assert (tmp_path / "new" / "chart.svg").read_text().startswith("<svg")
    assert run("bench", "-m", str(parrot), *QUICK, "--svg", str(tmp_path / "new" / "chart.svg"), "--plain").code == 0
    kept = {path.name for path in (tmp_path / "home").rglob("*") if path.is_file()}
    assert not {"sessions.db", "history"} & kept
    assert not [name for name in kept if name.endswith(".kv")], "nothing that was read is kept"


def test_json_is_one_object_with_ratios_at_every_depth(run, parrot):
    result = run("bench", "-m", str(parrot), "--quick", "--threads", "1", "--depth", "600", "--depth", "0", "--json")
    assert (result.code, result.err) == (0, "")
    said = json.loads(result.out)
    assert said["model"]["path"] == str(parrot)
    assert (said["n_threads"], said["takes_turns"], said["interrupted"]) == (1, True, False)
    assert [point["depth"] for point in said["depths"]] == [0, 600]
    for point in said["depths"]:
        assert point["rounds"] == 3
        assert abs(point["cached_tokens"] - point["depth"]) < 60
        for figure in ("prefill", "first_token"):
            assert point[figure]["ratio"] > 0
            assert point[figure]["tokens"] > 20
    assert said["bounds"]["copy"] > 1e8
    assert said["bounds"]["flops"] > 1e6


def test_bad_input_is_one_line_before_anything_is_measured(run, parrot, tmp_path):
    notes = tmp_path / "notes.txt"
    notes.write_text("Mine.")
    for arguments, code, reason in (
        (("-m", "llama-9000"), 3, "llama-9000"),
        (("--depth", "-1"), 2, "--depth"),
        (("--threads", "0"), 2, "--threads"),
        (("hello",), 2, "hello"),
        (("--svg", str(tmp_path)), 2, "is a folder"),
        (("--svg", str(notes)), 2, "is there already, and is no SVG"),
        (("-m", str(parrot), "--depth", "4000", "--threads", "1"), 2, "The deepest here: --depth"),
    ):
        result = run("bench", *arguments)
        assert result.code == code, arguments
        assert reason in result.err
        assert result.err.count("\n") == 1
        assert result.out == ""
        said = json.loads(run("bench", *arguments, "--json").out)
        assert said["error"]["code"] == code
    assert notes.read_text() == "Mine."


def test_a_folder_that_takes_no_file_is_said_before_anything_is_measured(run, parrot, tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    folders = [folder for folder in (closed, Path("/proc")) if folder.is_dir() and not _takes_files(folder)]
    if not folders:
        pytest.skip("the test needs a folder that takes no file: root may write into all, and there is no /proc here")
    for folder in folders:
        result = run("bench", "-m", str(parrot), "--svg", str(folder / "chart.svg"))
        assert (result.code, result.out, result.err.count("\n")) == (9, "", 1)
        assert "chart.svg cannot be written" in result.err


def _takes_files(folder: Path) -> bool:
    try:
        (folder / "probe").touch()
    except OSError:
        return False
    return True


@pytest.mark.skipif(sys.platform == "win32", reason="the test opens a POSIX pseudo-terminal, which Windows lacks")
def test_ctrl_c_shows_what_was_measured_and_leaves_a_clean_terminal(tmp_path, parrot):
    terminal = Terminal(tmp_path, "bench", "-m", str(parrot), "--threads", "1", "--depth", "0", "--depth", "3300")
    terminal.wait_for("depth 3,300", seconds=60)
    terminal.type("\x03")
    text = terminal.wait_for("Interrupted: this is what was measured by then.", seconds=60)
    terminal.process.wait()
    assert terminal.process.exitstatus == 130
    assert "decode, tokens/s" in text
    assert "depth 3,300" not in terminal.read(), "the sign of life is gone"
    assert "Traceback" not in terminal.raw.decode()
    assert terminal.raw.decode().rstrip().endswith((".", "\x1b[0m"))


@pytest.mark.skipif(sys.platform == "win32", reason="the test opens a POSIX pseudo-terminal, which Windows lacks")
def test_ctrl_c_before_anything_was_measured_says_nothing(tmp_path, parrot):
    terminal = Terminal(tmp_path, "bench", "-m", str(parrot), "--threads", "1", "--depth", "3300")
    terminal.wait_for("depth 3,300", seconds=60)
    terminal.type("\x03")
    terminal.process.wait()
    assert terminal.process.exitstatus == 130
    assert "tokens/s" not in terminal.read()


def test_the_parent_never_loads_llama_cpp(parrot, tmp_path):
    code = (
        "import sys; from llamachat.cli.main import main; from llamachat.environment import Environment\n"
        f"main(['bench', '-m', {str(parrot)!r}, *{QUICK!r}], Environment.of_process())\n"
        "assert 'llama_cpp' not in sys.modules and 'numpy' not in sys.modules"
    )
    env = {**os.environ, "LLAMACHAT_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 0, done.stderr
    assert "prefill" in done.stdout
