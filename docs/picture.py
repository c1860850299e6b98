"""The README's picture, from a real run: `python -m docs.picture` writes docs/chat.svg.

The program runs on a pseudo-terminal with the starter model; what its screen shows is drawn by Rich.
"""

from __future__ import annotations

import io
import re
import tempfile
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.style import Style
from rich.text import Text

from tests.e2e.terminal import Terminal

COLUMNS, LINES = 92, 36
QUESTIONS = (
    "Write a short Markdown list of three teas, one bold word each.",
    "Show a Python function that adds two numbers.",
)


def main() -> None:
    with tempfile.TemporaryDirectory() as home:
        terminal = Terminal(Path(home), "-t", "0", "-n", "160", columns=COLUMNS, lines=LINES)
        terminal.wait_for("/8,192")
        for question in QUESTIONS:
            terminal.ask(question, seconds=60)
        terminal.wait_for("tokens/s")
        picture = draw(terminal)
        terminal.close()
    (Path(__file__).parent / "chat.svg").write_text(picture, encoding="utf-8")


def draw(terminal: Terminal) -> str:
    """The screen as SVG, in the reader's own monospaced font."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    for row in range(LINES):
        cells = terminal.screen.buffer[row]
        line = Text()
        for column in range(COLUMNS):
            line.append(cells[column].data, style(cells[column]))
        console.print(line, end="\n" if row < LINES - 1 else "")
    without_fonts = re.sub(r"@font-face \{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    return console.export_svg(title="llamachat", code_format=without_fonts).replace("Fira Code, monospace", "monospace")


def style(cell) -> Style:
    names = {"brightblack": "bright_black", "default": None}
    return Style(color=names.get(cell.fg, cell.fg), bold=cell.bold)


if __name__ == "__main__":
    main()
