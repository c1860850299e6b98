"""Which format a model file gets, and why.

In this order:

1. the one asked for with `--format`, else the one that the catalogue has for a model pulled by name;
2. the one the file declares (metadata `llamachat.format`);
3. its own template; but where that is Meta's `[INST]` one, our exact `llama2`, since a template's text is parsed for
   control tokens and ours is not;
4. without a template: `plain` for a base model of Meta's, known by the exact name of its file, and for a fine-tune
   known to be taught other turns; `llama2` for any other Llama 2, known by its metadata, and for Code Llama Instruct;
5. `plain`, with a warning.

Pure: it reads facts, no file. It does not know how a format is written, only how each is made.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal, TypeGuard, get_args

from llamachat.errors import UsageError
from llamachat.formats.base import Format
from llamachat.formats.llama2 import Llama2Format
from llamachat.formats.plain import PlainFormat

FormatName = Literal["llama2", "template", "plain"]

_OF_OTHER_FAMILIES = re.compile(
    r"<\||<start_of_turn>|###|\[TOOL_CALLS\]|\[AVAILABLE_TOOLS\]|\[SYSTEM_PROMPT\]|\bUSER:|\bASSISTANT:"
)
_LLAMA2_CONTEXT = 4096

# File names of Meta's own weights, as the community's conversions have them.
_TYPE = r"(?:i?q\d\w*|b?f16|fp16|f32|fp32)"
_BASE_FILE = re.compile(rf"llama-2-(?:7|13|70)b\.{_TYPE}(?:-\d+-of-\d+)?\.gguf", re.IGNORECASE)
_CHAT_NAME = re.compile(r"llama[-_ ]?v?2\b.*chat", re.IGNORECASE)
# The 70B of Code Llama Instruct was taught "Source: user" turns instead.
_CODE_NAME = re.compile(r"code[-_ ]?llama(?!.*70b).*instruct", re.IGNORECASE)

# Models with Llama 2's metadata that were taught other turns: a pattern for their names, and the turns.
_OTHER_TURNS = {
    r"vicuna|longchat": "USER: and ASSISTANT:",
    r"xwin|synthia|samantha": "USER: and ASSISTANT:",
    r"wizard-?(?:coder|math)": "### Instruction: and ### Response:",
    r"wizard": "USER: and ASSISTANT:",
    r"orca-?2": "ChatML",
    r"orca": "### User: and ### Assistant:",
    r"alpaca|platypus|chronos|mytho(?:max|logic|mix|mist)": "### Instruction: and ### Response:",
    r"open-?hermes": "ChatML, or ### Instruction:",
    r"hermes": "### Instruction: and ### Response:",
    r"guanaco": "### Human: and ### Assistant:",
    r"puffin": "### human: and ### response:",
    r"stable-?beluga": "### User: and ### Assistant:",
    r"airoboros(?!.*\b3\.)|spicyboros": "USER: and ASSISTANT:",  # from 3.0 on it was taught [INST]
    r"zephyr|tulu": "<|user|> and <|assistant|>",
    r"pygmalion-?2|metharme": "<|user|> and <|model|>",
    r"openchat": "GPT4 User: and <|end_of_turn|>",
    r"dolphin": "USER: and ASSISTANT:, or ChatML",
    r"openbuddy": "User: and Assistant:",
    r"solar": "### User: and ### Assistant:",
    r"yi-\d": "ChatML",
}


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What a GGUF says of itself, and its file's name. `tokenizer_model` is "llama" for SentencePiece."""

    architecture: str
    tokenizer_model: str
    context_length: int
    chat_template: str | None
    file_name: str
    name: str
    declared_format: str | None


@dataclass(frozen=True, slots=True)
class Choice:
    """The format, and one line for the user where the choice is a guess."""

    format: FormatName
    notice: str = ""


def choose(facts: ModelFacts, override: str | None) -> Choice:
    """The format for a model. UsageError if the one asked for does not exist, or not for this model."""
    if override is not None:
        return Choice(_asked_for(facts, override))
    declared = facts.declared_format
    if declared is not None and _is_format(declared) and (declared != "template" or facts.chat_template):
        return Choice(declared)
    if facts.chat_template:
        return Choice("llama2" if _is_metas(facts) else "template")
    return _by_name(facts)


def build(name: str, *, template: str | None, controls: Collection[str], bos: str, eos: str) -> Format:
    """The format of this name. `controls` are the texts of the vocabulary's control tokens.

    Raises ModelError if the template does not compile.
    """
    match name:
        case "llama2":
            return Llama2Format()
        case "template" if template:
            from llamachat.formats.template import JinjaFormat  # noqa: PLC0415  (jinja2: 60 ms that Llama 2 saves)

            return JinjaFormat(template, controls=controls, bos=bos, eos=eos)
        case "plain":
            return PlainFormat()
        case _:
            raise UsageError(f"there is no format {name!r} for this model.")


def _is_format(name: str) -> TypeGuard[FormatName]:
    return name in get_args(FormatName)


def _asked_for(facts: ModelFacts, name: str) -> FormatName:
    if not _is_format(name):
        raise UsageError(f"there is no format {name!r}.", "Pass --format llama2, template or plain.")
    if name == "template" and not facts.chat_template:
        raise UsageError(f"{facts.file_name} carries no chat template.", "Pass --format llama2 or --format plain.")
    return name


def _is_metas(facts: ModelFacts) -> bool:
    """Whether the template is one of the many spellings of Meta's, on the kind of tokenizer it is exact for.

    Mistral's have `[INST]` too, and no `<<SYS>>`.
    """
    template = facts.chat_template or ""
    has_tags = all(tag in template for tag in ("[INST]", "[/INST]", "<<SYS>>"))
    return has_tags and facts.tokenizer_model == "llama" and not _OF_OTHER_FAMILIES.search(template)


def _by_name(facts: ModelFacts) -> Choice:
    """The choice for a file without a template."""
    names = f"{facts.file_name} {facts.name}"
    is_llama = facts.architecture == "llama" and facts.tokenizer_model == "llama"
    if is_llama and (turns := _other_turns(names)):
        return Choice("plain", _notice(facts, f"was taught other turns ({turns})", "plain", "llama2"))
    if is_llama and _CODE_NAME.search(names):
        return Choice("llama2")
    if not is_llama or facts.context_length != _LLAMA2_CONTEXT:
        return Choice("plain", _notice(facts, "does not say how it was taught to chat", "plain", "llama2"))
    if _BASE_FILE.fullmatch(facts.file_name):
        return Choice("plain", _notice(facts, "is a base model, which continues text", "plain", "llama2"))
    if _CHAT_NAME.search(names):
        return Choice("llama2")
    return Choice("llama2", _notice(facts, "looks like a Llama 2 and is taken for a chat model", "llama2", "plain"))


def _other_turns(names: str) -> str:
    matches = (turns for name, turns in _OTHER_TURNS.items() if re.search(rf"(?<![a-z])(?:{name})", names.lower()))
    return next(matches, "")


def _notice(facts: ModelFacts, what: str, chosen: FormatName, other: FormatName) -> str:
    return f"{facts.file_name} {what}: using --format {chosen} (change it with --format {other})."
