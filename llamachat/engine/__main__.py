"""The engine process: `python -m llamachat.engine LOG`.

Its standard input and output are the pipe of frames (protocol.py). It moves them out of reach before
anything else is loaded, and sends what native code prints to LOG.
"""

from __future__ import annotations

import os
import signal
import sys
import threading

from llamachat.engine.channel import Channel, Jobs
from llamachat.engine.ladder import REBUILD
from llamachat.engine.protocol import Failed, Stay
from llamachat.errors import ExitCode

_SWITCH_SECONDS = 0.0005  # Python's own 5 ms would delay a token whenever the other thread has something to do


def main() -> None:
    """Serve requests until a Close, a Stay or the end of the pipe. Ctrl-C is llamachat's to handle."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.setswitchinterval(_SWITCH_SECONDS)
    channel = _take_over_streams(sys.argv[1])
    try:
        from llamachat.engine.worker import Worker  # noqa: PLC0415  loads llama.cpp, which may fail
    except (ImportError, OSError, RuntimeError) as error:
        hint = f"To build it anew: {REBUILD}"
        channel.send(Failed(0, ExitCode.ENGINE, f"llama.cpp cannot be loaded: {error}.", hint))
        return
    worker = Worker(channel)
    jobs = Jobs(worker.abort, worker.answer_at_once)
    threading.Thread(target=channel.listen, args=(jobs.receive,), daemon=True).start()
    end = worker.run(channel, jobs)
    if isinstance(end, Stay):
        from llamachat.engine.stay import stay  # noqa: PLC0415  socket, which few need

        stay(worker, channel, end)
    worker.finish()
    os._exit(0)  # what native code would do at an orderly end, nobody waits for


def _take_over_streams(log: str) -> Channel:
    """The pipe on descriptors of its own; 0 reads nothing, 1 and 2 write to the log."""
    incoming, outgoing = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDONLY)
    log_file = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.dup2(null, 0)
    os.dup2(log_file, 1)
    os.dup2(log_file, 2)
    if sys.platform == "win32":
        import msvcrt  # noqa: PLC0415

        for descriptor in (incoming, outgoing):
            msvcrt.setmode(descriptor, os.O_BINARY)
    return Channel(incoming, outgoing)


if __name__ == "__main__":
    main()
