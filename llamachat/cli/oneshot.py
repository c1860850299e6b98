"""One question, one answer, and out: for scripts and editors."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from llamachat.chat.conversation import Conversation
from llamachat.chat.turn import Settings, answer_despite_crash
from llamachat.choices import Choices
from llamachat.cli.assemble import Child, choose, make_engine, make_library
from llamachat.cli.options import ChatOptions
from llamachat.cli.output import encode_answer, write_json
from llamachat.cli.prompt import Prompt, read
from llamachat.engine.base import Delta, Finished, Loading, Notice, Reading
from llamachat.engine.process import EngineProcess
from llamachat.environment import Environment
from llamachat.errors import ExitCode, ForbiddenTag
from llamachat.types import FinishReason
from llamachat.ui.answer import AnswerWriter, Harmless, Rendering, Verbatim
from llamachat.ui.background import guess
from llamachat.ui.interrupt import on_interrupt
from llamachat.ui.status import Status, statistics


def is_wanted(options: ChatOptions, environment: Environment) -> bool:
    """Whether there is something to answer at once: words, a file, a conversation or piped input."""
    given = options.prompt or options.files or options.messages is not None or options.dry_run
    return bool(given) or not environment.stdin_is_terminal


def run(options: ChatOptions, environment: Environment, child: Child) -> int:
    """Answer once; the exit code."""
    choices = choose(options.flags, options.variables, environment)
    engine = make_engine(choices, environment, child)
    try:
        engine.start()  # it loads while the input is read
        prompt = read(options, choices, environment)
        try:
            with on_interrupt(engine.interrupt):
                act = _dry_run if options.dry_run else _answer
                return act(prompt, choices, environment, engine, as_json=options.json)
        except ForbiddenTag as error:
            raise prompt.place(error) from error
    finally:
        engine.close()


def _dry_run(
    prompt: Prompt, choices: Choices, environment: Environment, engine: EngineProcess, *, as_json: bool
) -> int:
    rendered = engine.render(Settings.of(choices).request(prompt.messages))
    if as_json:
        context = {"size": rendered.context.size, "used": rendered.context.used, "dropped_turns": 0}
        shown = {"prompt": rendered.text, "tokens": rendered.tokens, "n_tokens": len(rendered.tokens)}
        write_json(environment.stdout, {**shown, "context": context})
    else:
        writer = AnswerWriter(environment, Harmless(), lambda: None)
        writer.write(rendered.text)
        writer.end()
    return ExitCode.DONE


def _rendering(choices: Choices, environment: Environment, status: Status) -> Rendering:
    """How the answer is shown. A terminal is not asked for its background: that takes a moment."""
    if not environment.stdout_is_terminal:
        return Verbatim()
    from llamachat.cli.look import is_raw, theme_for  # noqa: PLC0415  not in a pipe
    from llamachat.ui.formatted import make_rendering  # noqa: PLC0415

    theme = theme_for(choices, guess(environment.variables), environment)
    raw = is_raw(choices, environment)
    return make_rendering(environment, theme, status, raw=raw, hint="--raw shows them")


def _answer(prompt: Prompt, choices: Choices, environment: Environment, engine: EngineProcess, *, as_json: bool) -> int:
    conversation = Conversation.of(prompt.messages)
    settings = Settings.of(choices)
    status = Status(environment, quiet=choices.switch("quiet") or as_json, plain=choices.switch("plain"))
    writer = AnswerWriter(
        environment, _rendering(choices, environment, status), status.clear, stream=choices.switch("stream")
    )
    finished: Finished | None = None
    try:
        for event in answer_despite_crash(conversation, engine, settings):
            match event:
                case Loading() | Reading():
                    status.progress(event)
                case Delta() if not as_json:
                    writer.write(event.text)
                case Notice():
                    writer.break_line()
                    status.notice(event.text)
                case Finished():
                    finished = event
    finally:
        status.clear()
        if conversation.answer and not as_json:
            writer.end()
    assert finished is not None
    make_library(environment).touch(Path(engine.options.path), datetime.now(UTC))
    if as_json:
        info = engine.info
        model = {"name": info.name, "path": info.path, "sha256": None} if info else {}
        text = conversation.answer.content if conversation.answer else ""
        write_json(environment.stdout, encode_answer(text, finished, model))
    if finished.reason is FinishReason.LENGTH and settings.max_tokens is None:
        status.notice(f"The answer ends where the context of {finished.context.size:,} tokens is full.")
    if choices.switch("verbose"):
        status.line(statistics(finished))
    return ExitCode.INTERRUPTED if finished.reason is FinishReason.INTERRUPTED else ExitCode.DONE
