"""The chat at a terminal: puts the REPL together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from llamachat.chat.transcript import Session
from llamachat.cli.assemble import Child, choose, make_engine, make_library
from llamachat.cli.faults import log_fault
from llamachat.cli.hashes import Hashes
from llamachat.cli.keep import Kept, as_it_was, its_model
from llamachat.cli.look import background_for, is_plain, theme_for
from llamachat.cli.options import ChatOptions
from llamachat.cli.output import say
from llamachat.cli.welcome import greet
from llamachat.environment import Environment
from llamachat.errors import ExitCode
from llamachat.models.index import Index
from llamachat.models.library import NoModel
from llamachat.presets import Shelf
from llamachat.ui import repl
from llamachat.ui.ahead import Ahead
from llamachat.ui.chat import Chat, Outside
from llamachat.ui.completion import ChatCompleter
from llamachat.ui.history import History
from llamachat.ui.keyboard import Keyboard, open_keyboard
from llamachat.ui.prompt import Prompt
from llamachat.ui.resize import rewraps
from llamachat.ui.screen import Screen
from llamachat.ui.theme import Background
from llamachat.ui.toolbar import Fragments, toolbar


def run(options: ChatOptions, environment: Environment, child: Child | None) -> int:
    """Chat until the user leaves; the exit code."""
    choices = choose(options.flags, options.variables, environment)
    shelf = Shelf(environment.paths.presets)
    kept = Kept(environment, lambda line: say(environment, f"llamachat: {line}"))
    transcript = kept.find(options, choices)
    if transcript:
        choices = as_it_was(choices, transcript, shelf)
    try:
        with its_model(transcript, choices):
            engine = make_engine(choices, environment, child, measures=True)
    except NoModel:
        from llamachat.cli import first  # noqa: PLC0415  what pulls a model, 15 ms that are needed once

        first.offer(choices, environment)
        engine = make_engine(choices, environment, child, measures=True)
    hashes = Hashes(Index(environment.paths.models))
    hashes.watch(engine).start()  # it loads while the line editor is set up
    quiet, plain = choices.switch("quiet"), is_plain(choices, environment)
    keyboard = open_keyboard(environment, asks_background=choices.text("theme") == "auto" and not plain)
    themes = {background: theme_for(choices, background, environment) for background in Background}
    screen = Screen(
        environment, lambda: themes[keyboard.background], quiet=quiet, plain=plain, raw=choices.switch("raw")
    )
    history_file = environment.paths.history
    is_newcomer, history = not history_file.exists(), History(history_file)
    outside = _outside(environment, screen, keyboard, history, kept, hashes, plain=plain)
    chat = Chat(engine, choices, shelf, screen, outside)
    try:
        with keyboard:
            prompt = _prompt(chat, keyboard, history, environment, plain=plain)
            kept.on_saved = prompt.redraw
            if not quiet:
                greet(screen, engine.options, is_newcomer=is_newcomer)
            if transcript:
                chat.take_up(transcript)
            repl.run(chat, prompt)
            if not quiet:
                chat.say_goodbye()
    finally:
        chat.engine.close()
        hashes.close()
        kept.close()
    return ExitCode.DONE


def _outside(
    environment: Environment, screen: Screen, keyboard: Keyboard, history: History, kept: Kept, hashes: Hashes,
    *, plain: bool,
) -> Outside:  # fmt: skip
    def edit(text: str) -> str:
        from llamachat.ui.external_editor import edit_text  # noqa: PLC0415  not before the first prompt

        with keyboard.lent():
            return edit_text(text, environment)

    def on_answer(path: Path) -> None:
        make_library(environment).touch(path, datetime.now(UTC))
        hashes.begin()

    def record_input(wanted: bool) -> None:
        history.recording = wanted

    def copy_text(text: str) -> str:
        from llamachat.ui.clipboard import copy  # noqa: PLC0415  not before the first prompt

        return copy(text, _for_sequences(environment), screen.write)

    def pick(sessions: Sequence[Session]) -> Session | None:
        from llamachat.cli.pick import pick_at  # noqa: PLC0415  not before the first prompt

        with keyboard.fresh():
            return pick_at(keyboard, sessions, kept.store(), screen.theme().glyphs, colour=environment.wants_colour)

    return Outside(
        make_engine=lambda choices: hashes.watch(make_engine(choices, environment, measures=True)),
        models=lambda: sorted(model.name for model in make_library(environment).installed()),
        log_fault=lambda error: log_fault(error, environment.paths),
        on_answer=on_answer,
        edit=edit,
        copy=copy_text,
        record_input=record_input,
        keep=kept.keep,
        keep_on=kept.keep_on,
        store=kept.store,
        as_it_was=lambda choices, transcript: as_it_was(choices, transcript, Shelf(environment.paths.presets)),
        pick=None if plain else pick,
    )


def _for_sequences(environment: Environment) -> Mapping[str, str]:
    """The variables, in which a terminal that we cannot write sequences to is a dumb one."""
    return environment.variables if environment.stderr_is_terminal else {**environment.variables, "TERM": "dumb"}


def _prompt(chat: Chat, keyboard: Keyboard, history: History, environment: Environment, *, plain: bool) -> Prompt:
    def line_below() -> Fragments:
        return toolbar(chat.toolbar(prompt.mode, prompt.hint), environment.columns)

    def commands() -> list[tuple[str, str]]:
        from llamachat.ui.commands import table  # noqa: PLC0415  not before the first prompt

        return [(command.name, command.help) for command in table.allowed(chat)]

    def arguments(name: str, beginning: str) -> Iterable[str]:
        from llamachat.ui.commands import table  # noqa: PLC0415

        return table.candidates(chat, name, beginning)

    prompt = Prompt(
        keyboard,
        history,
        edit=chat.outside.edit,
        say=chat.say,
        toolbar=line_below,
        completer=ChatCompleter(commands, arguments),
        vi=chat.choices.text("keys") == "vi",
        plain=plain,
        colour=environment.wants_colour and not plain,
        background=lambda: background_for(chat.choices, keyboard.background),
        rewraps=rewraps(environment.variables),
        on_draft=Ahead(chat).read,
        on_change=chat.wake,
    )
    keyboard.on_background = prompt.redraw
    return prompt
