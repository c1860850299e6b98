"""docs/settings.md, from the table that the program reads: `python -m docs.settings` writes it."""

from __future__ import annotations

from pathlib import Path

from llamachat.settings import SETTINGS, Group, Setting, show

PAGE = Path(__file__).parent / "settings.md"
_HEAD = """\
# Settings

Made from `llamachat/settings.py` by `python -m docs.settings`.

Everything there is to choose, and its four places: an option of the command line, a variable of the environment
(`LLAMACHAT_` and the name in capitals: `LLAMACHAT_TOP_P`), a preset where the last column says so, and the
configuration file, which `llamachat config path` names:

```toml
temperature = 0.3
preset = "concise"
stop = ["###"]
```

The strongest wins: what was changed in the chat (`/set`), an option, the environment, a preset named with `-p`,
`LLAMACHAT_PRESET` or `/preset`, the configuration file, the preset that holds when none is named, the default here.
`llamachat config list` shows each value and where it comes from; with options of a chat, as they would make it
(`llamachat config list -p reviewer -t 0`).

An unknown name or a value that cannot be is an error that names the line, what was expected and the nearest right
name; no line of the file is skipped in silence. `LLAMACHAT_STOP` holds one text; the file may hold several.
"""


def page() -> str:
    """The whole page."""
    return "\n".join([_HEAD, *(_section(group) for group in Group)])


def _section(group: Group) -> str:
    head = "| name | option | what it does | values | without it | preset |\n|---|---|---|---|---|---|"
    rows = [_row(setting) for setting in SETTINGS if setting.group is group]
    return "\n".join([f"## {group}\n", head, *rows, ""])


def _row(setting: Setting) -> str:
    options = ", ".join(f"`{flag}`" for flags in setting.flags for flag in flags.split("/"))
    otherwise = setting.otherwise or f"`{show(setting.default)}`"
    cells = (f"`{setting.key}`", options, setting.help, setting.expected, otherwise, "yes" if setting.in_preset else "")
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
