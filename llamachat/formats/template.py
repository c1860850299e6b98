"""The format of any GGUF that carries its own chat template.

The template decides everything: where BOS stands, how an answer is framed, which roles there may be. This
file turns what it writes into segments: control tokens where the template's own text spells them (never a
message's, see `controls`), an answer's own token ids where the answer stands, text for the rest. Text is cut
only at those two, so template and content are tokenised together as the model's authors do it.

A template that ignores or refuses system messages gets the system prompt at the head of the first
question, with a blank line between.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cached_property

from llamachat.errors import LlamachatError
from llamachat.formats.base import Ids, Segment, Text
from llamachat.formats.controls import Controls, unused_characters
from llamachat.formats.jinja import Template
from llamachat.formats.roles import check_end
from llamachat.types import Message, Role


class JinjaFormat:
    """`template` is the model's, `controls` the text of its control tokens, `bos` and `eos` what it may write for them.

    Raises ModelError if the template does not compile. A message is never refused for what it says: a control
    token that somebody typed reaches the model as characters.
    """

    name = "template"
    stops: tuple[str, ...] = ()

    def __init__(
        self,
        template: str,
        *,
        controls: Collection[str],
        bos: str,
        eos: str,
        now: Callable[[], datetime] = datetime.now,
    ) -> None:
        self._template = Template(template, now=now)
        self._controls = Controls(controls, self._template.literals)
        self._bos = bos
        self._eos = eos

    def prompt(
        self,
        messages: Sequence[Message],
        *,
        open_answer: bool = False,
        raw_tags: bool = False,  # noqa: ARG002
    ) -> list[Segment]:
        """See `Format.prompt`. Which roles may follow each other is the template's business, but for the last."""
        check_end(messages, open_answer=open_answer)
        if messages[0].role == Role.SYSTEM and not self._takes_system:
            messages = _with_system_folded(messages)
        if not open_answer:
            return self._closed(messages)
        return _followed(self._closed(messages[:-1]), self._opening(messages[-1]))

    def _closed(self, messages: Sequence[Message]) -> list[Segment]:
        """The prompt for a new answer."""
        characters = unused_characters([self._template.source, *(message.content for message in messages)])
        sentinel, border = next(characters), next(characters)
        contents = [self._controls.marked(message.content, sentinel) for message in messages]
        rendered = self._render(messages, contents)
        parts: list[str | Ids] = [rendered]
        ids = {index: own for index, message in enumerate(messages) if (own := _own_ids(message))}
        if ids:
            holes = [f"{border}{i}{border}" if i in ids else content for i, content in enumerate(contents)]
            outline = re.split(f"{border}([0-9]+){border}", self._render(messages, holes))
            parts = _filled(rendered, outline, contents, ids, self._answer_space)
        return list(self._segments(parts, sentinel))

    def _render(self, messages: Sequence[Message], contents: Sequence[str], *, answered: bool = False) -> str:
        turns = [
            {"role": message.role.value, "content": content}
            for message, content in zip(messages, contents, strict=True)
        ]
        return self._template.render(turns, bos=self._bos, eos=self._eos, add_generation_prompt=not answered)

    def _segments(self, parts: Sequence[str | Ids], sentinel: str) -> Iterator[Segment]:
        for part in parts:
            if isinstance(part, str):
                yield from self._controls.split(part, sentinel)
            else:
                yield part

    def _opening(self, message: Message) -> Text | Ids | None:
        """What there is of an open answer."""
        if own := _own_ids(message):
            return own
        return Text(self._answer_space + message.content) if message.content else None

    @cached_property
    def _takes_system(self) -> bool:
        """Whether a system message leaves a trace. Some templates raise at one, some pass over it."""
        mark = next(unused_characters([self._template.source]))
        messages = [Message(Role.SYSTEM, mark), Message(Role.USER, "question")]
        return mark in self._tried(messages)

    @cached_property
    def _answer_space(self) -> str:
        """The white space that the template writes before an answer, and not at the end of a prompt for one.

        The model writes it then: an answer's own ids begin with it. (Mistral's ` {answer}` after `[/INST]`.)
        """
        mark = next(unused_characters([self._template.source]))
        question = Message(Role.USER, "question")
        prompt = self._tried([question])
        before, found, _ = self._tried([question, Message(Role.ASSISTANT, mark)], answered=True).partition(mark)
        space = before.removeprefix(prompt) if found and prompt else ""
        return space if space.isspace() else ""

    def _tried(self, messages: Sequence[Message], *, answered: bool = False) -> str:
        """What the template writes, or nothing if it will not."""
        try:
            return self._render(messages, [message.content for message in messages], answered=answered)
        except LlamachatError:
            return ""


def _own_ids(message: Message) -> Ids | None:
    if message.role == Role.ASSISTANT and message.tokens and message.tokens.ids:
        return Ids(message.tokens.ids)
    return None


def _with_system_folded(messages: Sequence[Message]) -> Sequence[Message]:
    """The system prompt as the beginning of the question that follows it."""
    system, question, *rest = messages
    if question.role != Role.USER:
        return messages
    text = f"{system.content}\n\n{question.content}" if system.content.strip() else question.content
    return [replace(question, content=text), *rest]


def _filled(
    rendered: str, outline: Sequence[str], contents: Sequence[str], ids: Mapping[int, Ids], answer_space: str
) -> list[str | Ids]:
    """`rendered` with answers' ids where those answers stand in it.

    `outline` is the rendering with holes for them: text, the index of a message, text, and so on. An answer that
    the template changed (a chain of thought cut off, say) stays text; where the two renderings don't agree, all do.
    """
    text = outline[0]
    parts: list[str | Ids] = []
    position = len(text) if rendered.startswith(text) else len(rendered) + 1
    for index, following in zip(map(int, outline[1::2]), outline[2::2], strict=True):
        shape = _shape(contents[index], following, rendered, position)
        if shape is None:
            end = rendered.find(following, position)
            text += rendered[position:end]
            position = end if end >= 0 else len(rendered) + 1
        else:
            parts += [text.removesuffix(answer_space), ids[index]]
            text = ""
            position += len(shape)
        text += following
        position += len(following)
    return [*parts, text] if position == len(rendered) else [rendered]


def _shape(content: str, following: str, rendered: str, position: int) -> str | None:
    """How the template wrote `content` at `position`: as it is, stripped, or neither."""
    shapes = (content, content.strip(), content.lstrip(), content.rstrip())
    return next((shape for shape in shapes if rendered.startswith(shape + following, position)), None)


def _followed(segments: list[Segment], answer: Text | Ids | None) -> list[Segment]:
    """Text after text is one segment."""
    if answer is None:
        return segments
    if isinstance(answer, Text) and segments and isinstance(segments[-1], Text):
        return [*segments[:-1], Text(segments[-1].text + answer.text)]
    return [*segments, answer]
