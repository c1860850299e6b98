"""`/replay`: an answer made once more from its record, and what came out differently."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from llamachat.chat import replay as replays
from llamachat.chat.conversation import State, Turn
from llamachat.chat.replay import Change, Plan
from llamachat.engine.base import Delta, Finished
from llamachat.errors import Interrupted, UsageError
from llamachat.types import FinishReason
from llamachat.ui.chat import Chat
from llamachat.ui.interrupt import on_interrupt
from llamachat.ui.theme import Look

_LOOKS = {Change.REMOVED: Look.DELETED, Change.ADDED: Look.INSERTED}
_SIGNS = {Change.REMOVED: ("[-", "-]"), Change.ADDED: ("{+", "+}")}
_AROUND = 200  # characters that are shown before and after a difference


def why_not_replay(chat: Chat) -> str:
    return "" if _answers(chat) else "there is no answer yet."


def answer_numbers(chat: Chat, _beginning: str) -> Iterable[str]:
    return [str(number) for number in range(1, len(_answers(chat)) + 1)]


def replay(chat: Chat, text: str) -> None:
    """Make the last answer of this branch again, or the Nth; the conversation stays as it is."""
    answers = _answers(chat)
    number = text or str(len(answers))
    if not (number.isascii() and number.isdigit() and 1 <= int(number) <= len(answers)):
        raise UsageError(f"/replay takes the number of an answer, 1 to {len(answers)}, not {text!r}.")
    answer = answers[int(number) - 1]
    chat.wait_for_model()
    assert chat.engine.info is not None
    plan = replays.plan(chat.conversation, answer, chat.engine.info)
    for remark in plan.remarks:
        chat.say(f"- {remark}", Look.DIM)
    try:
        again, reason = _made_again(chat, plan)
    finally:
        replays.warm(chat.conversation, chat.engine, chat.settings)
    _compare(chat, answer, plan.said, again, was_stopped=reason is FinishReason.INTERRUPTED)


def _answers(chat: Chat) -> list[Turn]:
    return [turn for turn in chat.conversation.turns if turn.message.generated]


def _made_again(chat: Chat, plan: Plan) -> tuple[str, FinishReason]:
    """The answer's text, which is not shown while it comes. Raises Interrupted if nothing came."""
    again, reason = "", FinishReason.INTERRUPTED
    with chat.screen.answering() as view, on_interrupt(chat.engine.interrupt):
        for event in chat.engine.reply(plan.request):
            match event:
                case Delta() if event.index != plan.index:
                    pass
                case Delta():
                    again += event.text
                    chat.screen.sign(f"once more… {100 * len(again) // max(1, len(plan.said))} %")
                case Finished():
                    reason = event.reason if event.index == plan.index else reason
                case _:
                    view.show(event)
    if reason is FinishReason.INTERRUPTED and not again:
        raise Interrupted("stopped before the first word.")
    return again, reason


def _compare(chat: Chat, answer: Turn, said: str, again: str, *, was_stopped: bool) -> None:
    if again == said:
        chat.say("The same, word for word.", Look.STRONG)
    elif was_stopped and said.startswith(again):
        chat.say(f"Stopped. Up to here it is the same: {len(again):,} of {len(said):,} characters.", Look.STRONG)
    elif answer.state is not State.COMPLETE and said.startswith(again):
        n_more = len(said) - len(again)
        chat.say(f"The same as far as its record goes; {n_more:,} characters that follow have none.", Look.STRONG)
    elif answer.state is not State.COMPLETE and again.startswith(said):
        chat.say("The same, as far as it went before it broke off.", Look.STRONG)
    else:
        place = replays.common_length(said, again)
        stopped = "Stopped. " if was_stopped else ""
        chat.say(f"{stopped}It differs from character {place + 1:,} on:", Look.STRONG)
        chat.screen.spans(_shown(chat, said[: len(again)] if was_stopped else said, again))


def _shown(chat: Chat, said: str, again: str) -> Iterator[tuple[str, tuple[Look, ...]]]:
    """The difference; where colours cannot say what went and what came, signs do."""
    for change, text in replays.differences(said, again):
        if change is Change.SAME:
            yield _shortened(text, chat.screen.theme().glyphs.ellipsis), ()
            continue
        look, (opening, closing) = _LOOKS[change], _SIGNS[change]
        words = text.rstrip()
        space = text[len(words) :]
        yield (words, (look,)) if chat.screen.theme().shows(look) and words else (f"{opening}{words}{closing}", ())
        yield space, ()


def _shortened(text: str, ellipsis: str) -> str:
    """Two ends of a long text that did not change."""
    if len(text) <= 3 * _AROUND:
        return text
    return f"{text[:_AROUND]} {ellipsis} {text[-_AROUND:]}"
