"""docs/chat.md, from the tables that the program reads: `python -m docs.chat` writes it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from llamachat.ui.commands.table import COMMANDS
from llamachat.ui.keys import KEYS

PAGE = Path(__file__).parent / "chat.md"
_HEAD = """\
# In the chat

Commands and keys are made from the program's tables by `python -m docs.chat`; `/help` in the chat shows them, too.

## Writing a message

Enter sends. A code fence that is open, a backslash at the end, or a message that begins with three quotes lets Enter
break the line instead; Ctrl-X Ctrl-S sends whatever is open. Text of 8 lines or 1,000 characters and more that is
pasted arrives as one piece and is shown folded, as `[142 lines pasted]`; Ctrl-X Ctrl-P unfolds it.

**Files**: `@notes.txt` anywhere in a message attaches that file (`@"two words.txt"` with blanks in its name). Its
size and tokens are shown before it is sent; a folder or a pattern (`@src/`, `@src/*.py`) is listed and asked about;
binary files and those of more than 4 MiB are refused. The file comes first and your words after it, so the next
question about it is quick. Only what you typed is looked at: a pasted text cannot attach anything. `\\@name`
stays text.

**Typed ahead**: keys pressed while an answer streams are not echoed; they appear in the next prompt, and Enter among
them sends. The prompt is there while the model loads.

**What you write is read while you write it**: the model takes in what is certain, so that after a long
paste Enter has little left to wait for. `prefill.typing = false` in the configuration spares a battery.

**History** is shared by all chats on this machine: Up, Ctrl-R, and at the end of the line a suggestion in grey that
Right takes. `keys = "vi"` in the configuration gives the keys of vi.

## Reading an answer

Answers are shown as they come and are never repainted, so scrolling, tmux and slow lines stay right.
[markdown.md](markdown.md) says which Markdown is known. `--raw`, or `/set raw on`, shows what the model wrote.
Whatever it writes, nothing of it acts on the terminal: control characters appear as pictures (`␛`) or as `�`, and
what hides or reorders text is left out.

What a model thinks before it answers (`<think>`) is folded into a line, also where its template writes the tag and the
model only its end; `/thoughts` shows it.

Ctrl-C stops an answer; what was said is kept, and `/continue` goes on from there. At an empty prompt Ctrl-C twice,
or Ctrl-D, leaves.

**Several answers**: `/retry --n 3` makes three at once (nine at most), a word of each in turn. The first is shown as
it comes, the others after it, and a key picks the one that the chat goes on from, without reading it again; all are
kept as branches. Ctrl-C stops all of them, and what was said can be picked and gone on with. They share the context:
where it is full, those that are not at their end are cut, and `/continue` makes room. With a seed each has its own (7,
8, 9), and the same seed with the same N gives the same answers. Alone, an answer with one of these seeds may differ by
a word, since the last bits of the arithmetic depend on how much is computed at a time.

The line below the prompt has the model, the preset, how full the context is, and the speed of the last answer.
Colours follow the terminal's background; `theme = "light"` or `"dark"` decides it, `NO_COLOR` turns them off. `bell
= "ring"` (or `"notify"`, for terminals that know OSC 9) tells of the end of answers that took 10 seconds or more.

`ACCESSIBLE=1` or `--plain`: roles in words, no progress that moves, no toolbar, no colours, and a line at each
answer's end.

## What is kept

Every chat is kept, turn by turn, as it happens: `llamachat -c` goes on with the latest, whatever ended it, and
[sessions.md](sessions.md) has the rest. A conversation is a tree: `/edit`, `/retry` and `/branch` start another
branch, `/tree` draws them, and its numbers are what `/switch` takes (`/edit` and `/branch` count your own messages).
A message with files comes back with them folded, as `[142 lines attached]`, and they are sent as they were.
`/private`, or `--no-save` at the start, writes nothing, what you type included.

"""


def page() -> str:
    """The whole page."""
    commands = [(f"/{command.name} {command.arguments}".strip(), command.help) for command in COMMANDS]
    return "\n".join([_HEAD + "## Commands\n", *_table(commands), "", _COMMANDS, "## Keys\n", *_table(KEYS), ""])


_COMMANDS = """\
A beginning that fits one command is enough (`/ret`). A command is offered only when it makes sense. Nothing that was
said is overwritten: `/new` leaves the old chat for `/resume`, `/undo` only moves.
"""


def _table(rows: Iterable[tuple[str, str]]) -> list[str]:
    escaped = ((left.replace("|", "\\|"), right.replace("|", "\\|")) for left, right in rows)
    return ["| | |", "|---|---|", *(f"| {_code(left)} | {right} |" for left, right in escaped)]


def _code(text: str) -> str:
    return f"`{text}`" if text.startswith("/") else text


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
