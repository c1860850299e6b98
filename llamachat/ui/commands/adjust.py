"""Commands that change what holds: system prompt, preset, model, values."""

from __future__ import annotations

import shlex
from collections.abc import Iterable

from llamachat import presets
from llamachat.choices import Origin
from llamachat.errors import UsageError
from llamachat.ui import settings as adjustable
from llamachat.ui.chat import Chat
from llamachat.ui.completion import path_candidates
from llamachat.ui.sanitise import sanitise_line


def system(chat: Chat, text: str) -> None:
    if text:
        chat.choose(chat.choices.with_value(Origin.CHAT, "system", None if text == "off" else text))
    chat.say(f"System prompt: {chat.conversation.system or 'none'}")


def preset(chat: Chat, text: str) -> None:
    if not text:
        marked = ((preset, "*" if preset.name == chat.preset else " ") for preset in chat.shelf.all())
        chat.screen.table((f"{mark} {preset.name}", sanitise_line(preset.summary)) for preset, mark in marked)
        return
    name, given = _preset_and_variables(text)
    choices = presets.switch(chat.choices, Origin.PRESET, name, given, chat.shelf)
    choices = choices.without_value(Origin.CHAT, "system").with_value(Origin.CHAT, "preset", name)
    chat.choose(choices)
    chat.say(f"Preset: {name}.")
    if (system := choices.find("system")).origin in (Origin.FLAG, Origin.ENVIRONMENT):
        given_by = system.place or "-s"
        chat.say(f"The system prompt stays the one given with {given_by}; /system changes it.")


def preset_names(chat: Chat, _: str) -> Iterable[str]:
    return (*chat.shelf.names(), presets.NONE)


def model(chat: Chat, name: str) -> None:
    if name:
        chat.choose(chat.choices.with_value(Origin.CHAT, "model", name.strip('"')))
    elif info := chat.engine.info:
        chat.say(f"{info.name} ({info.quantisation}, format {info.format}) from {info.path}")
    else:
        chat.say("It is still loading.")


def model_names(chat: Chat, beginning: str) -> Iterable[str]:
    return (*chat.outside.models(), *(path_candidates(beginning) if beginning else ()))


def set_value(chat: Chat, text: str) -> None:
    name, _, value = text.partition(" ")
    if not name:
        chat.screen.table(adjustable.describe(chat.choices, chat.engine.info))
        return
    chat.choices = adjustable.change(chat.choices, name, value.strip())
    chat.screen.raw = chat.choices.switch("raw")
    chat.say(f"{name}: {dict(adjustable.describe(chat.choices, chat.engine.info))[name]}")


def value_names(_: Chat, _beginning: str) -> Iterable[str]:
    return adjustable.NAMES


def _preset_and_variables(text: str) -> tuple[str, dict[str, str]]:
    """`NAME variable=value "other=two words"`. Raises UsageError."""
    try:
        name, *pairs = shlex.split(text)
    except ValueError as error:
        raise UsageError(f"/preset {text} has a quote that does not close.") from error
    for pair in pairs:
        if "=" not in pair:
            raise UsageError(f"/preset takes VARIABLE=VALUE after the name, not {pair!r}.")
    return name, dict(pair.split("=", 1) for pair in pairs)
