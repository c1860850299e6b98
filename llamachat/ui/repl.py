"""The loop at a terminal: read a line, do what it says, again."""

from __future__ import annotations

from collections.abc import Sequence

from llamachat.errors import Interrupted
from llamachat.ui.chat import Chat
from llamachat.ui.prompt import Prompt
from llamachat.ui.theme import Look


def run(chat: Chat, prompt: Prompt) -> None:
    """Until /exit, Ctrl-D, or Ctrl-C twice at an empty prompt. An error costs its turn, and loses nothing typed."""
    chat.ask_key = prompt.choose
    chat.engine.on_change = prompt.redraw
    chat.engine.start()
    draft, came_back, is_leaving = chat.take_draft(), False, False
    while not chat.leaving:
        try:
            typed = prompt.read(draft, came_back=came_back)
        except KeyboardInterrupt:
            if is_leaving and not prompt.was_cleared:
                return
            chat.edited = None
            chat.say("Ctrl-C again, or Ctrl-D, leaves.", Look.DIM)
            draft, is_leaving = "", True
            continue
        except EOFError:
            return
        if prompt.was_cleared:
            chat.edited = None
        is_leaving = False
        draft = handle(chat, typed.text, typed.pasted)
        came_back = bool(draft) and draft == typed.text


def handle(chat: Chat, text: str, pasted: Sequence[tuple[int, int]] = ()) -> str:
    """One line of input. Returns what the next prompt begins with: a message without an answer, or a draft."""
    from llamachat.ui.commands import table  # noqa: PLC0415  15 ms that the first prompt does not wait for

    draft: str | None = None
    try:
        if text.startswith("/") and not text.startswith("//"):
            chat.edited = None
            word, *rest = text[1:].split(maxsplit=1) or [""]
            draft = text if "/" in word else None  # a path is meant to be sent, and comes back to be mended
            command = table.find(word)
            draft = None
            draft = table.run(command, chat, rest[0].strip() if rest else "")
        elif text.strip():
            chat.ask(*_unescaped(text, pasted))
    except Interrupted as error:
        chat.say(f"[{error.message}]", Look.DIM)
    except KeyboardInterrupt:
        chat.say("[stopped]", Look.DIM)
    except BrokenPipeError:  # nobody sees the answers any more
        chat.leaving = True
    except Exception as error:  # the boundary of a turn: a fault of ours must not end the chat
        chat.handle_error(error)
    return draft or chat.take_draft()


def _unescaped(text: str, pasted: Sequence[tuple[int, int]]) -> tuple[str, Sequence[tuple[int, int]]]:
    """A message that begins with two slashes is meant to begin with one."""
    if not text.startswith("//"):
        return text, pasted
    return text[1:], [(start - 1, end - 1) for start, end in pasted]
