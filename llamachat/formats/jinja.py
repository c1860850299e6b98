"""A chat template out of a model file, rendered without trusting it. The one home of jinja2.

A GGUF's template is a program by whoever made the file. It runs in jinja2's immutable sandbox, which keeps
it from Python; what the sandbox leaves open is closed here:

* time: compiling and rendering run under a deadline that ends an endless loop;
* memory: the filters, string methods and globals are those that chat templates use, and what could blow
  a value up in one step (`*`, `+`, `~`, `replace`, `join`, `tojson`, a macro's output) is bounded.

As Hugging Face's `apply_chat_template` has it: blocks trimmed, `break` and `continue`, `tojson` without
HTML escapes, `raise_exception`, `strftime_now`, and `{% generation %}` as if it were not there.

Knows strings and dictionaries, and nothing of segments or tokens.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

import jinja2
from jinja2 import nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.exceptions import SecurityError
from jinja2.ext import Extension
from jinja2.filters import FILTERS, make_attrgetter
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace, pass_environment

from llamachat.errors import ModelError, UsageError
from llamachat.formats.deadline import within

_Value = TypeVar("_Value")

_SOURCE_CHARS = 256 * 1024
_SPARE_CHARS = 1024 * 1024  # what a template may write besides four times the messages
_SECONDS = 2.0
_INT_BITS = 4096
_INDENT = 64
_ITEM_CHARS = 3  # what an item of a list takes at least: a character, a comma and a space
_HINT = "Use --format plain to chat without it."


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# What chat templates use. The rest of jinja2's filters and of Python's methods can allocate without bound
# (`center`, `format`, `sum`, `to_bytes`) or have no use here.
_GLOBALS = _words("range dict namespace cycler joiner")
_FILTERS = _words(
    """abs count d default dictsort first float int items last length list map max min reject rejectattr reverse
    select selectattr sort unique"""
)
_TEXT_FILTERS = _words("capitalize e escape lower safe string title trim upper")
_STR_METHODS = _words(
    """capitalize casefold count endswith find index isalnum isalpha isascii isdecimal isdigit islower isnumeric
    isspace istitle isupper lower lstrip partition removeprefix removesuffix rfind rindex rpartition rsplit rstrip
    split splitlines startswith strip swapcase title upper"""
)
_ATTRIBUTES: tuple[tuple[type | tuple[type, ...], frozenset[str]], ...] = (
    (str, _STR_METHODS),
    (dict, _words("get items keys values copy")),
    ((list, tuple), _words("count index copy")),
    ((int, float, complex, bytes), frozenset()),
)


class Template:
    """A compiled template. ModelError if it does not compile, or within its limits."""

    def __init__(self, source: str, *, now: Callable[[], datetime] = datetime.now, seconds: float = _SECONDS) -> None:
        if len(source) > _SOURCE_CHARS:
            raise ModelError(f"the model's chat template is {len(source):,} characters long.", _HINT)
        self.source = source
        self._environment = _Environment(now)
        self._seconds = seconds
        self._template, self.literals = self._guarded(self._compile)

    def render(self, messages: Sequence[Mapping[str, str]], *, bos: str, eos: str, add_generation_prompt: bool) -> str:
        """What the template makes of the messages.

        UsageError where the template calls `raise_exception`; ModelError where it fails or exceeds a limit.
        """
        n_chars = sum(len(message["content"]) for message in messages)
        self._environment.max_chars = _SPARE_CHARS + 4 * n_chars
        return self._guarded(
            functools.partial(
                self._template.render,
                messages=[dict(message) for message in messages],
                add_generation_prompt=add_generation_prompt,
                bos_token=bos,
                eos_token=eos,
                tools=None,
                documents=None,
            )
        )

    def _compile(self) -> tuple[jinja2.Template, frozenset[str]]:
        """The template, and the strings that its expressions spell out."""
        tree = self._environment.parse(self.source)
        constants = (node.value for node in tree.find_all(nodes.Const))
        literals = frozenset(value for value in constants if isinstance(value, str))
        return self._environment.from_string(tree), literals

    def _guarded(self, work: Callable[[], _Value]) -> _Value:
        """A foreign program may raise anything at all: here it becomes ours."""
        try:
            return within(self._seconds, work)
        except UsageError:
            raise
        except TimeoutError as error:
            raise ModelError(f"the model's chat template takes more than {self._seconds:g} seconds.", _HINT) from error
        except Exception as error:
            raise ModelError(f"the model's chat template fails: {_one_line(error)}.", _HINT) from error


def _one_line(error: object, n_chars: int = 200) -> str:
    """A message that a template can shape, fit to be part of ours."""
    words = " ".join(str(error).split())
    text = "".join(character for character in words if character.isprintable()) or type(error).__name__
    return f"{text[:n_chars]}…" if len(text) > n_chars else text.rstrip(".")


class _TooLarge(Exception):
    """A value outgrew its bound."""

    def __init__(self) -> None:
        super().__init__("it writes more than such a conversation can need")


class _BoundedConcatenation(CodeGenerator):
    """`a ~ b` through the environment, where jinja2 would join at once."""

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:  # noqa: N802
        self.write("environment.concatenated((")
        for part in node.nodes:
            self.visit(part, frame)
            self.write(", ")
        self.write("))")


class _GenerationTag(Extension):
    """`{% generation %}` marks the assistant's part for training. To us it is its content."""

    tags = {"generation"}  # noqa: RUF012  (jinja2 declares it so)

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class _Environment(ImmutableSandboxedEnvironment):
    """The sandbox. No value that a template builds in it exceeds `max_chars` by more than a small factor."""

    code_generator_class = _BoundedConcatenation
    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def __init__(self, now: Callable[[], datetime]) -> None:
        super().__init__(
            trim_blocks=True,
            lstrip_blocks=True,
            optimized=False,
            cache_size=0,
            extensions=["jinja2.ext.loopcontrols", _GenerationTag],
            finalize=self._finalized,
        )
        self.max_chars = _SPARE_CHARS
        self.globals = {name: self.globals[name] for name in _GLOBALS}
        self.globals["raise_exception"] = self._refuse
        self.globals["strftime_now"] = lambda layout: now().strftime(layout)
        self.filters = {name: FILTERS[name] for name in _FILTERS}
        self.filters |= {name: self._of_text(FILTERS[name]) for name in _TEXT_FILTERS}
        self.filters |= {"replace": self._replaced, "join": _join, "tojson": self._to_json, "indent": self._indented}

    def concat(self, parts: Iterable[str]) -> str:
        """What jinja2 joins text with: all that a template, a macro or a block writes comes through here."""
        n_chars = 0
        kept = []
        for part in parts:
            n_chars += len(part)
            if n_chars > self.max_chars:
                raise _TooLarge
            kept.append(part)
        return "".join(kept)

    def concatenated(self, values: Iterable[object]) -> str:
        return self.concat(map(self.text, values))

    def text(self, value: object) -> str:
        self._measure(value)
        return str(value)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        for kind, names in _ATTRIBUTES:
            if isinstance(obj, kind):
                return attr in names
        return super().is_safe_attribute(obj, attr, value)

    def wrap_str_format(self, value: Any) -> None:
        """jinja2 would hand out a `format` without builtins in it, but with widths of any size."""

    def getattr(self, obj: Any, attribute: str) -> Any:
        """The two methods of strings that multiply lengths are ours."""
        if isinstance(obj, str) and attribute == "replace":
            return functools.partial(self._replaced, obj)
        if isinstance(obj, str) and attribute == "join":
            return functools.partial(self._joined, obj)
        return super().getattr(obj, attribute)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        match operator:
            case "%" if isinstance(left, str):
                raise SecurityError("formatting with % is not allowed")
            case "**" if isinstance(left, int) and isinstance(right, int):
                self._check(left.bit_length() * right, _INT_BITS)
            case "*" if isinstance(left, int) and isinstance(right, int):
                self._check(left.bit_length() + right.bit_length(), _INT_BITS)
            case "*":
                self._check(_length(left) * _length(right), self.max_chars)
            case "+" if isinstance(left, Collection):
                self._check(_length(left) + _length(right), self.max_chars)
        return super().call_binop(context, operator, left, right)

    def _finalized(self, value: _Value) -> _Value:
        self._measure(value)
        return value

    def _measure(self, value: object) -> None:
        """Raise if writing `value` out would be too long: a list in a list in a list can be so at no cost."""
        size = 0
        waiting: list[object] = [value]
        while waiting:
            item = waiting.pop()
            size += len(item) if isinstance(item, str) else _ITEM_CHARS
            self._check(size, self.max_chars)
            if isinstance(item, Namespace):
                raise SecurityError("a namespace has no text")
            if isinstance(item, Mapping):
                waiting.extend(item.values())
            if isinstance(item, Collection) and not isinstance(item, str):
                waiting.extend(item)

    def _check(self, size: int, limit: int) -> None:
        if size > limit:
            raise _TooLarge

    def _of_text(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """A filter that turns its argument into text first."""

        def measured(value: object, *args: Any, **kwargs: Any) -> Any:
            self._measure(value)
            return function(value, *args, **kwargs)

        return measured

    def _refuse(self, reason: object) -> None:
        """The template's `raise_exception`."""
        raise UsageError(f"the model's chat template refuses this conversation: {_one_line(self.text(reason))}.")

    def _replaced(self, value: object, old: object, new: object, count: int | None = None) -> str:
        text, before, after = self.text(value), self.text(old), self.text(new)
        self._check(len(text) + text.count(before) * len(after), self.max_chars)
        return text.replace(before, after, -1 if count is None else count)

    def _joined(self, separator: str, values: Iterable[object]) -> str:
        parts = [part for value in values for part in (separator, self.text(value))]
        return self.concat(parts[1:])

    def _indented(self, value: object, width: int | str = 4, first: bool = False, blank: bool = False) -> str:
        self._check(len(width) if isinstance(width, str) else width, _INDENT)
        return str(FILTERS["indent"](self.text(value), width, first, blank))

    def _to_json(
        self,
        value: object,
        ensure_ascii: bool = False,
        indent: int | str | None = None,
        separators: tuple[str, str] | None = None,
        sort_keys: bool = False,
    ) -> str:
        self._measure(value)
        self._check(len(indent) if isinstance(indent, str) else indent or 0, _INDENT)
        encoder = json.JSONEncoder(ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)
        return self.concat(encoder.iterencode(value))


@pass_environment
def _join(
    environment: _Environment, values: Iterable[Any], separator: str = "", attribute: str | int | None = None
) -> str:
    """jinja2's `join` filter, bounded."""
    if attribute is not None:
        values = map(make_attrgetter(environment, attribute), values)
    return environment._joined(separator, values)


def _length(value: object) -> int:
    """The factor by which `value` takes part in the length of a product or a sum."""
    if isinstance(value, (str, list, tuple)):
        return len(value)
    return value if isinstance(value, int) else 0
