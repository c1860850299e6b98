"""Commands that show what is going on: statistics, context, tokens, thoughts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from llamachat.chat.budget import Overflow, View, named
from llamachat.chat.conversation import Turn
from llamachat.chat.made import opens_thought
from llamachat.chat.turn import view_of
from llamachat.engine.base import Rendered, Token
from llamachat.errors import ContextOverflow
from llamachat.types import Role
from llamachat.ui.chat import Chat, last_answer
from llamachat.ui.status import statistics
from llamachat.ui.theme import Look
from llamachat.ui.thoughts import thoughts_of

_BRIEF = 40  # characters of a message in the list of the context
_MOST_TOKENS = 500  # shown at once


def stats(chat: Chat, text: str) -> None:
    if text in ("on", "off"):
        chat.shows_statistics = text == "on"
    chat.say(statistics(chat.last) if chat.last else "No answer yet.")


def context(chat: Chat, _: str) -> None:
    """What fills the context, message by message, by the model's own tokenizer, and which turns have left it."""
    chat.wait_for_model()
    view = _next_view(chat)
    rows = list(_parts(chat, view))
    counted = sum(row.n_tokens for row in rows if not row.instead)
    try:
        used = _rendered(chat, view).context.used if view.seen else counted
    except ContextOverflow as error:
        used = error.n_tokens
    size = chat.engine.info.n_ctx if chat.engine.info else 0
    chat.say(f"{used:,} of {size:,} tokens are in use.", Look.STRONG)
    rows.append(Row("format", used - counted, "what frames the turns"))
    rows.append(Row("room", max(0, size - used), "for what comes"))
    chat.screen.table((row.name, row.instead or f"{row.n_tokens:,}".rjust(6), row.brief) for row in rows)


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the context's table: a message's beginning, or what else takes room.

    `instead` says where a message is that takes none.
    """

    name: str
    n_tokens: int
    brief: str
    instead: str = ""


def _next_view(chat: Chat) -> View:
    """What the next question will find in the model's view."""
    return view_of(chat.conversation, chat.engine, chat.settings, ahead=chat.conversation.has_answer)


def _rendered(chat: Chat, view: View) -> Rendered:
    return chat.engine.render(chat.settings.request_for(view, open_answer=chat.conversation.has_answer))


def _parts(chat: Chat, view: View) -> Iterator[Row]:
    """What the model is told: the system prompt, the summary, the messages of the conversation."""
    conversation, number = chat.conversation, 0
    if conversation.system is not None:
        yield Row("system", chat.engine.count(conversation.system), _begin(conversation.system))
    if view.summary:
        brief = f"{named(view.summed)}: {_begin(view.summary.content)}"
        yield Row("summary", chat.engine.count(view.summary.content), brief)
    for turn in conversation.turns:
        number += turn.message.role is Role.USER
        who = "you" if turn.message.role is Role.USER else "answer"
        pinned = ", pinned" if turn.number in chat.settings.pinned else ""
        tokens = turn.message.tokens
        n_tokens = len(tokens.ids) if tokens else chat.engine.count(turn.message.content)
        instead = _instead(chat, view, turn, number)
        yield Row(f"{number} {who}{pinned}", n_tokens, _begin(turn.message.content), instead)


def _instead(chat: Chat, view: View, turn: Turn, exchange: int) -> str:
    """Where a message is that the model does not see; empty for those it sees."""
    if turn.number in view.seen:
        return ""
    if exchange in view.summed:
        return "summed up"
    return "to sum up" if chat.settings.overflow is Overflow.SUMMARISE else "left"


def _begin(text: str) -> str:
    line = " ".join(text[: 2 * _BRIEF].split())
    return line if len(line) <= _BRIEF else f"{line[:_BRIEF]}…"


def tokens(chat: Chat, text: str) -> None:
    """The tokens of a text, or of what the model is to see."""
    chat.wait_for_model()
    if text:
        pieces = chat.engine.tokens(text)
    elif chat.conversation.turns:
        pieces = _rendered(chat, _next_view(chat)).pieces
    else:
        chat.say("Nothing was asked yet. /tokens TEXT shows the tokens of a text.")
        return
    left_out = len(pieces) - _MOST_TOKENS
    chat.say(f"{len(pieces):,} tokens" + (f", the last {_MOST_TOKENS} of them:" if left_out > 0 else ":"), Look.STRONG)
    chat.say("  ".join(_in_words(pieces[-_MOST_TOKENS:])))


def _in_words(pieces: Iterable[Token]) -> Iterator[str]:
    for piece in pieces:
        shown = piece.text if piece.is_control else repr(piece.text)
        yield f"{piece.id} {shown}"


def thoughts(chat: Chat, _: str) -> None:
    found = thoughts_of(last_answer(chat), is_open=opens_thought(chat.conversation.made))
    chat.screen.answer_text(found or "This answer has no thoughts.")
