"""What the engine can read while the user still writes: the conversation so far, and what is certain of the draft."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from llamachat.engine.base import Request
from llamachat.errors import LlamachatError
from llamachat.types import Message, ModelInfo, Role
from llamachat.ui.chat import Chat
from llamachat.ui.pastes import Typed

if TYPE_CHECKING:
    from llamachat.chat.budget import View

_LAST_WORD = re.compile(r"\S{1,24}\Z")  # it may go on
_REFERENCE = re.compile(r"(?<!\w)@\S")  # to a file, whose text will come before the message


class Ahead:
    """Asks the engine to evaluate what will be a part of the next prompt."""

    def __init__(self, chat: Chat) -> None:
        self._chat = chat
        self._asked: tuple[ModelInfo, Request] | None = None  # the last, which this engine need not be asked again
        self._history: tuple[object, View] | None = None  # what the model sees, and of which moment

    def read(self, draft: Typed) -> None:
        """Let the engine begin. It ends by itself when the next request comes."""
        chat, info = self._chat, self._chat.engine.info
        if info is None or chat.edited or not chat.choices.switch("prefill.typing"):
            return
        from llamachat.chat import turn  # noqa: PLC0415  20 ms that the first prompt does not wait for

        text = certain(draft)
        if text is None:
            return
        with suppress(LlamachatError):  # the question meets it, and says so
            view = self._view()
            if turn.waits_for_summary(view, chat.settings):
                return
            messages = (*view.messages, Message(Role.USER, text))
            request = replace(chat.settings.request_for(view), messages=messages, unfinished=True)
            if (info, request) != self._asked:
                self._asked = info, request
                chat.engine.prefill(request)

    def _view(self) -> View:
        """What the model sees of the conversation before the message; measured once for each place in it."""
        from llamachat.chat import turn  # noqa: PLC0415

        chat = self._chat
        said = chat.conversation
        moment = (chat.engine, said, said.leaf, said.system, said.summary, chat.settings)
        if self._history is None or self._history[0] != moment:
            view = turn.view_of(chat.conversation, chat.engine, chat.settings, ahead=True)
            self._history = moment, view
        return self._history[1]


def certain(draft: Typed) -> str | None:
    """What of a draft will begin the message, up to a word that may go on; None where that cannot be told."""
    is_command = draft.text.startswith("/") and not draft.text.startswith("//")
    if is_command or draft.text.lstrip().startswith('"""'):
        return None
    places = (match.start() for match in _REFERENCE.finditer(draft.text))
    if not all(any(start <= place < end for start, end in draft.pasted) for place in places):
        return None
    return _LAST_WORD.sub("", draft.text.removeprefix("/"))  # of two slashes, one is sent
