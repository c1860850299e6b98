"""`/set`: the values that change how answers are made, by name."""

from __future__ import annotations

from llamachat import settings
from llamachat.choices import Choices, Origin
from llamachat.errors import UsageError, did_you_mean
from llamachat.settings import Group
from llamachat.types import ModelInfo

_ALSO = ("raw_tags", "raw", "bell", "speculate")
NAMES = (*(key for key, setting in settings.BY_KEY.items() if setting.group is Group.SAMPLING), *_ALSO)
_COMMANDS = {"system": "/system", "preset": "/preset", "model": "/model", "verbose": "/stats"}


def change(choices: Choices, name: str, text: str) -> Choices:
    """The choices with one value set for this chat; `off` goes back to the model's own or is one. Raises UsageError."""
    if name not in NAMES and name in settings.BY_KEY:
        other = _COMMANDS.get(name, f"llamachat config set {name}")
        raise UsageError(f"{name} is not changed with /set.", f"Use {other}")
    if name not in NAMES:
        raise UsageError(f"there is no setting {name!r}.", did_you_mean(name, NAMES) or "All of them: /set")
    if not text:
        raise UsageError(f"{name} needs a value, or off.", f"Now: {_in_force(choices, name, None)}")
    if text == "off" and name not in _ALSO:
        return choices.with_value(Origin.CHAT, name, None)
    value = settings.BY_KEY[name].parse(text, name)
    if name == "stop":
        value = (*choices.texts("stop"), text)
    return choices.with_value(Origin.CHAT, name, value)


def describe(choices: Choices, info: ModelInfo | None) -> list[tuple[str, str]]:
    """Every value in force, by name, and where it comes from."""
    return [(name, _in_force(choices, name, info)) for name in NAMES]


def _in_force(choices: Choices, name: str, info: ModelInfo | None) -> str:
    choice = choices.find(name)
    own = str(getattr(info.sampling, name, "")) if info else ""
    otherwise = own or choice.setting.otherwise
    if choice.value is None:
        return otherwise
    if choice.origin is Origin.DEFAULT:
        return settings.show(choice.value)
    place = choice.place or str(choice.origin)
    return f"{settings.show(choice.value)}  ({place}{f'; otherwise: {otherwise}' if otherwise else ''})"
