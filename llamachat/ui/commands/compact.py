"""`/compact`: the turns so far as a summary that the model writes and the user can change."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from llamachat.chat import turn
from llamachat.chat.summary import Summary
from llamachat.errors import ContextOverflow, UsageError
from llamachat.ui.chat import Chat
from llamachat.ui.interrupt import on_interrupt

_LARGEST = 2  # part of the context that a summary may take


def compact(chat: Chat, text: str) -> None:
    """Have one made, change it, or let the turns themselves be seen again."""
    match text:
        case "":
            _make(chat)
        case "edit":
            _edit(chat, _summary(chat))
        case "off":
            _summary(chat)
            chat.conversation.forget_summaries()
            _foresee(chat)
            chat.say("The model sees the turns themselves again, as far as they fit.")
        case _:
            raise UsageError(f"/compact takes nothing, edit or off, not {text!r}.")


def arguments(_: Chat, _beginning: str) -> Iterable[str]:
    return ("edit", "off")


def _make(chat: Chat) -> None:
    with chat.screen.answering() as view, on_interrupt(chat.engine.interrupt):
        for event in turn.sum_up(chat.conversation, chat.engine, chat.settings):
            view.show(event)
    n_ctx = chat.engine.info.n_ctx if chat.engine.info else 0
    chat.say(f"The next question finds {_foresee(chat):,} of {n_ctx:,} tokens in use. /compact edit changes the text.")


def _edit(chat: Chat, summary: Summary) -> None:
    """An edited summary is another one; what it stands for is the same."""
    content = chat.outside.edit(summary.content).strip()
    if not content:
        raise UsageError("an empty text is no summary.", "/compact off lets the model see the turns themselves.")
    if content == summary.content:
        chat.say("The summary is as it was.")
        return
    chat.wait_for_model()
    n_tokens, n_ctx = chat.engine.count(content), chat.engine.info.n_ctx if chat.engine.info else 0
    if _LARGEST * n_tokens > n_ctx:
        raise UsageError(f"this summary has {n_tokens:,} tokens, more than half of the context.", "Shorten it.")
    turns = (summary.made or {}).get("turns")
    made = {"edited": summary.number} | ({} if turns is None else {"turns": turns})
    chat.conversation.summarise(summary.first, summary.last, content, made)
    _foresee(chat)
    chat.say(f"The summary has {n_tokens:,} tokens now.")


def _foresee(chat: Chat) -> int:
    """Tokens that the next question finds in use, which the toolbar shows; 0 where that cannot be told."""
    n_tokens = None
    if chat.conversation.has_answer:
        with suppress(ContextOverflow):  # the next question meets it, and says so
            n_tokens = turn.view_of(chat.conversation, chat.engine, chat.settings, ahead=True).n_tokens
    if n_tokens is not None:
        chat.foresee(n_tokens)
    return n_tokens or 0


def _summary(chat: Chat) -> Summary:
    if summary := chat.conversation.summary:
        return summary
    raise UsageError("nothing is summed up here.", "/compact makes a summary.")
