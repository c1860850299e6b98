"""An engine that is started only to hear what it says of itself: llama.cpp is loaded, no model."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from pathlib import Path

from llamachat.engine.ladder import describe_exit
from llamachat.engine.launch import WORKER, discard, launch
from llamachat.engine.pipe import FrameError, FrameReader
from llamachat.engine.protocol import Failed, Hello, Up, error_of
from llamachat.errors import EngineDied

_PATIENCE = 30.0  # seconds; a cold disk takes two


def probe(log: Path, command: Sequence[str] = WORKER, patience: float = _PATIENCE) -> Hello:
    """What the engine says when it is up. Raises EngineDied with the reason it is not."""
    child = launch(log, command)
    assert child.stdout is not None
    descriptor = child.stdout.fileno()
    timer = threading.Timer(patience, child.kill)
    timer.start()
    try:
        frame = FrameReader(lambda n: os.read(descriptor, n), Up).next()
        if frame is None:
            raise EngineDied(f"llama.cpp ends as it is loaded ({_end(child.wait(), timer)}).", f"Its log: {log}")
    except FrameError as error:
        raise EngineDied(f"the engine sent {error}.", f"Its log: {log}") from error
    finally:
        timer.cancel()
        discard(child)
    if isinstance(frame, Failed):
        raise error_of(frame)
    if not isinstance(frame, Hello):
        raise EngineDied(f"the engine began with {type(frame).__name__}.", f"Its log: {log}")
    return frame


def _end(returncode: int, timer: threading.Timer) -> str:
    """How it ended, in words."""
    return describe_exit(returncode) if timer.is_alive() else "it did not answer"
