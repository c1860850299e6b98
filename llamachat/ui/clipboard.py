"""Text onto the clipboard: by the platform's own tool, or by asking the terminal for it (OSC 52).

Over SSH a tool would fill the remote machine's clipboard, so there only the terminal is asked. It never says whether
it did it, so what is returned names the condition.

Inside tmux, tmux itself is asked (3.2 and later): by default it ignores OSC 52 from the programs in it, and its
passing sequences on must be switched on too, while `load-buffer -w` works with either setting.

A table of commands and not pyperclip, whose tools have no limit of time, inherit our terminal (xclip goes on in the
background, and the terminal does not close: pyperclip#247), and which does not tell what it used.
"""

from __future__ import annotations

import base64
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from llamachat.errors import UsageError

_MOST_BYTES = 74_994  # of text: hterm takes sequences up to 100,000 bytes, others more (xterm a million)
_SCREEN_BYTES = 250  # of one string that GNU screen passes on
_ESC = "\x1b"


@dataclass(frozen=True, slots=True)
class _Tool:
    """A command that reads the text from its standard input; of use where `variable` is set."""

    name: str
    arguments: tuple[str, ...] = ()
    variable: str = ""
    encoding: str = "utf-8"


_TMUX = _Tool("tmux", ("load-buffer", "-w", "-"), "TMUX")
_TOOLS = (
    _Tool("pbcopy"),
    _Tool("termux-clipboard-set"),
    _Tool("clip.exe", encoding="utf-16-le"),  # on Windows, and in its Linux
    _Tool("wl-copy", (), "WAYLAND_DISPLAY"),
    _Tool("xclip", ("-selection", "clipboard"), "DISPLAY"),
    _Tool("xsel", ("--clipboard", "--input"), "DISPLAY"),
)


def copy(text: str, variables: Mapping[str, str], write: Callable[[str], None], *, seconds: float = 3.0) -> str:
    """Put the text on the clipboard; in words, how. `write` sends to the terminal as it is; a tool has so many seconds.

    Raises UsageError when there is no way to, or the text is more than terminals take.
    """
    is_remote = bool(variables.get("SSH_CONNECTION") or variables.get("SSH_TTY"))
    for tool in () if is_remote else _TOOLS:
        if _take(tool, text, variables, seconds):
            return f"with {tool.name}"
    if variables.get("TERM", "dumb") == "dumb":
        raise UsageError("there is no way to the clipboard here.", "Write it to a file: /save")
    data = text.encode("utf-8", "replace")
    if len(data) > _MOST_BYTES:
        raise UsageError(
            f"{len(data):,} bytes are more than terminals take ({_MOST_BYTES:,}).", "Write it to a file: /save"
        )
    if _take(_TMUX, text, variables, seconds):
        return "with tmux and the terminal (OSC 52), which must allow it"
    for part in _sequence(data, variables):
        write(part)
    needs = "; tmux, too: set -s set-clipboard on" if variables.get("TMUX") else ""
    return f"with the terminal (OSC 52), which must allow it{needs}"


def _take(tool: _Tool, text: str, variables: Mapping[str, str], seconds: float) -> bool:
    """Let a tool have the text, if it is there and of use. Whether it took it.

    It may go on in the background to hand the text out: not on our terminal, and deaf to our Ctrl-C.
    """
    program = shutil.which(tool.name, path=variables.get("PATH"))
    if program is None or (tool.variable and not variables.get(tool.variable)):
        return False
    try:
        done = subprocess.run(
            [program, *tool.arguments],
            input=text.encode(tool.encoding, "replace"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**variables, "LC_CTYPE": "UTF-8"},  # without it pbcopy takes UTF-8 for Mac Roman
            timeout=seconds,
            start_new_session=True,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _sequence(data: bytes, variables: Mapping[str, str]) -> Iterator[str]:
    """OSC 52 for the terminal. GNU screen passes on only what is wrapped for it, a little at a time."""
    sequence = f"{_ESC}]52;c;{base64.b64encode(data).decode()}\a"
    if "STY" not in variables or "TMUX" in variables:
        yield sequence
        return
    for start in range(0, len(sequence), _SCREEN_BYTES):
        yield f"{_ESC}P{sequence[start : start + _SCREEN_BYTES]}{_ESC}\\"
