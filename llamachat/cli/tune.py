"""`llamachat --tune`: measures what suits the chosen model on this machine, and shows what was tried."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict

from llamachat.cli.assemble import Child, choose, make_engine
from llamachat.cli.options import ChatOptions
from llamachat.cli.output import say, write_json, write_table, write_words
from llamachat.engine.base import Loading, Notice, Waiting
from llamachat.engine.protocol import TuneDone, TuneStep
from llamachat.engine.tunings import in_words
from llamachat.environment import Environment
from llamachat.errors import ExitCode
from llamachat.types import Tried, Tuned
from llamachat.ui.interrupt import on_interrupt
from llamachat.ui.status import Status

_HEAD = ("tried", "", "time, of the default's", "")


def run(options: ChatOptions, environment: Environment, child: Child | None) -> int:
    """Measure, remember and show; the exit code. Raises Interrupted, ModelError, UsageError."""
    choices = choose(options.flags, options.variables, environment)
    status = Status(environment, quiet=choices.switch("quiet") or options.json, plain=choices.switch("plain"))
    engine = make_engine(choices, environment, child, tuned=False)
    found: TuneDone | None = None
    with closing(engine), on_interrupt(engine.interrupt):
        try:
            for event in engine.tune():
                match event:
                    case TuneStep():
                        status.show(f"measuring {event.what}…")
                    case Notice():
                        status.notice(event.text)
                    case TuneDone():
                        found = event
                    case Waiting():
                        status.wait(event)
                    case Loading():
                        status.progress(event)
        finally:
            status.clear()
    assert found is not None and found.tuned is not None
    if options.json:
        tried = [asdict(each) for each in found.tried]
        write_json(environment.stdout, {"path": engine.options.path, "tuned": asdict(found.tuned), "tried": tried})
    else:
        _show(engine.name, found.tuned, found.tried, environment)
    if not choices.switch("engine.tune"):
        say(environment, "llamachat: engine.tune is false, so none of it is used.")
    return ExitCode.DONE


def _show(name: str, tuned: Tuned, tried: Sequence[Tried], environment: Environment) -> None:
    rows = [(each.what, each.value, f"{each.ratio:.2f}", "chosen" if each.chosen else "") for each in tried]
    if rows:
        write_table(environment, [_HEAD, *rows])
    write_words(environment, f"{name}: {in_words(tuned)}")
