"""One-shots that leave their engine, as processes: nothing waits for it, and no signal of theirs reaches it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from tests.e2e.test_process_life import LLAMACHAT, LONG, is_gone, start, until_text

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Python has no Unix sockets on Windows")


@pytest.fixture
def environment(tmp_path):
    environment = {**os.environ, "LLAMACHAT_HOME": str(tmp_path / "home"), "LLAMACHAT_ENGINE_KEEP_WARM": "1 min"}
    yield environment
    subprocess.run([*LLAMACHAT, "doctor", "--stop-engines"], env=environment, check=True, capture_output=True)


def engine_pids(environment) -> list[int]:
    """By what the doctor says."""
    done = subprocess.run([*LLAMACHAT, "doctor", "--json"], env=environment, check=False, capture_output=True)
    findings = json.loads(done.stdout)["findings"]
    said = [finding["text"] for finding in findings if finding["section"] == "warm engines"]
    return [int(text.rpartition("(process ")[2].rstrip(")")) for text in said if "(process " in text]


def ask(environment, parrot) -> float:
    """A one-shot whose output is waited for, as `$(…)` does; the seconds its model took to load."""
    command = [*LLAMACHAT, "--json", "-m", str(parrot), "-n", "3", "hi"]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, timeout=60)
    return json.loads(done.stdout)["timings"]["load"]


def test_who_waits_for_the_output_does_not_wait_for_the_engine(environment, parrot):
    assert ask(environment, parrot) > 0
    assert ask(environment, parrot) == 0
    assert len(engine_pids(environment)) == 1


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGHUP, signal.SIGKILL])
def test_what_ends_a_one_shot_and_its_whole_group_does_not_end_the_engine(environment, parrot, end):
    ask(environment, parrot)
    (pid,) = engine_pids(environment)
    process = start(environment, "-m", str(parrot), LONG, start_new_session=True)
    until_text(process)
    os.killpg(process.pid, end)
    process.communicate(timeout=20)
    assert not is_gone(psutil.Process(pid), seconds=0.3)
    assert ask(environment, parrot) == 0
    assert engine_pids(environment) == [pid]


def test_who_waits_for_a_pipe_does_not_keep_the_engine_from_others(environment, parrot):
    ask(environment, parrot)
    command = [*LLAMACHAT, "--json", "-m", str(parrot), "-n", "3", "What failed?"]
    slow = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    time.sleep(1.5)
    assert ask(environment, parrot) == 0
    out, _ = slow.communicate(b"make: all is well", timeout=60)
    assert json.loads(out)["timings"]["load"] == 0
    assert len(engine_pids(environment)) == 1


def test_a_home_whose_name_is_long_has_its_sockets_elsewhere(environment, parrot, tmp_path):
    environment["LLAMACHAT_HOME"] = str(tmp_path / ("home" * 20))
    ask(environment, parrot)
    assert ask(environment, parrot) == 0
