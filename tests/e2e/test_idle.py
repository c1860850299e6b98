"""A chat that is left alone gives its memory back, says so, and is there again with the first key."""

from __future__ import annotations

import sys

import psutil
import pytest

from tests.e2e.terminal import Terminal

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="the test opens a POSIX pseudo-terminal, which Windows lacks"
)


def engines_of(terminal: Terminal) -> list[psutil.Process]:
    return [each for each in psutil.Process(terminal.process.pid).children() if each.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.parametrize("options", [(), ("--no-save",)])
def test_the_engine_goes_when_nobody_asks_and_comes_back_with_a_key(tmp_path, parrot, options):
    variables = {"LLAMACHAT_ENGINE_IDLE_UNLOAD": "1 s"}
    terminal = Terminal(tmp_path / "home", "-m", str(parrot), "-t", "0", *options, **variables)
    try:
        terminal.wait_for_prompt()
        terminal.ask("Hello")
        terminal.wait_for("the model rests; the next key wakes it")
        assert engines_of(terminal) == []
        terminal.type("H")
        terminal.wait_until(lambda: bool(engines_of(terminal)))
        terminal.wait_until(lambda: "rests" not in terminal.text)
        assert terminal.ask("ello").strip()
        terminal.type("\x04")
        assert terminal.exit_code() == 0
    finally:
        terminal.close()
