"""What was chosen, and where: layers of values, of which the strongest that has one decides.

In the order of `Origin`. Nothing here reads a file; layers are made in `config`, `presets` and `cli/assemble`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from llamachat import settings
from llamachat.settings import Setting, Value


class Origin(StrEnum):
    """Where a value comes from, the strongest first."""

    CHAT = "chat"  # /set and the like
    FLAG = "flag"
    ENVIRONMENT = "environment"
    PRESET = "preset"  # named with -p, LLAMACHAT_PRESET or /preset
    FILE = "file"
    DEFAULT_PRESET = "default preset"
    DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Layer:
    """Values by key, and the file or preset they stand in. None in a layer means: as if nothing weaker had a value."""

    values: Mapping[str, Value | None] = field(default_factory=dict)
    place: str = ""


@dataclass(frozen=True, slots=True)
class Choice:
    """One setting's value in force and where it comes from; None where it is left to the model and the machine."""

    setting: Setting
    value: Value | None
    origin: Origin
    place: str = ""


@dataclass(frozen=True, slots=True)
class Choices:
    """All layers. A value that a preset or a file gives is valid already (`Setting.check`)."""

    layers: Mapping[Origin, Layer] = field(default_factory=dict)

    def find(self, key: str) -> Choice:
        """The choice for a key of the table."""
        setting = settings.BY_KEY[key]
        for origin in Origin:
            layer = self.layers.get(origin)
            if layer and key in layer.values:
                return Choice(setting, layer.values[key], origin, self._place(origin, layer, setting))
        return Choice(setting, setting.default, Origin.DEFAULT)

    def with_layer(self, origin: Origin, layer: Layer | None) -> Choices:
        """The same with another layer in this place, or with none."""
        layers = {place: known for place, known in self.layers.items() if place is not origin}
        return replace(self, layers=layers if layer is None else {**layers, origin: layer})

    def with_value(self, origin: Origin, key: str, value: Value | None) -> Choices:
        """The same with one more value in a layer."""
        layer = self.layers.get(origin, Layer())
        return self.with_layer(origin, replace(layer, values={**layer.values, key: value}))

    def without_value(self, origin: Origin, key: str) -> Choices:
        """The same without what a layer says of a key."""
        layer = self.layers.get(origin, Layer())
        return self.with_layer(origin, replace(layer, values={k: v for k, v in layer.values.items() if k != key}))

    def text(self, key: str) -> str | None:
        value = self.find(key).value
        return value if isinstance(value, str) else None

    def whole(self, key: str) -> int | None:
        value = self.find(key).value
        return value if isinstance(value, int) else None

    def number(self, key: str) -> float | int | None:
        value = self.find(key).value
        return value if isinstance(value, int | float) else None

    def texts(self, key: str) -> tuple[str, ...]:
        value = self.find(key).value
        return value if isinstance(value, tuple) else ()

    def switch(self, key: str) -> bool:
        return self.find(key).value is True

    def _place(self, origin: Origin, layer: Layer, setting: Setting) -> str:
        return setting.variable if origin is Origin.ENVIRONMENT else layer.place
