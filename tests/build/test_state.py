"""llamachat/build/state.py: the lock, also after kill -9."""

import io
import subprocess
import sys
import threading
import time
from pathlib import Path

from llamachat.build.state import locked

ROOT = Path(__file__).parents[2]


class Second(threading.Thread):
    """Another install: it waits for the lock, and notes that it has it."""

    def __init__(self, lock: Path) -> None:
        super().__init__(daemon=True)
        self.lock = lock
        self.out = io.StringIO()
        self.entered = threading.Event()
        self.start()

    def run(self) -> None:
        with locked(self.lock, self.out):
            self.entered.set()


def test_a_second_install_waits_for_the_first_and_says_so(tmp_path):
    with locked(tmp_path / "lock", io.StringIO()):
        second = Second(tmp_path / "lock")
        assert not second.entered.wait(0.2)
    assert second.entered.wait(10)
    assert "waiting for it" in second.out.getvalue()


COMMAND = """
import sys, time
from pathlib import Path
print("at work", flush=True)
while not Path(sys.argv[1], "end").exists():
    time.sleep(0.01)
"""
INSTALL = """
import sys
from pathlib import Path
from llamachat.build.runner import LoggedRunner
from llamachat.build.state import locked
command, folder = sys.argv[1], Path(sys.argv[2])
with locked(folder / "lock", sys.stderr) as lock:
    runner = LoggedRunner(folder / "log", sys.stderr, live=False, keep_open=[lock])
    runner.run("working", [sys.executable, "-c", command, str(folder)])
"""


def test_a_command_that_outlives_its_killed_install_keeps_the_lock_until_it_ends(tmp_path):
    first = subprocess.Popen([sys.executable, "-c", INSTALL, COMMAND, tmp_path], cwd=ROOT)
    log = tmp_path / "log"
    while not (log.exists() and "\nat work" in log.read_text()):
        assert first.poll() is None
        time.sleep(0.01)
    first.kill()
    first.wait()
    second = Second(tmp_path / "lock")
    try:
        assert not second.entered.wait(0.2)
    finally:
        (tmp_path / "end").touch()
    assert second.entered.wait(10)
