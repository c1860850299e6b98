"""The table of commands, and how one is found in it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from llamachat.errors import UsageError
from llamachat.ui.chat import Chat
from llamachat.ui.commands import adjust, compact, replay, sessions, show, take, talk
from llamachat.ui.commands.command import Command, paths, with_answer, with_question
from llamachat.ui.keys import KEYS
from llamachat.ui.theme import Look

_ADVICE = "All commands: /help. A message that begins with a slash: write two."


def find(word: str) -> Command:
    """The command of this name, or the only one that begins so. Raises UsageError with the nearest."""
    if not word:
        raise UsageError("a slash alone is no command.", "All commands: /help")
    matches = [command for command in COMMANDS if command.name == word] or [
        command for command in COMMANDS if command.name.startswith(word)
    ]
    if len(matches) != 1:
        names = [command.name for command in matches] or difflib.get_close_matches(word, [c.name for c in COMMANDS], 1)
        advice = f"Did you mean {' or '.join(f'/{name}' for name in names)}?" if names else _ADVICE
        raise UsageError(f"there is no command /{word}.", advice)
    return matches[0]


def run(command: Command, chat: Chat, arguments: str) -> str | None:
    """What the command returns. Raises UsageError where it makes no sense now, and what it raises."""
    if refusal := command.refusal(chat):
        raise UsageError(f"/{command.name} makes no sense now: {refusal}")
    return command.run(chat, arguments)


def allowed(chat: Chat) -> list[Command]:
    """The commands that make sense now."""
    return [command for command in COMMANDS if not command.refusal(chat)]


def candidates(chat: Chat, name: str, beginning: str) -> Iterable[str]:
    """What Tab can offer after `/name `, or after a beginning of the name that is enough."""
    try:
        command = find(name)
    except UsageError:
        return ()
    return () if command.refusal(chat) else command.candidates(chat, beginning)


def _help(chat: Chat, _: str) -> None:
    now = allowed(chat)
    chat.screen.table((f"/{command.name} {command.arguments}", command.help) for command in now)
    if later := [f"/{command.name}" for command in COMMANDS if command not in now]:
        chat.say(f"When they make sense: {' '.join(later)}", Look.DIM)
    chat.say("")
    chat.screen.table(KEYS)


COMMANDS = (
    Command("help", "", "this page", _help),
    Command("new", "", "start over; the system prompt stays", talk.new),
    Command("retry", "[--n N]", "answer the last question again; of N answers you pick one", talk.retry, with_question),
    Command("continue", "", "let a stopped or cut answer go on", talk.go_on, talk.why_not_continue),
    Command("edit", "[N]", "change your last message, or the Nth, and ask again", talk.edit, with_question),
    Command("undo", "", "take the last question and its answer back", talk.undo, with_question),
    Command("pin", "[N]", "keep your last message, or the Nth, in the model's view; again: let it leave", talk.pin,
            with_question),
    Command("compact", "[edit|off]", "sum up all turns but the last for the model; change that, or end it",
            compact.compact, with_question, compact.arguments),
    Command("tree", "", "all branches of this conversation", sessions.tree, with_question),
    Command("switch", "N", "stand at another turn of the tree", sessions.switch, with_question),
    Command("branch", "[N]", "go on from after your Nth message, beside what followed", sessions.branch, with_question),
    Command("attach", "FILE", "put a file into the next message; @FILE does the same", take.attach, candidates=paths),
    Command("editor", "[TEXT]", "write the message in your editor ($VISUAL, $EDITOR)", take.edit_draft),
    Command("copy", "[code]", "copy the last answer, or its code", take.copy, with_answer, take.what_of_an_answer),
    Command("save", "[code] FILE", "write the last answer, or its code, to a file", take.save, with_answer, paths),
    Command("system", "[TEXT|off]", "show or set the system prompt", adjust.system),
    Command(
        "preset", "[NAME [VARIABLE=VALUE]…|none]", "show the presets or change to one; the conversation stays",
        adjust.preset, candidates=adjust.preset_names,
    ),
    Command(
        "model", "[NAME|FILE]", "show or change the model; the conversation stays",
        adjust.model, candidates=adjust.model_names,
    ),
    Command(
        "set", "[NAME VALUE|NAME off]", "show or set temperature, top_p, seed, max_tokens, …",
        adjust.set_value, candidates=adjust.value_names,
    ),
    Command("sessions", "", "the latest chats and answers that are kept", sessions.sessions),
    Command("resume", "[ID]", "go on with another session", sessions.resume, candidates=sessions.session_ids),
    Command("search", "WORDS", "messages of all sessions with these words", sessions.search),
    Command("title", "TEXT", "call this chat something else", sessions.title, sessions.why_not_kept),
    Command("export", "FILE", "write this conversation to a .md, .json, .txt or .html file",
            sessions.export, sessions.why_not_kept, paths),
    Command("private", "[off]", "begin a chat of which nothing is written", sessions.private),
    Command("why", "", "what made the last answer: model, seed, sampling, what it saw", sessions.why, with_answer),
    Command("replay", "[N]", "make the last answer, or the Nth, again from its record, and show what differs",
            replay.replay, replay.why_not_replay, replay.answer_numbers),
    Command("context", "", "what fills the context, message by message", show.context),
    Command("tokens", "[TEXT]", "the tokens of a text, or of what the model sees", show.tokens),
    Command("thoughts", "", "what the model thought before its last answer", show.thoughts, with_answer),
    Command("stats", "[on|off]", "what the last answer took; on: after each", show.stats),
    Command("exit", "", "leave (or Ctrl-D)", talk.leave),
)  # fmt: skip
