"""Everything the program lets one choose: one table, and the rules its values keep.

Options of the command line, `LLAMACHAT_*` variables, keys of the configuration file, keys of presets, `/set` and
docs/settings.md are all read from it. It knows values, not where they come from (`choices`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum

from llamachat.errors import UsageError, did_you_mean

Value = str | int | float | bool | tuple[str, ...]

MODELS_OWN = "the model's own"
_LARGEST = 2**31 - 1  # what llama.cpp can count to
_WIDEST = 12  # characters that a page of help 80 columns wide has for what stands for a value
_LARGEST_SEED = 2**32 - 2  # llama.cpp takes the next one for "choose one"
_LONGEST_SHOWN = 60  # characters of a wrong value
_DIGITS = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
_UNITS = {"MB": 10**6, "GB": 10**9, "TB": 10**12}
_SIZE = re.compile(r"(?P<number>\d{1,9}(?:\.\d{1,9})?) *(?P<unit>[MGT]B)|0(?P<none>)", re.ASCII | re.IGNORECASE)
_SECONDS = {"s": 1, "min": 60, "h": 3600}
_DURATION = re.compile(r"(?P<number>\d{1,6}(?:\.\d{1,6})?) *(?P<unit>s|min|h)|0(?P<none>)", re.ASCII | re.IGNORECASE)
_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


class Kind(Enum):
    """What a value is."""

    NUMBER = "a number"
    WHOLE = "a whole number"
    TEXT = "a text"
    SWITCH = "true or false"
    TEXTS = "a list of texts"
    LAYERS = "auto, all or a number of layers"
    SIZE = "a size such as 4 GB, or 0"
    DURATION = "a duration such as 30 min, or 0"


class Group(StrEnum):
    """What a setting is about; a heading of the help."""

    PROMPT = "What to ask"
    MODEL = "Which model, and how it runs"
    SAMPLING = "Sampling"
    OUTPUT = "What comes out"


@dataclass(frozen=True, slots=True)
class Setting:
    """One thing to choose.

    A key with a dot stands in a table of the configuration file. `default` None leaves it to the model and the
    machine, as `otherwise` says in words. `flags` are its options on the command line, if it has any. `in_preset`: a
    preset may set it. `lowest` and `highest` bound numbers; native code stops the process at some values beyond.
    """

    key: str
    kind: Kind
    group: Group
    help: str
    default: Value | None = None
    otherwise: str = ""
    flags: tuple[str, ...] = ()
    lowest: float = -_LARGEST
    highest: float = _LARGEST
    choices: tuple[str, ...] = ()
    in_preset: bool = False

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return f"LLAMACHAT_{self.parameter.upper()}"

    @property
    def parameter(self) -> str:
        """The key as a name in Python and in the environment, which know no dots."""
        return self.key.replace(".", "_")

    @property
    def expected(self) -> str:
        """What a value has to be, in words."""
        if self.choices:
            return f"{', '.join(self.choices[:-1])} or {self.choices[-1]}"
        kind = str(self.kind.value)
        if self.kind not in (Kind.NUMBER, Kind.WHOLE) or self.lowest == -_LARGEST:
            return kind
        if self.highest == _LARGEST:
            return f"{kind}, {self.lowest:.10g} or more"
        return f"{kind} from {self.lowest:.10g} to {self.highest:.10g}"

    @property
    def metavar(self) -> str:
        """What stands for the value in a page of help."""
        kinds = {
            Kind.NUMBER: "NUMBER",
            Kind.WHOLE: "N",
            Kind.TEXT: "TEXT",
            Kind.TEXTS: "TEXT",
            Kind.LAYERS: "auto|all|N",
            Kind.SIZE: "SIZE",
            Kind.DURATION: "DURATION",
        }
        choices = "|".join(self.choices)
        return choices if 0 < len(choices) <= _WIDEST else kinds.get(self.kind, "")

    def parse(self, text: str, name: str) -> Value:
        """The value that a text stands for: of an option, a variable, a preset, `/set`. UsageError calls it `name`."""
        check_text(text, name)
        match self.kind:
            case Kind.NUMBER | Kind.WHOLE:
                return self.check(_number(text), name, shown=text)
            case Kind.SWITCH if text.lower() in (*_TRUE, *_FALSE):
                return text.lower() in _TRUE
            case Kind.LAYERS if text.isascii() and text.isdigit():
                return self.check(int(text), name)
            case Kind.TEXTS:
                return (text,)
            case _:
                return self.check(text, name)

    def check(self, value: object, name: str, *, shown: object = None) -> Value:
        """A value of a configuration file or a preset, if this setting can have it. UsageError calls it `name`."""
        match self.kind, value:
            case (Kind.NUMBER | Kind.WHOLE, int() | float()) if not isinstance(value, bool):
                checked = self._number(value)
            case (Kind.LAYERS, int()) if not isinstance(value, bool):
                checked = value if 0 <= value <= _LARGEST else None
            case (Kind.LAYERS, "auto" | "all"):
                checked = str(value)
            case (Kind.TEXTS, str() | list() | tuple()):
                checked = _texts(value)
            case (Kind.SIZE, str() | int()) if not isinstance(value, bool):
                checked = str(value) if _SIZE.fullmatch(str(value)) else None
            case (Kind.DURATION, str() | int()) if not isinstance(value, bool):
                checked = str(value) if _DURATION.fullmatch(str(value)) else None
            case (Kind.TEXT, str()):
                checked = value if not self.choices or value in self.choices else None
            case (Kind.SWITCH, bool()):
                checked = value
            case _:
                checked = None
        if checked is None:
            raise UsageError(f"{name} takes {self.expected}, not {_brief(value if shown is None else shown)}.")
        return checked

    def _number(self, value: float) -> Value | None:
        if not self.lowest <= value <= self.highest or (self.kind is Kind.WHOLE and not isinstance(value, int)):
            return None
        return float(value) if self.kind is Kind.NUMBER else value


def find(key: str) -> Setting:
    """The setting with this key; `-` counts as `_`. Raises UsageError with the nearest."""
    setting = BY_KEY.get(key.replace("-", "_"))
    if setting is None:
        raise UsageError(
            f"there is no setting {key!r}.", did_you_mean(key, BY_KEY) or "All of them: llamachat config list"
        )
    return setting


def check_text(text: str, name: str) -> str:
    """The text, if it is one. Bytes that are no UTF-8 arrive as lone surrogates. Raises UsageError."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UsageError(f"{name} is not UTF-8 text.", "Check the encoding of your terminal.") from error
    return text


def show(value: Value | None) -> str:
    """A value as one would type it."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case float():
            brief = f"{value:g}"
            return brief if float(brief) == value else repr(value)
        case tuple():
            return " ".join(map(repr, value))
    return str(value)


def n_bytes(size: str) -> int:
    """The bytes of a size that was checked."""
    match = _SIZE.fullmatch(size)
    assert match is not None
    return int(float(match["number"]) * _UNITS[match["unit"].upper()]) if match["unit"] else 0


def n_seconds(duration: str) -> float:
    """The seconds of a duration that was checked."""
    match = _DURATION.fullmatch(duration)
    assert match is not None
    return float(match["number"]) * _SECONDS[match["unit"].lower()] if match["unit"] else 0.0


def _texts(value: str | Sequence[object]) -> Value | None:
    """One text or several."""
    if isinstance(value, str):
        return (value,)
    texts = tuple(item for item in value if isinstance(item, str))
    return texts if len(texts) == len(value) else None


def _number(text: str) -> int | float:
    """A number, whole if it is written so; NaN, which no range has, for what is none."""
    if _DIGITS.fullmatch(text) is None:
        return math.nan
    try:
        return int(text)
    except ValueError:  # not whole, or of more digits than any range has
        return float(text)


def _brief(value: object) -> str:
    """A wrong value for a message: what there is of it in a few words."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # more digits than Python spells out, more levels than it goes down
        text = f"a {type(value).__name__} of that size"
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"


def _sampler(
    key: str, kind: Kind, help_: str, lowest: float = -_LARGEST, highest: float = _LARGEST, *flags: str
) -> Setting:
    return Setting(
        key, kind, Group.SAMPLING, help_,
        otherwise=MODELS_OWN, flags=flags, lowest=lowest, highest=highest, in_preset=True,
    )  # fmt: skip


SETTINGS = (
    Setting("preset", Kind.TEXT, Group.PROMPT, "A preset: its system prompt and settings. none: no preset.",
            default="assistant", flags=("-p", "--preset")),
    Setting("system", Kind.TEXT, Group.PROMPT, "The system prompt, instead of the preset's.",
            otherwise="the preset's text", flags=("-s", "--system")),
    Setting("raw_tags", Kind.SWITCH, Group.PROMPT, "Let [INST] and its like through, as plain text.",
            default=False, flags=("--raw-tags/--no-raw-tags",)),
    Setting("model", Kind.TEXT, Group.MODEL, "A model that `models list` shows, or a GGUF file.",
            otherwise="as `models use` says, or a Llama 2, or the starter", flags=("-m", "--model"), in_preset=True),
    Setting("format", Kind.TEXT, Group.MODEL, "The chat format: llama2, plain, or template, the model's own.",
            otherwise="what suits the model", flags=("--format",), choices=("llama2", "template", "plain")),
    Setting("ctx_size", Kind.WHOLE, Group.MODEL, "The context in tokens.",
            otherwise="what the model was trained on", flags=("--ctx-size",), lowest=1),
    Setting("overflow", Kind.TEXT, Group.MODEL, "When the context is full: drop the oldest turns, summarise or refuse.",
            default="drop", flags=("--overflow",), choices=("drop", "summarise", "refuse"), in_preset=True),
    Setting("context_shift", Kind.SWITCH, Group.MODEL, "When turns leave, move the KV cache; false: exact, and slower.",
            default=True, flags=("--context-shift/--no-context-shift",)),
    Setting("prefill.typing", Kind.SWITCH, Group.MODEL, "Read what is typed while it is typed; false saves a battery.",
            default=True),
    Setting("threads", Kind.WHOLE, Group.MODEL, "CPU threads.",
            otherwise="what was measured, else one for each fast core", flags=("--threads",), lowest=1, highest=512),
    Setting("gpu_layers", Kind.LAYERS, Group.MODEL, "Layers to run on a GPU.",
            default="auto", flags=("--gpu-layers",)),
    Setting("kv_type", Kind.TEXT, Group.MODEL, "The KV cache's type; q8_0 halves its memory.",
            otherwise="f16, unless that cuts the context", flags=("--kv-type",), choices=("f16", "q8_0")),
    Setting("cache", Kind.SIZE, Group.MODEL, "The disk's share for what was read: later chats start at once. 0: none.",
            default="4 GB"),
    Setting("engine.idle_unload", Kind.DURATION, Group.MODEL,
            "A chat without a request for so long frees its memory, until the next key. 0: never.", default="30 min"),
    Setting("engine.keep_warm", Kind.DURATION, Group.MODEL,
            "One-shots leave the loaded model in memory for so long, for the next one. 0: not.", default="0"),
    Setting("engine.tune", Kind.SWITCH, Group.MODEL,
            "Measure what suits a model here while a chat waits, and use it; false: the defaults.", default=True),
    Setting("engine.take_turns", Kind.SWITCH, Group.MODEL,
            "Wait while another llamachat answers; false: share the cores.", default=True),
    Setting("speculate", Kind.SWITCH, Group.MODEL, "Guess tokens and check several at once, where that is quicker.",
            default=True, flags=("--speculate/--no-speculate",)),
    Setting("draft", Kind.TEXT, Group.MODEL, "A smaller model with the same vocabulary, to guess tokens.",
            default="none", flags=("--draft",)),
    _sampler("temperature", Kind.NUMBER, "0 always takes the likeliest token.", 0, 100, "-t", "--temperature"),
    _sampler("top_p", Kind.NUMBER, "Keep the likeliest tokens of this total probability.", 0, 1, "--top-p"),
    _sampler("top_k", Kind.WHOLE, "Keep this many of the likeliest; 0 keeps all.", 0, _LARGEST, "--top-k"),
    _sampler("min_p", Kind.NUMBER, "Keep tokens this likely compared with the likeliest.", 0, 1, "--min-p"),
    _sampler("typical_p", Kind.NUMBER, "Keep tokens about as likely as expected; 1 is off.", 0, 1),
    _sampler("repeat_penalty", Kind.NUMBER, "Above 1 makes repetition less likely.", 0.01, 100, "--repeat-penalty"),
    _sampler("repeat_last_n", Kind.WHOLE, "The tokens that penalties look back on; -1: the context.", -1),
    _sampler("frequency_penalty", Kind.NUMBER, "Taken from a token's logit for each time it was said.", -100, 100),
    _sampler("presence_penalty", Kind.NUMBER, "Taken from the logit of each token said before.", -100, 100),
    _sampler("dry_multiplier", Kind.NUMBER, "Strength of the DRY penalty for repeated sequences; 0 is off.", 0, 100),
    _sampler("dry_base", Kind.NUMBER, "How DRY grows with the sequence's length.", 0, 100),
    _sampler("dry_allowed_length", Kind.WHOLE, "The longest sequence that DRY lets repeat.", 0),
    _sampler("dry_penalty_last_n", Kind.WHOLE, "The tokens that DRY looks back on; -1: the context.", -1),
    _sampler("xtc_probability", Kind.NUMBER, "How often XTC takes the likeliest tokens away; 0 is off.", 0, 1),
    _sampler("xtc_threshold", Kind.NUMBER, "The probability from which XTC does.", 0, 1),
    _sampler("mirostat", Kind.WHOLE, "1 or 2: steer by surprise instead of the samplers above.", 0, 2),
    _sampler("mirostat_tau", Kind.NUMBER, "The surprise that Mirostat aims at.", 0, 100),
    _sampler("mirostat_eta", Kind.NUMBER, "How fast Mirostat steers.", 0, 1),
    Setting("seed", Kind.WHOLE, Group.SAMPLING, "The same seed and prompt give the same answer.",
            otherwise="another each time", flags=("--seed",), lowest=0, highest=_LARGEST_SEED, in_preset=True),
    Setting("max_tokens", Kind.WHOLE, Group.SAMPLING, "End the answer after so many tokens.",
            otherwise="as long as the context", flags=("-n", "--max-tokens"), lowest=1, in_preset=True),
    Setting("stop", Kind.TEXTS, Group.SAMPLING, "End the answer before this text. Repeatable.",
            otherwise="nothing", flags=("--stop",), in_preset=True),
    Setting("stream", Kind.SWITCH, Group.OUTPUT, "Print the answer as it comes, not when it is whole.",
            default=True, flags=("--stream/--no-stream",)),
    Setting("raw", Kind.SWITCH, Group.OUTPUT, "The answer as it was written: no Markdown on a terminal.",
            default=False, flags=("--raw/--no-raw",)),
    Setting("plain", Kind.SWITCH, Group.OUTPUT, "No colours, no Markdown, nothing that moves. ACCESSIBLE=1: the same.",
            default=False, flags=("--plain/--no-plain",)),
    Setting("quiet", Kind.SWITCH, Group.OUTPUT, "No notices.", default=False, flags=("--quiet/--no-quiet", "-q")),
    Setting("verbose", Kind.SWITCH, Group.OUTPUT, "Tokens, speed and context after each answer.",
            default=False, flags=("--verbose/--no-verbose", "-v")),
    Setting("sessions.save", Kind.SWITCH, Group.OUTPUT, "Keep what is said, for `llamachat -c` and `sessions`.",
            default=True, flags=("--save/--no-save",)),
    Setting("theme", Kind.TEXT, Group.OUTPUT, "Colours for a dark or a light terminal; auto asks the terminal.",
            default="auto", choices=("auto", "dark", "light")),
    Setting("keys", Kind.TEXT, Group.OUTPUT, "The keys of the prompt.", default="emacs", choices=("emacs", "vi")),
    Setting("bell", Kind.TEXT, Group.OUTPUT, "After an answer of 10 seconds or more: ring, or notify the desktop.",
            default="off", choices=("off", "ring", "notify")),
)  # fmt: skip

BY_KEY = {setting.key: setting for setting in SETTINGS}
