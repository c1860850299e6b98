"""Commands that show what is going on: statistics, context, tokens, thoughts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from llamachat.engine.base import Token
from llamachat.errors import ContextOverflow
from llamachat.types import Role
from llamachat.ui.chat import Chat, last_answer
from llamachat.ui.status import statistics
from llamachat.ui.theme import Look
from llamachat.ui.thoughts import Thoughts

_BRIEF = 40  # characters of a message in the list of the context
_MOST_TOKENS = 500  # shown at once


def stats(chat: Chat, text: str) -> None:
    if text in ("on", "off"):
        chat.shows_statistics = text == "on"
    chat.say(statistics(chat.last) if chat.last else "No answer yet.")


def context(chat: Chat, _: str) -> None:
    """What fills the context, message by message, by the model's own tokenizer."""
    chat.wait_for_model()
    rows = list(_parts(chat))
    conversation = chat.conversation
    request = chat.settings.request(conversation.messages(), open_answer=conversation.has_answer)
    try:
        rendered = chat.engine.render(request).context if conversation.turns else None
        used = rendered.used if rendered else sum(n for _, n, _ in rows)
    except ContextOverflow as error:
        used = error.n_tokens
    size = chat.engine.info.n_ctx if chat.engine.info else 0
    framing = used - sum(n for _, n, _ in rows)
    rows += [("format", framing, "what frames the turns"), ("room", max(0, size - used), "for what comes")]
    chat.say(f"{used:,} of {size:,} tokens are in use.", Look.STRONG)
    chat.screen.table((name, f"{n:>6,}", brief) for name, n, brief in rows)


def _parts(chat: Chat) -> Iterator[tuple[str, int, str]]:
    """Name, tokens and beginning of each message in the context."""
    conversation, number = chat.conversation, 0
    if conversation.system is not None:
        yield "system", chat.engine.count(conversation.system), _begin(conversation.system)
    for turn in conversation.turns:
        number += turn.message.role is Role.USER
        name = f"{number} you" if turn.message.role is Role.USER else f"{number} answer"
        tokens = turn.message.tokens
        n = len(tokens.ids) if tokens else chat.engine.count(turn.message.content)
        yield name, n, _begin(turn.message.content)


def _begin(text: str) -> str:
    line = " ".join(text[: 2 * _BRIEF].split())
    return line if len(line) <= _BRIEF else f"{line[:_BRIEF]}…"


def tokens(chat: Chat, text: str) -> None:
    """The tokens of a text, or of what the model is to see."""
    chat.wait_for_model()
    if text:
        pieces = chat.engine.tokens(text)
    elif chat.conversation.turns:
        conversation = chat.conversation
        request = chat.settings.request(conversation.messages(), open_answer=conversation.has_answer)
        pieces = chat.engine.render(request).pieces
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
    chat.screen.answer_text(_thoughts_of(last_answer(chat)) or "This answer has no thoughts.")


def _thoughts_of(text: str) -> str:
    splitter = Thoughts()
    return "".join(piece.text for piece in (*splitter.feed(text), *splitter.flush()) if piece.is_thought)
