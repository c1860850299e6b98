"""An answer's record gets the hash of a model file that nobody vouches for, without anybody waiting for it."""

from __future__ import annotations

import hashlib
import shutil
import sys

import pytest

from llamachat.models.index import Index
from llamachat.store.sessions import Store
from tests.e2e.terminal import Terminal

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="the test opens a POSIX pseudo-terminal, which Windows lacks"
)


def test_after_the_first_answer_the_file_is_hashed_for_all_records_and_the_next_start_knows_it(tmp_path, parrot):
    home, model = tmp_path / "home", tmp_path / "model.gguf"
    shutil.copy(parrot, model)
    sha256 = hashlib.sha256(model.read_bytes()).hexdigest()
    terminal = Terminal(home, "-m", str(model))
    terminal.wait_for_prompt()
    terminal.ask("My name is Ada.")
    terminal.wait_until(lambda: Index(home / "state" / "models.json").hash_of(model) == sha256)
    terminal.ask("What is 2+2?")
    terminal.type("/why\r")
    terminal.wait_for(sha256[:40])
    terminal.close()
    again = Terminal(home, "-m", str(model))
    again.wait_for_prompt()
    again.ask("What is 2+2?")
    again.close()
    with Store(home / "data" / "sessions.db") as store:
        made = [entry.made for session in store.sessions() for entry in store.load(session.id).branch if entry.made]
    assert [record["sha256"] for record in made] == [sha256] * 3
