"""Commands about conversations that are kept: all of them, and the branches of this one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from llamachat.chat.composed import own_words
from llamachat.chat.conversation import Turn
from llamachat.chat.summary import Summary
from llamachat.chat.transcript import Entry, Session, Transcript, title_of
from llamachat.errors import ModelError, UsageError
from llamachat.types import Message, Role
from llamachat.ui.chat import Chat
from llamachat.ui.commands.files import path_of, write
from llamachat.ui.sanitise import sanitise_line
from llamachat.ui.theme import Look

_LISTED = 9  # one key picks
_BRIEF = 50  # characters of a message in a tree
_DEEPEST = 40  # columns of indent
_NOT_KNOWN = {"model", "sha256", "turns"}  # facts that every answer has; others without a value do not concern it


def sessions(chat: Chat, _: str) -> None:
    """The latest sessions."""
    found = chat.outside.store().sessions(2 * _LISTED)
    if not found:
        chat.say("No session is kept yet.")
        return
    chat.screen.table(_row(session, session.id[:6]) for session in found)
    chat.say("/resume ID goes on with one; llamachat sessions lists them all.", Look.DIM)


def _row(session: Session, name: str) -> tuple[str, ...]:
    mark = "one-shot" if session.one_shot else f"{session.n_messages} message{'s' * (session.n_messages != 1)}"
    when = f"{session.updated.astimezone():%Y-%m-%d %H:%M}"
    return name, when, sanitise_line(title_of(session.title)), mark


def resume(chat: Chat, text: str) -> None:
    """Go on with the session of this id, or the one that the user picks."""
    store = chat.outside.store()
    if text:
        _take_up(chat, store.find(text))
        return
    here = chat.keeping.session if chat.keeping else None
    most = -1 if chat.outside.pick else _LISTED + 1
    found = [session for session in store.sessions(most) if session.id != here]
    if not found:
        raise UsageError("there is no other session yet.")
    picked = chat.outside.pick(found) if chat.outside.pick else _picked_by_key(chat, found[:_LISTED])
    if picked:
        _take_up(chat, picked)


def _picked_by_key(chat: Chat, found: list[Session]) -> Session | None:
    chat.screen.table(_row(session, f" {count}") for count, session in enumerate(found, 1))
    keys = "0" + "".join(str(count + 1) for count in range(len(found)))
    picked = chat.ask_key(f"Go on with which? [1-{len(found)}, Enter: none]", keys)
    return None if picked == keys[0] else found[int(picked) - 1]


def _take_up(chat: Chat, session: Session) -> None:
    """With the model, the preset and the system prompt that it had. Raises ModelError if the model is gone."""
    transcript = chat.outside.store().load(session.id)
    keeping, chat.keeping = chat.keeping, None  # the choices are the other session's
    try:
        chat.choose(chat.outside.as_it_was(chat.choices, transcript))
    except ModelError as error:
        chat.keeping = keeping
        raise ModelError(error.message, f"With another: llamachat --resume {session.id} -m OTHER") from error
    chat.take_up(transcript)


def session_ids(chat: Chat, _: str) -> Iterable[str]:
    return [session.id for session in chat.outside.store().sessions(100)]


def search(chat: Chat, words: str) -> None:
    """Messages of all sessions with these words."""
    if not words:
        raise UsageError("/search needs words.", 'Words, "a phrase", a beginning*.')
    hits = chat.outside.store().search(words, _LISTED)
    if not hits:
        chat.say("Nothing was found.")
    for hit in hits:
        title = sanitise_line(title_of(hit.title))
        chat.say(f"{hit.session[:6]}  {hit.created.astimezone():%Y-%m-%d}  {title}", Look.STRONG)
        chat.say(f"    {hit.snippet.text}")


def why_not_kept(chat: Chat) -> str:
    if chat.is_private:
        return "this chat is private."
    return "" if chat.conversation.leaf is not None else "nothing was said yet."


def title(chat: Chat, text: str) -> None:
    if not text:
        raise UsageError("/title needs a title.")
    assert chat.keeping is not None
    chat.keeping.renamed(" ".join(text.split()))
    chat.say(f"This chat is called {text}.")


def private(chat: Chat, text: str) -> None:
    """Begin a chat of which nothing is written, or one that is kept again."""
    if text not in ("", "off"):
        raise UsageError(f"/private takes nothing, or off, not {text!r}.")
    chat.is_private = not text
    chat.start_over()
    if chat.is_private:
        chat.say("A new conversation, of which nothing is written to the disk. /private off ends it.")
    else:
        chat.say("A new conversation, which is kept.")


def export(chat: Chat, text: str) -> None:
    """Write the conversation to a file, in the format that its name says."""
    from llamachat.chat.export import FORMATS  # noqa: PLC0415  30 ms that few chats need

    path = path_of(text)
    kind = path.suffix.removeprefix(".").lower()
    if not text or kind not in FORMATS:
        raise UsageError("/export needs a file whose name ends in .md, .json, .txt or .html.")
    if write(chat, path, FORMATS[kind](_transcript(chat))):
        chat.say(f"Saved this conversation to {path}.")


def _transcript(chat: Chat) -> Transcript:
    """The conversation as it is here: what could not be saved is in it, too."""
    now, conversation = datetime.now(UTC), chat.conversation
    turns = [turn for turns in conversation.children().values() for turn in turns]
    entries = tuple(
        Entry(turn, now, now, made=conversation.made_of(turn.number), pinned=turn.number in conversation.pinned)
        for turn in sorted(turns, key=lambda turn: turn.number)
    )
    title = next((title_of(turn.message.content) for turn in conversation.questions), "")
    session = Session(
        (chat.keeping and chat.keeping.session) or "", title, now, now,
        model=chat.engine.name, preset=chat.preset, system=conversation.system, leaf=conversation.leaf,
    )  # fmt: skip
    return Transcript(session, entries, tuple(conversation.summaries))


# branches


def tree(chat: Chat, _: str) -> None:
    """All turns; those that the model sees are bold."""
    here = {turn.number for turn in chat.conversation.turns}
    for turn, drawn in _drawn(chat.conversation.children(), None, ""):
        who = "you" if turn.message.role is Role.USER else "answer"
        mark = " <" if turn.number == chat.conversation.leaf else ""
        line = f"{drawn}{turn.number} {who}: {_shown(turn.message)}{mark}"
        chat.say(line, Look.STRONG if turn.number in here else None)
    chat.say("/switch N stands at turn N; what is written next follows it.", Look.DIM)


def _drawn(children: Mapping[int | None, list[Turn]], first: int | None, indent: str) -> Iterator[tuple[Turn, str]]:
    """Each turn with the lines before it; only where branches part is there an indent, up to a limit."""
    roots = children.get(first, [])
    waiting = [(roots[0], indent, indent)] if len(roots) == 1 else _forked(roots, indent)
    while waiting:
        turn, drawn, below = waiting.pop()
        yield turn, drawn
        following = children.get(turn.number, [])
        if len(following) == 1:
            waiting.append((following[0], below, below))
        else:
            waiting += _forked(following, below)


def _forked(turns: list[Turn], indent: str) -> list[tuple[Turn, str, str]]:
    """Turns where branches part, the last first, each with its own indent and that of what follows it."""
    if len(indent) >= _DEEPEST:
        return [(turn, f"{indent}├ ", indent) for turn in reversed(turns)]
    last = turns[-1:]
    return [
        (turn, f"{indent}{'└ ' if [turn] == last else '├ '}", f"{indent}{'  ' if [turn] == last else '│ '}")
        for turn in reversed(turns)
    ]


def _shown(message: Message) -> str:
    return _brief(own_words(message.content) if message.role is Role.USER else message.content)


def _brief(text: str) -> str:
    line = sanitise_line(" ".join(text[: 4 * _BRIEF].split()))
    return line if len(line) <= _BRIEF else f"{line[:_BRIEF]}…"


def switch(chat: Chat, text: str) -> None:
    """Stand at another turn of the tree."""
    numbers = {turn.number for turns in chat.conversation.children().values() for turn in turns}
    if not (text.isascii() and text.isdigit() and int(text) in numbers):
        raise UsageError(f"/switch takes the number of a turn, not {text!r}.", "/tree shows them.")
    chat.conversation.move(chat.conversation.end_of_exchange(int(text)))
    chat.last = None
    last = chat.conversation.last
    assert last is not None
    chat.say(f"The conversation stands at: {_shown(last.message)}")


def branch(chat: Chat, text: str) -> None:
    """Go on from after an earlier question and its answer, beside what came then."""
    questions = chat.conversation.questions
    if len(questions) == 1:
        raise UsageError("there is only one message.", "/edit changes it, /new starts over.")
    number = text or str(len(questions) - 1)
    if not (number.isascii() and number.isdigit() and 1 <= int(number) < len(questions)):
        raise UsageError(f"/branch takes the number of a message of yours, 1 to {len(questions) - 1}, not {text!r}.")
    chat.conversation.move(questions[int(number)].parent)
    chat.last = None
    chat.say(f"The next message follows your message {number}; what came after it stays on its own branch.")


def why(chat: Chat, _: str) -> None:
    """What made the last answer."""
    made = chat.conversation.made
    if made is None:
        chat.say("What made this answer is not known.")
    else:
        chat.screen.table((name, value) for name, value in _facts(made, chat.conversation.summaries))


def _facts(made: Mapping[str, Any], summaries: Iterable[Summary]) -> Iterator[tuple[str, str]]:
    texts = {summary.number: summary.content for summary in summaries}
    for name, value in made.items():
        if value is None and name not in _NOT_KNOWN:
            continue
        seen = texts.get(value) if name == "summary" else None
        yield name, sanitise_line(_in_words(value) if seen is None else _brief(seen))


def _in_words(value: object) -> str:
    match value:
        case None:
            return "not known"
        case Mapping():
            return ", ".join(f"{key} {_in_words(inner)}" for key, inner in value.items() if inner is not None)
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.4g}"
        case list() | tuple():
            return " ".join(map(str, value)) or "none"
    return str(value)
