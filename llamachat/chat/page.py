"""A conversation as one HTML page, without scripts, without anything fetched, and with no markup but our own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_LINKS = re.compile("(?:https?:|mailto:)", re.IGNORECASE)
_CONTROLS = {
    code: "\N{REPLACEMENT CHARACTER}" for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\t\n\r"
}
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"  # whatever a bug lets through can load and run nothing
_STYLE = """
:root { color-scheme: light dark; --ink: #1c1c1e; --paper: #fdfdfc; --soft: #6b6b70; --box: #f1f1ee; --line: #dcdcd6; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e6e3; --paper: #18181a; --soft: #9a9aa0; --box: #232326; --line: #3a3a3e; }
}
body { max-width: 46rem; margin: 2rem auto; padding: 0 1rem; font: 1rem/1.6 system-ui, sans-serif;
  color: var(--ink); background: var(--paper); overflow-wrap: break-word; }
h1 { font-size: 1.4rem; margin-bottom: 0; }
header p, .name, .ending { color: var(--soft); font-size: .85rem; margin: 0; }
section { margin: 1.5rem 0; }
.user, .system { background: var(--box); border-radius: .6rem; padding: .6rem 1rem; }
.text { white-space: pre-wrap; margin: 0; }
pre { background: var(--box); padding: .8rem; border-radius: .4rem; overflow-x: auto; }
code { font: .9em ui-monospace, monospace; }
table { border-collapse: collapse; }
th, td { border: 1px solid var(--line); padding: .3rem .6rem; }
blockquote { margin-left: 0; padding-left: 1rem; border-left: 3px solid var(--line); color: var(--soft); }
"""


@dataclass(frozen=True, slots=True)
class Said:
    """One message: who said it, the class of its box, the text, and how it ended if that was not its end."""

    name: str
    kind: str
    text: str
    ending: str


def render(title: str, about: str, said: Sequence[Said]) -> str:
    """The whole page. Answers are Markdown; what was typed stays as it was typed."""
    body = "\n".join(_section(each) for each in said)
    page = f"""<!doctype html>
<html>
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>{_STYLE}</style>
</head>
<body>
<header><h1>{escape(title)}</h1><p>{escape(about)}</p></header>
{body}
</body>
</html>
"""
    return page.translate(_CONTROLS)


def _section(said: Said) -> str:
    text = _markdown(said.text) if said.kind == "assistant" else f'<p class="text">{escape(said.text)}</p>'
    ending = f'<p class="ending">({escape(said.ending)})</p>' if said.ending else ""
    return f'<section class="{said.kind}"><p class="name">{escape(said.name)}</p>\n{text}{ending}</section>'


def _markdown(text: str) -> str:
    """Markup in it is text, links lead to the web or to a mail only, and pictures are their words."""
    from markdown_it import MarkdownIt  # noqa: PLC0415  30 ms that only a page needs

    parser = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"]).disable("image")
    parser.validateLink = _is_harmless  # type: ignore[method-assign]
    return str(parser.render(text))


def _is_harmless(url: str) -> bool:
    return _LINKS.match(url) is not None
