"""The chat at a terminal: puts the REPL together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from llamachat.cli.assemble import Child, choose, make_engine, make_library
from llamachat.cli.faults import log_fault
from llamachat.cli.keep import Kept, as_it_was
from llamachat.cli.look import background_for, is_plain, theme_for
from llamachat.cli.options import ChatOptions
from llamachat.cli.output import say
from llamachat.cli.welcome import greet
from llamachat.environment import Environment
from llamachat.errors import ExitCode
from llamachat.models.library import NoModel
from llamachat.presets import Shelf
from llamachat.ui import repl
from llamachat.ui.chat import Chat, Outside
from llamachat.ui.completion import ChatCompleter
from llamachat.ui.history import History
from llamachat.ui.keyboard import Keyboard, open_keyboard
from llamachat.ui.prompt import Prompt
from llamachat.ui.resize import rewraps
from llamachat.ui.screen import Screen
from llamachat.ui.theme import Background
from llamachat.ui.toolbar import Fragments, toolbar


def run(options: ChatOptions, environment: Environment, child: Child) -> int:
    """Chat until the user leaves; the exit code."""
    choices = choose(options.flags, options.variables, environment)
    shelf = Shelf(environment.paths.presets)
    kept = Kept(environment, lambda line: say(environment, f"llamachat: {line}"))
    transcript = kept.find(options)
    if transcript:
        choices = as_it_was(choices, transcript, shelf)
    try:
        engine = make_engine(choices, environment, child)
    except NoModel:
        from llamachat.cli import first  # noqa: PLC0415  what pulls a model, 15 ms that are needed once

        first.offer(choices, environment)
        engine = make_engine(choices, environment, child)
    engine.start()  # it loads while the line editor is set up
    quiet, plain = choices.switch("quiet"), is_plain(choices, environment)
    keyboard = open_keyboard(environment, asks_background=choices.text("theme") == "auto" and not plain)
    themes = {background: theme_for(choices, background, environment) for background in Background}
    screen = Screen(
        environment, lambda: themes[keyboard.background], quiet=quiet, plain=plain, raw=choices.switch("raw")
    )
    history_file = environment.paths.history
    is_newcomer, history = not history_file.exists(), History(history_file)
    chat = Chat(engine, choices, shelf, screen, _outside(environment, screen, keyboard, history, kept))
    try:
        with keyboard:
            prompt = _prompt(chat, keyboard, history, environment, plain=plain)
            if not quiet:
                greet(screen, engine.options, is_newcomer=is_newcomer)
            if transcript:
                chat.take_up(transcript)
            repl.run(chat, prompt)
            if not quiet:
                chat.say_goodbye()
    finally:
        chat.engine.close()
        kept.close()
    return ExitCode.DONE


def _outside(environment: Environment, screen: Screen, keyboard: Keyboard, history: History, kept: Kept) -> Outside:
    def edit(text: str) -> str:
        from llamachat.ui.external_editor import edit_text  # noqa: PLC0415  not before the first prompt

        with keyboard.lent():
            return edit_text(text, environment)

    def record_input(wanted: bool) -> None:
        history.recording = wanted

    def copy_text(text: str) -> str:
        from llamachat.ui.clipboard import copy  # noqa: PLC0415  not before the first prompt

        return copy(text, _for_sequences(environment), screen.write)

    return Outside(
        make_engine=lambda choices: make_engine(choices, environment),
        models=lambda: sorted(model.name for model in make_library(environment).installed()),
        log_fault=lambda error: log_fault(error, environment.paths),
        on_answer=lambda path: make_library(environment).touch(path, datetime.now(UTC)),
        edit=edit,
        copy=copy_text,
        record_input=record_input,
        keep=kept.keep,
        keep_on=kept.keep_on,
        store=kept.store,
        as_it_was=lambda choices, transcript: as_it_was(choices, transcript, Shelf(environment.paths.presets)),
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
    )
    keyboard.on_background = prompt.redraw
    return prompt
