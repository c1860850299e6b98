"""One question, one answer, and out: for scripts and editors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

from llamachat.chat.conversation import Conversation
from llamachat.chat.events import NotSummarised, Summarised, Summarising
from llamachat.chat.keeping import Head, Keeping
from llamachat.chat.transcript import Transcript, title_of
from llamachat.chat.turn import Settings, answer_despite_crash, view_of
from llamachat.choices import Choices
from llamachat.cli.assemble import Child, choose, make_engine, make_library, why_not_warm
from llamachat.cli.errand import errand_of
from llamachat.cli.keep import Kept, as_it_was, its_model
from llamachat.cli.options import ChatOptions
from llamachat.cli.output import encode_answer, say, write_json
from llamachat.cli.prompt import Prompt, read
from llamachat.engine.base import Delta, Finished, Loading, Notice, Reading, Waiting
from llamachat.engine.process import EngineProcess
from llamachat.environment import Environment
from llamachat.errors import (
    ContextOverflow,
    ExitCode,
    ForbiddenTag,
    Interrupted,
    ModelError,
    StorageError,
    UsageError,
)
from llamachat.presets import Shelf
from llamachat.types import FinishReason, Role
from llamachat.ui.answer import AnswerWriter, Harmless, Rendering, Verbatim
from llamachat.ui.background import guess
from llamachat.ui.interrupt import on_interrupt
from llamachat.ui.sanitise import sanitise
from llamachat.ui.status import Status, statistics


def run(options: ChatOptions, environment: Environment, child: Child | None) -> int:
    """Answer once; the exit code."""
    choices = choose(options.flags, options.variables, environment)
    kept = Kept(environment, lambda line: say(environment, f"llamachat: {line}"), strict=True)
    transcript = kept.find(options, choices)
    if transcript:
        choices = as_it_was(choices, transcript, Shelf(environment.paths.presets))
    with its_model(transcript, choices):
        engine = make_engine(choices, environment, child, stays=True, errand=errand_of(options, choices, environment))
    try:
        if child is not None or environment.stdin_is_terminal:  # an engine that stayed is not kept waiting for a pipe
            engine.start()  # it loads while the input is read
        prompt = read(options, choices, environment)
        if transcript:
            earlier = transcript.conversation()
            earlier.step_back()
            prompt = prompt.after(earlier)
        try:
            with on_interrupt(engine.interrupt):
                if options.dry_run:
                    conversation = _conversation(prompt, choices, transcript)
                    return _dry_run(conversation, choices, environment, engine, as_json=options.json)
                try:
                    conversation, keeping = _kept_conversation(prompt, choices, engine, kept, transcript)
                except StorageError as error:
                    hint = f"With --no-save it answers all the same. {error.hint}"
                    raise StorageError(error.message, hint) from error
                with _withdrawn_if_refused(conversation, keeping):
                    return _answer(conversation, keeping, choices, environment, engine, as_json=options.json)
        except ForbiddenTag as error:
            raise prompt.place(error) from error
    finally:
        engine.close()
        kept.close()


@contextmanager
def _withdrawn_if_refused(conversation: Conversation, keeping: Keeping | None) -> Iterator[None]:
    """A question that this model does not take has said nothing to anybody: it is no session."""
    try:
        yield
    except (UsageError, ContextOverflow, ModelError):
        if keeping and not conversation.has_answer:
            with suppress(StorageError):  # the refusal is the error to be told
                keeping.withdraw()
        raise


def _kept_conversation(
    prompt: Prompt, choices: Choices, engine: EngineProcess, kept: Kept, transcript: Transcript | None
) -> tuple[Conversation, Keeping | None]:
    """The conversation to answer, written down already, unless nothing is to be."""
    if not choices.switch("sessions.save"):
        return _conversation(prompt, choices, transcript), None
    if transcript:
        keeping = kept.keep_on(transcript)
        return _conversation(prompt, choices, transcript, keeping), keeping
    keeping = kept.keep()
    system = prompt.messages[0].content if prompt.messages[0].role is Role.SYSTEM else None
    title = title_of(sanitise(next((each.content for each in prompt.messages if each.role is Role.USER), "")))
    keeping.begin(Head(title, engine.options.name, choices.text("preset"), system, True, engine.options.path))
    return _conversation(prompt, choices, None, keeping), keeping


def _conversation(
    prompt: Prompt, choices: Choices, transcript: Transcript | None, keeping: Keeping | None = None
) -> Conversation:
    """What is to be answered; one that goes on has its pins and summaries."""
    if transcript is None:
        return Conversation.of(prompt.messages, keeping)
    conversation = transcript.conversation()
    conversation.system = choices.text("system")
    if keeping:
        conversation.keeper = keeping
    conversation.step_back()
    conversation.add(prompt.messages[-1])
    return conversation


def _dry_run(
    conversation: Conversation, choices: Choices, environment: Environment, engine: EngineProcess, *, as_json: bool
) -> int:
    for _ in engine.wait_until_loaded():
        pass
    settings = replace(Settings.of(choices), pinned=frozenset(conversation.pinned))
    view = view_of(conversation, engine, settings)
    rendered = engine.render(settings.request_for(view))
    if as_json:
        context = asdict(replace(rendered.context, dropped_turns=len(view.dropped)))
        shown = {"prompt": rendered.text, "tokens": rendered.tokens, "n_tokens": len(rendered.tokens)}
        write_json(environment.stdout, {**shown, "context": context})
    else:
        writer = AnswerWriter(environment, Harmless(), lambda: None)
        writer.write(rendered.text)
        writer.end()
    return ExitCode.DONE


def _rendering(choices: Choices, environment: Environment, status: Status, engine: EngineProcess) -> Rendering:
    """How the answer is shown. A terminal is not asked for its background: that takes a moment."""
    if not environment.stdout_is_terminal:
        return Verbatim()
    from llamachat.cli.look import is_raw, theme_for  # noqa: PLC0415  not in a pipe
    from llamachat.ui.formatted import make_rendering  # noqa: PLC0415

    theme = theme_for(choices, guess(environment.variables), environment)
    raw = is_raw(choices, environment)

    def opens_thought() -> bool:
        return bool(engine.info and engine.info.opens_thought)

    return make_rendering(
        environment, theme, status, raw=raw, hint="--raw shows them", opens_thought=opens_thought
    )  # fmt: skip


def _answer(
    conversation: Conversation, keeping: Keeping | None, choices: Choices, environment: Environment,
    engine: EngineProcess, *, as_json: bool,
) -> int:  # fmt: skip
    settings = replace(Settings.of(choices), pinned=frozenset(conversation.pinned))
    status = Status(environment, quiet=choices.switch("quiet") or as_json, plain=choices.switch("plain"))
    writer = AnswerWriter(
        environment, _rendering(choices, environment, status, engine), status.clear, stream=choices.switch("stream")
    )
    if reason := why_not_warm(choices):
        status.notice(reason)
    finished: Finished | None = None
    try:
        for event in answer_despite_crash(conversation, engine, settings):
            match event:
                case Loading() | Reading():
                    status.progress(event)
                case Waiting():
                    status.wait(event, writer.break_line)
                case Delta() if not as_json:
                    writer.write(event.text)
                case Notice():
                    writer.break_line()
                    status.notice(event.text)
                case Summarising():
                    status.show(event.text)
                case NotSummarised() if event.stopped:
                    raise Interrupted("stopped before the first word.")
                case Summarised() | NotSummarised():
                    status.notice(event.line)
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
        model = {"name": info.name, "path": info.path, "sha256": info.sha256} if info else {}
        session = keeping.session if keeping else None
        text = conversation.answer.content if conversation.answer else ""
        write_json(environment.stdout, encode_answer(text, finished, model, session))
    if finished.reason is FinishReason.LENGTH and settings.max_tokens is None:
        status.notice(f"The answer ends where the context of {finished.context.size:,} tokens is full.")
    if choices.switch("verbose"):
        status.line(statistics(finished))
    return ExitCode.INTERRUPTED if finished.reason is FinishReason.INTERRUPTED else ExitCode.DONE
