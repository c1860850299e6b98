"""Commands that carry text in and out: the editor, files, the clipboard."""

from __future__ import annotations

from collections.abc import Iterable

from llamachat.chat.code import code_blocks
from llamachat.errors import UsageError
from llamachat.ui.chat import Chat, last_words
from llamachat.ui.commands.files import path_of, write

_CODE = "code"


def edit_draft(chat: Chat, text: str) -> str:
    return chat.outside.edit(text)


def attach(_: Chat, text: str) -> str:
    """The reference as a draft: the message is still to be written."""
    if not text:
        raise UsageError("/attach needs a file.", "Or write @FILE anywhere in a message.")
    name = text.strip('"')
    return f'@"{name}" ' if any(character.isspace() for character in name) else f"@{name} "


def copy(chat: Chat, text: str) -> None:
    if text not in ("", _CODE):
        raise UsageError(f"/copy takes nothing, or {_CODE}, not {text!r}.")
    taken = _code_of(chat) if text else last_words(chat)
    how = chat.outside.copy(taken)
    chat.say(f"Copied {len(taken):,} characters {how}.")


def save(chat: Chat, text: str) -> None:
    word, _, rest = text.partition(" ")
    only_code = word == _CODE and bool(rest)
    name = rest.strip() if only_code else text
    if not name:
        raise UsageError("/save needs a file.", "/save FILE, or /save code FILE for the code alone.")
    taken = _code_of(chat) if only_code else last_words(chat)
    path = path_of(name)
    if write(chat, path, taken.rstrip("\n") + "\n"):
        chat.say(f"Saved {len(taken):,} characters to {path}.")


def what_of_an_answer(_: Chat, _beginning: str) -> Iterable[str]:
    return (_CODE,)


def _code_of(chat: Chat) -> str:
    """All code blocks of the last answer."""
    blocks = code_blocks(last_words(chat))
    if not blocks:
        raise UsageError("the last answer has no code block.")
    return "\n\n".join(block.rstrip("\n") for block in blocks) + "\n"
