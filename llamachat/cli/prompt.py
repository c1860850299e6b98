"""What a one-shot asks: files, then piped input, then the words, or a whole conversation."""

from __future__ import annotations

import codecs
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from llamachat.chat.conversation import Conversation
from llamachat.chat.document import decode, read_limited
from llamachat.choices import Choices, Origin
from llamachat.cli.options import ChatOptions
from llamachat.environment import Environment
from llamachat.errors import ForbiddenTag, UsageError
from llamachat.types import Message, Role

_SEPARATOR = "\n\n"
_MOST_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of the prompt and where it came from."""

    source: str
    text: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """The conversation to answer, and the parts that its last message is made of."""

    messages: tuple[Message, ...]
    parts: tuple[Part, ...] = ()

    def after(self, earlier: Conversation) -> Prompt:
        """The same question, after what was said before it."""
        said = (turn.message for turn in earlier.turns)
        return replace(self, messages=(*self.messages[:-1], *said, self.messages[-1]))

    def place(self, error: ForbiddenTag) -> UsageError:
        """The same error, naming the file or stream and the line that the tag is in."""
        part, offset = self._part(error)
        line = part.text.count("\n", 0, offset) + 1
        column = offset - (part.text.rfind("\n", 0, offset) + 1) + 1
        return UsageError(
            f"{part.source} contains {error.tag} (line {line}, column {column}), "
            "which frames turns in this model's format.",
            "Remove it, or send it as plain text with --raw-tags.",
        )

    def _part(self, error: ForbiddenTag) -> tuple[Part, int]:
        """The part that the tag is in, and the tag's offset there."""
        message = self.messages[error.index]
        if error.index == len(self.messages) - 1 and self.parts:
            offset = error.offset
            for part in self.parts:
                if offset < len(part.text):
                    return part, offset
                offset -= len(part.text) + len(_SEPARATOR)
        if message.role is Role.SYSTEM and self.parts:
            return Part("the system prompt", message.content), error.offset
        return Part(f"message {error.index + 1} ({message.role})", message.content), error.offset


def read(options: ChatOptions, choices: Choices, environment: Environment) -> Prompt:
    """The prompt that the options, files and piped input make. Raises UsageError."""
    if options.messages is not None:
        return Prompt(_with_system(_asked_for(options, choices), _read_messages(options.messages, environment)))
    parts = [Part(f"the file {path}", _read_file(path)) for path in options.files]
    if not environment.stdin_is_terminal:
        piped = piped_text(environment)
        if piped.strip():
            parts.append(Part("the piped input", piped.rstrip("\n")))
    if options.prompt:
        parts.append(Part("the prompt", _check_text(" ".join(options.prompt), "the prompt")))
    if not any(part.text.strip() for part in parts):
        raise UsageError("there is nothing to ask: the input is empty.", 'Example: llamachat "why is the sky blue?"')
    content = _SEPARATOR.join(part.text for part in parts)
    return Prompt(_with_system(choices.text("system"), (Message(Role.USER, content),)), tuple(parts))


def _asked_for(options: ChatOptions, choices: Choices) -> str | None:
    """The system prompt of the options -s or -p, for a conversation that is whole without one."""
    preset = choices.layers.get(Origin.PRESET) if "preset" in options.flags else None
    system = options.flags.get("system", preset.values.get("system") if preset else None)
    return system if isinstance(system, str) else None


def piped_text(environment: Environment) -> str:
    """All of the piped input; nothing where there is a terminal instead. Raises UsageError for what is no text."""
    return "" if environment.stdin_is_terminal else decode(_piped(environment), "the piped input")


def _with_system(system: str | None, messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """A system prompt that is given replaces a conversation's own."""
    if system is None:
        return messages
    rest = messages[1:] if messages and messages[0].role is Role.SYSTEM else messages
    return (Message(Role.SYSTEM, _check_text(system, "the system prompt")), *rest)


def _read_file(path: Path) -> str:
    try:
        data = _bytes_of(path)
    except IsADirectoryError as error:
        raise UsageError(f"{path} is a folder.", "-f takes a text file.") from error
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.", "Check the path given with -f.") from error
    return decode(data, f"the file {path}").rstrip("\n")


def _bytes_of(path: Path) -> bytes:
    with path.open("rb") as file:
        return read_limited(file, f"the file {path}", _MOST_BYTES)


def _piped(environment: Environment) -> bytes:
    try:
        return read_limited(environment.stdin, "the piped input", _MOST_BYTES)
    except OSError as error:
        raise UsageError(f"the piped input cannot be read: {error.strerror}.", "Pipe text in, or none.") from error


def _check_text(text: str, source: str) -> str:
    """Words of the command line: bytes that are no UTF-8 arrive as lone surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UsageError(f"{source} is not UTF-8 text.", "Check the encoding of your terminal.") from error
    return text


class _RawMessage(msgspec.Struct):
    role: Role
    content: str


def _read_messages(source: str, environment: Environment) -> tuple[Message, ...]:
    """A conversation in JSON, from a file or `-`."""
    name = "the piped input" if source == "-" else source
    try:
        data = _piped(environment) if source == "-" else _bytes_of(Path(source))
    except OSError as error:
        raise UsageError(
            f"{source} cannot be read: {error.strerror}.", "Check the path given with --messages."
        ) from error
    try:
        raw = msgspec.json.decode(data.removeprefix(codecs.BOM_UTF8), type=list[_RawMessage])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(
            f"{name} is no list of messages: {error}.", 'Expected: [{"role": "user", "content": "…"}]'
        ) from error
    if not raw:
        raise UsageError(f"{name} is an empty list of messages.", 'Expected: [{"role": "user", "content": "…"}]')
    return tuple(Message(message.role, message.content) for message in raw)
