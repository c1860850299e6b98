"""ChatGPT's export: each conversation is a `mapping` of nodes with their parents and children.

What it hides (system messages, tools, memory) is left out, and so are pictures; branches are kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from llamachat.chat.conversation import Made
from llamachat.chat.fields import Field
from llamachat.chat.grown import Seed, grown
from llamachat.chat.transcript import Session, Transcript, title_of_turns
from llamachat.types import Role

_ROLES = {"user": Role.USER, "assistant": Role.ASSISTANT}


def is_one(field: Field) -> bool:
    return field.has("mapping")


def transcript(field: Field, now: datetime) -> Transcript | None:
    """One conversation; None if nothing is said in it. Raises UsageError."""
    created = field["create_time"].moment() or now
    nodes = {name: node for name, node in field["mapping"].members() if node.value is not None}
    seeds: list[Seed] = []
    seed_of: dict[str, int | None] = {}  # what a node is, or hangs below
    for name, above in _walk(nodes):
        parent = None if above is None else seed_of[above]
        seed = _seed(nodes[name]["message"], parent, created)
        seed_of[name] = parent if seed is None else len(seeds)
        if seed is not None:
            seeds.append(seed)
    if not seeds:
        return None
    tree = grown(seeds)
    current = seed_of.get(field["current_node"].text_or_none() or "")
    leaf = tree.number_of[len(seeds) - 1 if current is None else current]
    title = field["title"].text_or_none() or title_of_turns(tree.entries)
    updated = field["update_time"].moment() or created
    return Transcript(Session("", title, created, updated, leaf=leaf, n_messages=len(tree.entries)), tree.entries)


def _walk(nodes: dict[str, Field]) -> Iterator[tuple[str, str | None]]:
    """Each node with the one above it, from above. Not by recursion: chats are long."""
    followers: dict[str | None, list[str]] = {}
    for name, node in nodes.items():
        parent = node["parent"].text_or_none()
        followers.setdefault(parent if parent in nodes else None, []).append(name)
    waiting: list[tuple[str, str | None]] = [(name, None) for name in reversed(followers.get(None, []))]
    while waiting:
        name, above = waiting.pop()
        yield name, above
        waiting += [(each, name) for each in reversed(followers.get(name, []))]


def _seed(message: Field, parent: int | None, otherwise: datetime) -> Seed | None:
    """None for what nobody said or saw."""
    if message.value is None:
        return None
    author = message["author"]
    role = None if author.value is None else _ROLES.get(author["role"].text_or_none() or "")
    metadata = message["metadata"]
    is_hidden = metadata.has("is_visually_hidden_from_conversation") and (
        metadata["is_visually_hidden_from_conversation"].value is True
    )
    content = _text(message["content"])
    if role is None or is_hidden or not content.strip():
        return None
    model = metadata["model_slug"].text_or_none() if metadata.has("model_slug") else None
    made: Made | None = {"model": {"name": model}} if model and role is Role.ASSISTANT else None
    return Seed(parent, role, content, message["create_time"].moment() or otherwise, made)


def _text(content: Field) -> str:
    """The parts that are text."""
    if not content.has("parts") or content["parts"].value is None:
        return ""
    parts = (part.value for part in content["parts"].items())
    return "\n\n".join(part for part in parts if isinstance(part, str) and part.strip())
