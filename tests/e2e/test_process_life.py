"""The real program as a process: signals, pipes, orphans."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

LLAMACHAT = [sys.executable, "-m", "llamachat"]
LONG = "Write a very long story about a lighthouse."  # no model of the tests comes to an end with it

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")


@pytest.fixture
def environment(tmp_path):
    return {**os.environ, "LLAMACHAT_HOME": str(tmp_path / "home")}


def start(environment, *arguments: str, **options) -> subprocess.Popen:
    return subprocess.Popen(
        [*LLAMACHAT, *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **options,
    )


def engine_of(process: subprocess.Popen) -> psutil.Process:
    """The engine process of a running llamachat."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if children := psutil.Process(process.pid).children():
            return children[0]
        time.sleep(0.02)
    raise AssertionError("no engine was started")


def is_gone(engine: psutil.Process, seconds: float) -> bool:
    """Whether the process ends in this time. One that nobody has waited for yet counts as ended."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if engine.status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.02)
    return False


def until_text(process: subprocess.Popen) -> bytes:
    """The first bytes of the answer."""
    return os.read(process.stdout.fileno(), 1)


def test_ctrl_c_ends_a_one_shot_with_130_and_what_came(environment, parrot):
    process = start(environment, "-m", str(parrot), LONG)
    first = until_text(process)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert (first + out).endswith(b"\n")
    assert err == b""


def test_ctrl_c_of_a_terminal_reaches_the_whole_group_and_the_engine_ignores_it(environment, parrot):
    process = start(environment, "-m", str(parrot), LONG, start_new_session=True)
    until_text(process)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (130, b"")


def test_ctrl_c_as_json_tells_that_it_was_interrupted(environment, starter):
    process = start(environment, "--json", "-m", str(starter), "-t", "0", LONG)  # a minute
    engine_of(process)
    time.sleep(1.5)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=20)
    assert process.returncode == 130
    answer = json.loads(out)
    if "error" in answer:  # a very slow machine: not a word had come
        assert answer["error"]["code"] == 130
    else:
        assert answer["finish_reason"] == "interrupted"


def test_ctrl_c_while_the_model_loads_is_130_and_silent(environment, parrot):
    process = start(environment, "-m", str(parrot), "hi")
    engine = engine_of(process)  # it has just been started
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=10)
    assert (process.returncode, out, err) == (130, b"", b"")
    assert is_gone(engine, seconds=1)


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_the_engine_is_gone_within_a_second_of_its_parent(environment, parrot, end):
    process = start(environment, "-m", str(parrot), LONG)
    until_text(process)
    engine = engine_of(process)
    process.send_signal(end)
    process.wait()
    assert is_gone(engine, seconds=1)
    process.stdout.close()
    process.stderr.close()


def test_the_engine_is_gone_after_the_answer(environment, parrot):
    process = start(environment, "-m", str(parrot), "-n", "3", "hi")
    engine = engine_of(process)
    process.communicate(timeout=30)
    assert is_gone(engine, seconds=1)


def test_a_reader_that_closes_the_pipe_ends_it_quietly(environment, parrot):
    process = start(environment, "-m", str(parrot), LONG)
    until_text(process)
    engine = engine_of(process)
    process.stdout.close()
    assert process.wait(timeout=30) == 0
    assert process.stderr.read() == b""
    assert is_gone(engine, seconds=1)
    process.stderr.close()


def test_an_engine_killed_in_an_answer_is_replaced_and_the_answer_goes_on(environment, parrot):
    arguments = ("-m", str(parrot), "-t", "0", "-n", "1500", LONG)
    expected, _ = start(environment, *arguments).communicate(timeout=60)
    process = start(environment, *arguments)
    first = until_text(process)
    engine_of(process).kill()
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert err.count(b"\n") == 1
    assert b"the answer goes on" in err
    assert (first + out)[:2000] == expected[:2000]


def test_a_bug_is_exit_code_1_with_its_traceback_in_the_log(environment, tmp_path, tiny_model):
    broken = "import llamachat.chat.turn as t; t.answer_despite_crash = None; from llamachat.cli.main import run; run()"
    done = subprocess.run(
        [sys.executable, "-c", broken, "-m", str(tiny_model), "hi"],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    log = tmp_path / "home" / "state" / "llamachat.log"
    assert done.returncode == 1
    assert str(log) in done.stderr
    assert "Traceback" in log.read_text()
    assert "Traceback" not in done.stderr


def test_state_is_private(environment, tmp_path, tiny_model):
    start(environment, "-m", str(tiny_model), "-n", "1", "hi").communicate(timeout=30)
    state = tmp_path / "home" / "state"
    assert state.stat().st_mode & 0o777 == 0o700
    assert (state / "engine.log").stat().st_mode & 0o777 == 0o600


def test_a_state_folder_that_cannot_be_made_is_exit_code_9(environment, tmp_path, tiny_model):
    (tmp_path / "file").write_text("")
    process = start({**environment, "LLAMACHAT_HOME": str(tmp_path / "file")}, "-m", str(tiny_model), "hi")
    _, err = process.communicate(timeout=30)
    assert process.returncode == 9
    assert b"LLAMACHAT_HOME" in err


def test_it_runs_from_a_folder_whose_modules_have_the_names_of_pythons(environment, tmp_path, tiny_model):
    for name in ("json.py", "queue.py", "signal.py", "llamachat.py"):
        (tmp_path / name).write_text("raise SystemExit('the wrong module')")
    script = Path(sys.executable).with_name("llamachat")
    done = subprocess.run(
        [script, "-m", str(tiny_model), "-p", "none", "--dry-run", "hi"],
        cwd=tmp_path,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "<s>[INST] hi [/INST]\n")


def shell(command: str, environment, **variables: str) -> subprocess.CompletedProcess:
    """A command line in bash; LLAMACHAT in it is the program. Its pipeline's first exit code counts."""
    program = f"{sys.executable} -m llamachat"
    return subprocess.run(
        ["bash", "-c", command.replace("LLAMACHAT", program) + "; exit ${PIPESTATUS[0]}"],
        env={**environment, **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_into_a_pipe_that_is_closed_ends_quietly(environment, option):
    done = shell(f"LLAMACHAT {option} | true", environment)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is always full")
def test_a_full_disk_is_exit_code_9_in_one_line(environment, tiny_model):
    for options in ("", "--json", "--no-stream"):
        done = shell(f"LLAMACHAT {options} -q -m {tiny_model} -n 3 hi > /dev/full", environment)
        assert done.returncode == 9
        assert done.stderr.count("\n") == 1
        assert "No space left" in done.stderr
    done = shell("LLAMACHAT --json --nope > /dev/full", environment)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is always full")
def test_an_answer_does_not_depend_on_anybody_reading_stderr(environment, tiny_model):
    done = shell(f"LLAMACHAT -v -m {tiny_model} -n 3 --seed 1 hi 2> /dev/full", environment)
    assert done.returncode == 0
    assert done.stdout.strip()


@pytest.mark.parametrize("closed", ["<&-", "2>&-", ">&-"])
def test_a_stream_that_was_closed_is_no_fault(environment, tiny_model, closed):
    assert shell(f"LLAMACHAT -m {tiny_model} -n 3 hi {closed}", environment).returncode == 0


def test_input_that_cannot_be_read_is_a_usage_error(environment, tiny_model):
    done = shell(f"LLAMACHAT -m {tiny_model} hi 0> /dev/null", environment)
    assert done.returncode == 2
    assert "cannot be read" in done.stderr


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="no endless device")
def test_a_file_without_end_is_a_usage_error(environment, tiny_model):
    done = shell(f"LLAMACHAT -m {tiny_model} -f /dev/zero hi", environment)
    assert done.returncode == 2
    assert "larger than" in done.stderr


def test_a_log_that_cannot_be_written_costs_no_answer(environment, tmp_path, tiny_model):
    (tmp_path / "home" / "state" / "engine.log").mkdir(parents=True)
    done = shell(f"LLAMACHAT -m {tiny_model} -n 1 hi", environment)
    assert (done.returncode, done.stderr) == (0, "")


def test_ctrl_c_while_python_starts_is_130_without_a_traceback(environment, starter):
    for milliseconds in (25, 40, 60, 90):
        process = start(environment, "--json", "-m", str(starter), "hi")
        time.sleep(milliseconds / 1000)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
        if process.returncode == -signal.SIGINT or err.startswith(b"Could not import runpy"):
            continue  # before Python had come to the first line of ours
        assert process.returncode == 130
        assert json.loads(out)["error"]["code"] == 130
        assert err == b""


def test_a_seeded_answer_is_the_same_when_the_engine_is_killed_in_it(environment, starter):
    arguments = ("-m", str(starter), "--seed", "1", "-n", "80", "Write a story about a lighthouse.")
    expected, _ = start(environment, *arguments).communicate(timeout=60)
    process = start(environment, *arguments)
    first = until_text(process)
    time.sleep(0.3)
    engine_of(process).kill()
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert b"the answer goes on" in err
    assert first + out == expected
