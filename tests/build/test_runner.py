"""llamachat/build/runner.py: what a long command shows, and what it leaves alone."""

import io
import os
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamachat.build.runner import CANNOT_RUN, DEFAULT_PACE, LoggedRunner, Pace, Progress, StepFailed, guarded, is_live

NINJA = """\
  Running command Building wheel
  [1/200] c++ -o x
  [2/200] c++ [199/200].o
  note: [75%]
  [50/200] c++ y
"""


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def feed(*chunks: str) -> int | None:
    progress = Progress()
    for chunk in chunks:
        progress.feed(chunk)
    return progress.percent


def test_the_percentage_is_ninjas_last_one():
    assert feed(NINJA) == 25


def test_the_percentage_is_makes_last_one():
    assert feed("[  7%] Building CXX\n", "[ 42%] Linking CXX\n") == 42


@pytest.mark.parametrize("text", ["", "[1/2]", "Collecting numpy [3/4]\n", "[x/2] c++\n", "  Preparing metadata\n"])
def test_there_is_no_percentage_before_a_line_of_the_build_is_complete(text):
    assert feed(text) is None


def test_a_build_of_nothing_is_no_division_by_zero():
    assert feed("[0/0] Re-running CMake\n") == 0


@given(st.lists(st.integers(0, len(NINJA))))
def test_chunks_may_end_anywhere(cuts):
    edges = [0, *sorted(cuts), len(NINJA)]
    assert feed(*(NINJA[a:b] for a, b in pairwise(edges))) == 25


def run_here(tmp_path: Path, source: str, out: io.StringIO, pace: Pace = DEFAULT_PACE, *, live: bool = False) -> int:
    runner = LoggedRunner(tmp_path / "log", out, live=live, pace=pace)
    return runner.run("compiling", [sys.executable, "-c", source], {"OWN": "x y"})


def test_a_commands_output_goes_to_the_log_alone(tmp_path, capfd):
    out = io.StringIO()
    source = "import os, sys; print('to stdout', os.environ['OWN']); print('to stderr', file=sys.stderr)"
    assert run_here(tmp_path, source, out) == 0
    log = (tmp_path / "log").read_text()
    assert "to stdout x y\n" in log
    assert "to stderr\n" in log
    assert (out.getvalue(), *capfd.readouterr()) == ("", "", "")


def test_a_command_reads_nothing_of_our_input(tmp_path):
    ours = f"""
import sys
from pathlib import Path
from llamachat.build.runner import LoggedRunner
command = [sys.executable, "-c", "import sys; sys.exit(len(sys.stdin.read()))"]
status = LoggedRunner(Path({str(tmp_path / "log")!r}), sys.stderr, live=False).run("reading", command)
print(status, sys.stdin.read())
"""
    result = subprocess.run([sys.executable, "-c", ours], input="why?", capture_output=True, text=True, check=True)
    assert result.stdout == "0 why?\n"


def test_the_exit_status_of_a_command_is_returned_and_a_signals_is_negative(tmp_path):
    assert run_here(tmp_path, "import sys; sys.exit(5)", io.StringIO()) == 5
    assert run_here(tmp_path, "import os; os.kill(os.getpid(), 11)", io.StringIO()) == -11


def test_a_command_that_cannot_be_run_has_a_status_and_its_reason_in_the_log(tmp_path):
    it = LoggedRunner(tmp_path / "log", io.StringIO(), live=False)
    assert it.run("compiling", [str(tmp_path / "missing")]) == CANNOT_RUN
    assert "No such file" in it.log.read_text()


FAST = Pace(look=0.05, line=0.2, worth_a_line=0.3)
SLOW_BUILD = "import time; print('[3/4] c++', flush=True); time.sleep(0.5)"


def test_a_slow_command_rewrites_one_line_on_a_terminal(tmp_path):
    out = Terminal()
    run_here(tmp_path, SLOW_BUILD, out, FAST, live=True)
    assert "\r  compiling: 75 %, 0:0" in out.getvalue()
    assert re.search(r"\r\x1b\[K  compiling: done, 0:0\d\n\Z", out.getvalue())
    assert out.getvalue().count("\n") == 1


def test_a_slow_command_writes_a_line_now_and_then_where_lines_cannot_be_rewritten(tmp_path):
    out = io.StringIO()
    run_here(tmp_path, SLOW_BUILD, out, FAST)
    *lines, last = out.getvalue().splitlines()
    assert "  compiling: 75 %, 0:0" in lines[-1]
    assert last.startswith("  compiling: done, 0:0")
    assert "\x1b" not in out.getvalue()


@pytest.mark.parametrize(
    ("out", "env", "live"),
    [
        (Terminal(), {"TERM": "xterm"}, True),
        (Terminal(), {"TERM": "dumb"}, False),
        (Terminal(), {"TERM": "xterm", "ACCESSIBLE": "1"}, False),
        (io.StringIO(), {"TERM": "xterm"}, False),
    ],
)
def test_a_line_is_rewritten_only_where_that_can_be_read(out, env, live):
    assert is_live(out, env) is live


def test_a_failing_step_shows_the_end_of_its_output_the_log_the_remedy_and_the_next_command(tmp_path):
    log = tmp_path / "log"
    log.write_text("".join(f"line {i}\n" for i in range(100)))
    out = io.StringIO()

    def fail() -> int:
        raise StepFailed("compiling", log, "Install g++.")

    assert guarded(out, "make chat", fail) == 1
    lines = out.getvalue().splitlines()
    assert lines[0] == "  compiling failed. Its output ends:"
    assert lines[-5:] == ["    line 99", "", f"All of it: {log}", "Install g++.", "When that is mended: make chat"]
    assert "    line 79" not in lines


@pytest.mark.parametrize(("error", "status"), [(KeyboardInterrupt(), 130), (OSError(28, os.strerror(28)), 1)])
def test_an_interrupt_and_a_full_disk_are_a_line_with_the_next_command(error, status):
    out = io.StringIO()

    def fail() -> int:
        raise error

    assert guarded(out, "make chat", fail) == status
    assert out.getvalue().endswith("make chat\n")
