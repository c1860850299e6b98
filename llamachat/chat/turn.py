"""One turn: the user's message goes in, the answer streams out, and every word of it is kept.

The only writer of conversations, for the REPL and one-shots alike.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace

from llamachat.chat import budget, compact
from llamachat.chat.budget import Overflow, Rules, View
from llamachat.chat.conversation import Conversation, Made, State, Turn
from llamachat.chat.events import Event
from llamachat.chat.made import made_by
from llamachat.chat.window import PROBE
from llamachat.choices import Choices
from llamachat.engine.base import Delta, Engine, Finished, Notice, Request
from llamachat.errors import EngineDied, ForbiddenTag, LlamachatError
from llamachat.types import AnswerTokens, Message, Role, Sampling

Maker = Callable[[Finished], Made]

_SAMPLERS = tuple(field.name for field in fields(Sampling) if field.name != "logit_bias")


@dataclass(frozen=True, slots=True)
class Settings:
    """How answers are to be made; `sampling` overrides fields of the model's own.

    `pinned` are numbers of turns that never leave the model's view. With `shift`, the KV cache of the others is moved
    when some leave; with `speculate`, tokens may be guessed.
    """

    sampling: Mapping[str, float | int] = field(default_factory=dict)
    seed: int | None = None
    max_tokens: int | None = None
    stops: tuple[str, ...] = ()
    raw_tags: bool = False
    overflow: Overflow = Overflow.DROP
    shift: bool = True
    speculate: bool = True
    pinned: frozenset[int] = frozenset()

    @classmethod
    def of(cls, choices: Choices) -> Settings:
        """What was chosen, as far as it makes answers."""
        return cls(
            sampling={key: value for key in _SAMPLERS if (value := choices.number(key)) is not None},
            seed=choices.whole("seed"),
            max_tokens=choices.whole("max_tokens"),
            stops=choices.texts("stop"),
            raw_tags=choices.switch("raw_tags"),
            overflow=Overflow(choices.text("overflow") or Overflow.DROP),
            shift=choices.switch("context_shift"),
            speculate=choices.switch("speculate"),
        )

    @property
    def rules(self) -> Rules:
        return Rules(self.overflow, self.max_tokens, self.pinned)

    def request(self, messages: tuple[Message, ...], *, open_answer: bool = False) -> Request:
        return Request(
            messages=messages,
            sampling=self.sampling,
            seed=self.seed,
            max_tokens=self.max_tokens,
            stops=self.stops,
            open_answer=open_answer,
            raw_tags=self.raw_tags,
            speculate=self.speculate,
        )

    def request_for(self, view: View, *, open_answer: bool = False) -> Request:
        """The request with what the model is to see."""
        request = self.request(view.messages, open_answer=open_answer)
        return replace(request, shift=self.shift and bool(view.leaving))


def ask(conversation: Conversation, text: str, engine: Engine, settings: Settings) -> Iterator[Event]:
    """Add the user's message and stream the answer. If there is none, the message is taken back."""
    conversation.add(Message(Role.USER, text))
    return answer(conversation, engine, settings)


def answer(conversation: Conversation, engine: Engine, settings: Settings) -> Iterator[Event]:
    """Stream an answer to a conversation that ends with a user's message.

    However it ends, what came is in the conversation, with its state. When nothing came at all (an error,
    Ctrl-C before the first word), the conversation is left ending with the user's message.
    """
    view = yield from _view(conversation, conversation.turns, engine, settings)
    request = _request(conversation, settings, view)
    nothing = Message(Role.ASSISTANT, "", generated=True)
    conversation.add(nothing, State.STREAMING)
    try:
        yield from _stream(conversation, _reply(engine, request, view), nothing, _maker(engine, request, view))
    finally:
        _settle(conversation)


def answer_many(
    conversation: Conversation, engine: Engine, settings: Settings, n: int
) -> Generator[Event, None, dict[int, int]]:
    """Stream `n` answers side by side; Delta and Finished have the index of theirs.

    However it ends, what came of each is in the conversation, beside the others, and it stands at the first of them.
    Returns the number of each answer's turn by its index; those of which nothing came are not there.
    """
    view = yield from _view(conversation, conversation.turns, engine, settings)
    request = replace(_request(conversation, settings, view), n=n)
    question, nothing = conversation.leaf, Message(Role.ASSISTANT, "", generated=True)
    numbers = conversation.begin_answers(n)
    try:
        maker = _maker(engine, request, view)
        yield from _stream(conversation, _reply(engine, request, view), nothing, maker, numbers)
    finally:
        found = {index: number for index, number in enumerate(numbers) if _settle(conversation, number)}
        conversation.move(next(iter(found.values()), question))
    return found


def continue_answer(conversation: Conversation, engine: Engine, settings: Settings) -> Iterator[Event]:
    """Take up the last answer where it breaks off; it grows in its place, and keeps its token ids.

    Where the context is full, the oldest exchanges leave. When nothing more comes, the answer is as it was before; with
    the state it had, unless the model says that it is at its end.
    """
    view = yield from _view(conversation, conversation.turns, engine, settings)
    request = _request(conversation, settings, view, open_answer=True)
    yield from _go_on(conversation, _reply(engine, request, view), _maker(engine, request, view))


def answer_despite_crash(conversation: Conversation, engine: Engine, settings: Settings) -> Iterator[Event]:
    """As `answer`; if the engine dies in the middle, its successor goes on where it stopped, once.

    With a seed it says the same answer again, and the part that was said already is left out.
    """
    try:
        yield from answer(conversation, engine, settings)
    except EngineDied as error:
        if not conversation.has_answer:
            raise
        yield Notice(f"{error.message} It was started again, and the answer goes on.")
        if settings.seed is None:
            yield from continue_answer(conversation, engine, settings)
        else:  # the same seed says the same once more: skip what was said
            said = conversation.turns[-1].message.content
            view = yield from _view(conversation, conversation.turns[:-1], engine, settings)
            request = _request(conversation, settings, view)
            events = _beyond(said, _reply(engine, request, view))
            yield from _go_on(conversation, events, _maker(engine, request, view))


def view_of(conversation: Conversation, engine: Engine, settings: Settings, *, ahead: bool = False) -> View:
    """What the model sees of a conversation; with `ahead`, what any question that follows will find. It is loaded."""
    return _seen(conversation, conversation.turns, engine, settings, ahead=ahead)


def sum_up(conversation: Conversation, engine: Engine, settings: Settings) -> Iterator[Event]:
    """Let a summary stand for all turns but the last and the pinned ones. Raises UsageError where there are none."""
    if engine.info is None:
        yield from engine.wait_until_loaded()
    yield from compact.compact(conversation, engine, settings.rules, settings.seed)
    prepare(conversation, engine, settings, always=True)


def prepare(conversation: Conversation, engine: Engine, settings: Settings, *, always: bool = False) -> None:
    """After an answer: if turns have to leave before the next question, let the engine make room now, unasked.

    A summary is made when the question comes: it would block it, and may never be needed. `always`: the turns that the
    model sees are others now; let it read them.
    """
    if not conversation.has_answer or engine.info is None:
        return
    with suppress(LlamachatError):  # the next question meets it, and says so
        view = view_of(conversation, engine, settings, ahead=True)
        if (always or view.leaving) and not waits_for_summary(view, settings):
            engine.prefill(settings.request_for(replace(view, messages=(*view.messages, PROBE))))


def waits_for_summary(view: View, settings: Settings) -> bool:
    """Whether the next question has a summary made first; what would be evaluated before that is of no use."""
    return settings.overflow is Overflow.SUMMARISE and bool(view.dropped)


def _view(
    conversation: Conversation, turns: Sequence[Turn], engine: Engine, settings: Settings
) -> Generator[Event, None, View]:
    """What the model is to see of these turns, once it is loaded; the user is told of those that leave."""
    if len(turns) > 1 and engine.info is None:
        yield from engine.wait_until_loaded()
    view = _seen(conversation, turns, engine, settings)
    if waits_for_summary(view, settings):
        yield from compact.make_room(conversation, turns, engine, settings.rules, settings.seed)
        view = _seen(conversation, turns, engine, settings)
    if view.line:
        yield Notice(view.line)
    return view


def _seen(
    conversation: Conversation, turns: Sequence[Turn], engine: Engine, settings: Settings, *, ahead: bool = False
) -> View:
    summary = conversation.summary
    return budget.view(conversation.system, turns, engine, settings.rules, summary=summary, ahead=ahead)


def _request(conversation: Conversation, settings: Settings, view: View, *, open_answer: bool = False) -> Request:
    """What the engine is asked; it may keep what that evaluates to if the conversation is kept."""
    return replace(settings.request_for(view, open_answer=open_answer), owner=conversation.keeper.session)


def _reply(engine: Engine, request: Request, view: View) -> Iterator[Event]:
    """The engine's events, as they concern the whole conversation."""
    try:
        for event in engine.reply(request):
            if isinstance(event, Finished):
                yield replace(event, context=replace(event.context, dropped_turns=len(view.dropped)))
            else:
                yield event
    except ForbiddenTag as error:
        n_told = view.n_told if error.index == view.told_at else 0
        raise ForbiddenTag(error.tag, view.places[error.index], error.role, error.offset - n_told) from error


def _beyond(said: str, events: Iterator[Event]) -> Iterator[Event]:
    """The events of an answer without the text that was said before."""
    for event in events:
        if isinstance(event, Delta):
            n_old = min(len(said), len(event.text))
            said = said[n_old:]
            if event.text[n_old:]:
                yield Delta(event.text[n_old:])
        else:
            yield event


def _maker(engine: Engine, request: Request, view: View) -> Maker:
    """What is written down of how an answer was made, when it has finished."""
    summary = {"summary": view.summary.number} if view.summary else {}
    return lambda finished: {**made_by(engine.info, request, view.seen, finished), **summary}


def _go_on(conversation: Conversation, events: Iterator[Event], maker: Maker) -> Iterator[Event]:
    """Stream more of the last answer."""
    before = conversation.turns[-1]
    conversation.reopen_answer()
    try:
        yield from _stream(conversation, events, before.message, maker)
    finally:
        last = conversation.turns[-1]
        if last.message.content == before.message.content:
            conversation.end_answer(before.message, last.state if last.state is State.COMPLETE else before.state)
        _settle(conversation)


def _stream(
    conversation: Conversation,
    events: Iterator[Event],
    before: Message,
    maker: Maker,
    numbers: Sequence[int] | None = None,
) -> Iterator[Event]:
    """Write the answer into the conversation while its events pass by: the last one, or those with these numbers.

    `before` is what there is of it.
    """
    numbers = numbers or (conversation.turns[-1].number,)
    for event in events:
        if isinstance(event, Delta):
            conversation.grow_answer(event.text, numbers[event.index])
        elif isinstance(event, Finished):
            number = numbers[event.index]
            message = replace(conversation.turn(number).message, tokens=_joined(before, event.tokens))
            n_tokens = len(message.tokens.ids) if message.tokens else None
            conversation.end_answer(message, State.of(event.reason), maker(event), n_tokens, number)
        yield event


def _joined(before: Message, more: AnswerTokens | None) -> AnswerTokens | None:
    """The token ids of an answer that was continued; None where some are not known, or of another vocabulary."""
    if more is None or not before.content:
        return more
    if before.tokens is None or before.tokens.vocabulary != more.vocabulary:
        return None
    return AnswerTokens(more.vocabulary, before.tokens.ids + more.ids)


def _settle(conversation: Conversation, number: int | None = None) -> bool:
    """After an error: mark what came. After nothing: as if no answer had begun. Whether there is one now.

    It is the last one, or that with this number.
    """
    turn = conversation.turns[-1] if number is None else conversation.turn(number)
    if not turn.message.content and turn.state is not State.COMPLETE:
        conversation.take_back(number)
        return False
    if turn.state is State.STREAMING:
        conversation.end_answer(turn.message, State.ERROR, number=number)
    return True
