"""Commands about the course of the conversation."""

from __future__ import annotations

from pathlib import Path

from llamachat.chat.attachments import as_typed
from llamachat.chat.composed import own_words
from llamachat.chat.conversation import State
from llamachat.errors import UsageError
from llamachat.types import MOST_CANDIDATES
from llamachat.ui.candidates import retry_together
from llamachat.ui.chat import Chat
from llamachat.ui.theme import Look

_SHOWN = 60  # characters of a message in a remark


def new(chat: Chat, _: str) -> None:
    chat.start_over()
    chat.say("A new conversation.")


def retry(chat: Chat, text: str) -> None:
    count = text.removeprefix("--n").strip() or "1"
    if not (count.isascii() and count.isdigit() and 1 <= int(count) <= MOST_CANDIDATES):
        raise UsageError(f"/retry takes a number of answers from 1 to {MOST_CANDIDATES}, not {text!r}.")
    if int(count) > 1:
        retry_together(chat, int(count))
        return
    if chat.settings.seed is not None:
        chat.say("The seed is set, so the answer will be the same; /set seed off.", Look.DIM)
    chat.retry()


def why_not_continue(chat: Chat) -> str:
    last = chat.conversation.last
    if last is None or chat.conversation.answer is None:
        return "there is no answer yet."
    return "the answer is complete." if last.state is State.COMPLETE else ""


def go_on(chat: Chat, _: str) -> None:
    chat.go_on()


def edit(chat: Chat, text: str) -> str:
    """The message comes back as a draft; what it becomes starts another branch."""
    questions = chat.conversation.questions
    number = text or str(len(questions))
    if not (number.isascii() and number.isdigit() and 1 <= int(number) <= len(questions)):
        raise UsageError(f"/edit takes the number of a message of yours, 1 to {len(questions)}, not {text!r}.")
    chat.edited = questions[int(number) - 1]
    chat.say("What you send now takes the place of this message; what followed stays on its branch.", Look.DIM)
    draft = as_typed(chat.edited.message.content, Path.cwd())
    return f"/{draft}" if draft.startswith("/") else draft


def pin(chat: Chat, text: str) -> None:
    """Keep an exchange in the model's view, or let it leave again."""
    questions = chat.conversation.questions
    number = text or str(len(questions))
    if not (number.isascii() and number.isdigit() and 1 <= int(number) <= len(questions)):
        raise UsageError(f"/pin takes the number of a message of yours, 1 to {len(questions)}, not {text!r}.")
    if chat.conversation.pin(questions[int(number) - 1].number):
        chat.say(f"Message {number} and its answer stay in the model's view; /pin {number} lets them leave again.")
    else:
        chat.say(f"Message {number} and its answer may leave the model's view.")


def undo(chat: Chat, _: str) -> None:
    question = chat.conversation.questions[-1]
    chat.conversation.move(question.parent)
    chat.last = None
    first_line = own_words(question.message.content).strip().partition("\n")[0]
    brief = first_line if len(first_line) <= _SHOWN else f"{first_line[:_SHOWN]}…"
    chat.say(f"Taken back: {brief}")


def leave(chat: Chat, _: str) -> None:
    chat.leaving = True
