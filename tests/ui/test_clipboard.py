"""Text gets onto the clipboard of the machine that one sits at, or it is said why not."""

from __future__ import annotations

import base64
import os
import signal
import sys
from pathlib import Path

import pytest

from llamachat.errors import UsageError
from llamachat.ui.clipboard import copy

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the tools are shell scripts here")

TERMINAL = {"TERM": "xterm"}
X11, WAYLAND, SSH, TMUX = {"DISPLAY": ":0"}, {"WAYLAND_DISPLAY": "w"}, {"SSH_CONNECTION": "a b"}, {"TMUX": "/tmp/t"}
OSC_52 = "with the terminal (OSC 52), which must allow it"


class Desk:
    """A PATH with scripted tools, and a terminal that keeps what is written to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.written: list[str] = []

    def install(self, name: str, then: str = "") -> None:
        script = self.folder / name
        script.write_text(f'#!/bin/sh\necho "$@" > "$0.arguments"\n/bin/cat > "$0.got"\n{then}\n')
        script.chmod(0o755)

    def copy(self, text: str, *variables: dict[str, str], seconds: float = 30) -> str:
        known = {"PATH": str(self.folder), **TERMINAL}
        for some in variables:
            known |= some
        return copy(text, known, self.written.append, seconds=seconds)

    def got(self, name: str) -> bytes:
        return (self.folder / f"{name}.got").read_bytes()

    def used(self, name: str) -> bool:
        return (self.folder / f"{name}.got").exists()


@pytest.fixture
def desk(tmp_path) -> Desk:
    return Desk(tmp_path)


def sequence(text: bytes) -> str:
    return f"\x1b]52;c;{base64.b64encode(text).decode()}\a"


@pytest.mark.parametrize(
    ("tool", "variables", "arguments"),
    [
        ("pbcopy", {}, ""),
        ("termux-clipboard-set", {}, ""),
        ("wl-copy", WAYLAND, ""),
        ("xclip", X11, "-selection clipboard"),
        ("xsel", X11, "--clipboard --input"),
    ],
)
def test_the_platforms_tool_gets_the_text(desk, tool, variables, arguments):
    desk.install(tool)
    assert desk.copy("é\n", variables) == f"with {tool}"
    assert desk.got(tool) == "é\n".encode()
    assert (desk.folder / f"{tool}.arguments").read_text().strip() == arguments
    assert desk.written == []


def test_windows_gets_utf_16(desk):
    desk.install("clip.exe")
    assert desk.copy("é") == "with clip.exe"
    assert desk.got("clip.exe") == "é".encode("utf-16-le")


def test_a_tool_without_its_display_is_not_used(desk):
    desk.install("xclip")
    desk.install("wl-copy")
    assert desk.copy("a") == OSC_52
    assert desk.copy("a", X11) == "with xclip"
    assert desk.copy("a", X11, WAYLAND) == "with wl-copy"


def test_over_ssh_the_terminal_is_asked_and_no_tool(desk):
    desk.install("xclip")
    assert desk.copy("é", X11, SSH) == OSC_52
    assert desk.written == [sequence("é".encode())]
    assert not desk.used("xclip")


def test_a_tool_that_fails_or_hangs_leaves_it_to_the_next(desk):
    desk.install("wl-copy", "exit 1")
    desk.install("xclip", "exec sleep 60")
    desk.install("xsel")
    assert desk.copy("a", X11, WAYLAND, {"PATH": f"{desk.folder}:/usr/bin:/bin"}, seconds=0.5) == "with xsel"


def test_a_tool_that_goes_on_in_the_background_is_not_waited_for(desk):
    desk.install("xclip", '/bin/sleep 60 &\necho $! > "$0.pid"')
    try:
        assert desk.copy("a", X11, seconds=20) == "with xclip"
        pid = int((desk.folder / "xclip.pid").read_text())
        assert os.getpgid(pid) != os.getpgrp()  # our Ctrl-C does not reach it
    finally:
        os.kill(pid, signal.SIGKILL)


def test_tmux_is_asked_before_its_terminal(desk):
    desk.install("tmux")
    assert desk.copy("a", SSH, TMUX) == "with tmux and the terminal (OSC 52), which must allow it"
    assert (desk.folder / "tmux.arguments").read_text() == "load-buffer -w -\n"
    assert desk.written == []


def test_an_old_tmux_gets_the_sequence_and_the_words_say_what_it_needs(desk):
    desk.install("tmux", "exit 1")
    assert desk.copy("a", TMUX) == f"{OSC_52}; tmux, too: set -s set-clipboard on"
    assert desk.written == [sequence(b"a")]


def test_gnu_screen_gets_short_strings_that_it_passes_on(desk):
    assert desk.copy("a" * 1000, {"STY": "1.pts"}) == OSC_52
    assert max(map(len, desk.written)) < 256
    assert all(part.startswith("\x1bP") and part.endswith("\x1b\\") for part in desk.written)
    assert "".join(part[2:-2] for part in desk.written) == sequence(b"a" * 1000)


def test_more_than_terminals_take_is_refused(desk):
    assert desk.copy("a" * 74_994) == OSC_52
    assert len(desk.written[0]) <= 100_000
    with pytest.raises(UsageError, match="74,995 bytes are more"):
        desk.copy("a" * 74_995)
    assert len(desk.written) == 1


def test_without_a_terminal_that_obeys_it_is_refused(desk):
    with pytest.raises(UsageError, match="no way to the clipboard"):
        desk.copy("a", {"TERM": "dumb"})
    assert desk.written == []


@pytest.mark.parametrize("tool", ["xclip", "clip.exe"])
def test_any_text_is_taken(desk, tool):
    desk.install(tool)
    assert desk.copy("\ud800\0\x1b", X11) == f"with {tool}"
    desk.copy("\ud800\0\x1b", SSH)
    assert desk.written == [sequence(b"?\0\x1b")]
