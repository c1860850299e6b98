"""`llamachat --tune`: measures what suits the chosen model on this machine, and shows what was tried."""

from __future__ import annotations

from contextlib import closing
from dataclasses import asdict
from typing import Any

from llamachat.cli.assemble import Child, choose, make_engine
from llamachat.cli.options import ChatOptions
from llamachat.cli.output import say, write_json, write_table, write_text
from llamachat.engine.base import Notice
from llamachat.engine.protocol import TuneDone, TuneStep
from llamachat.engine.tunings import in_words
from llamachat.environment import Environment
from llamachat.errors import ExitCode
from llamachat.ui.interrupt import on_interrupt
from llamachat.ui.status import Status

_HEAD = ("tried", "", "time, of the default's", "")
_BUSY = "this machine is too busy to tell, and the defaults stay. Try again when it is quiet."


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
                    case _:
                        status.progress(event)
        finally:
            status.clear()
    assert found is not None
    if options.json:
        write_json(environment.stdout, _as_json(engine.options.path, found))
    else:
        _show(engine.name, found, environment)
    if not choices.switch("engine.tune"):
        say(environment, "llamachat: engine.tune is false, so none of it is used.")
    return ExitCode.DONE


def _show(name: str, found: TuneDone, environment: Environment) -> None:
    rows = [(each.what, each.value, f"{each.ratio:.2f}", "chosen" if each.chosen else "") for each in found.tried]
    if rows:
        write_table(environment, [_HEAD, *rows])
    write_text(environment, f"{name}: {in_words(found.tuned) if found.tuned else _BUSY}")


def _as_json(path: str, found: TuneDone) -> dict[str, Any]:
    return {
        "path": path,
        "tuned": asdict(found.tuned) if found.tuned else None,
        "tried": [asdict(each) for each in found.tried],
    }
