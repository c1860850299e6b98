"""The raw loop's process, from the parent's side."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from llamachat.bench.values import RawContext, RawModel, Sample
from llamachat.engine.ladder import describe_exit
from llamachat.engine.launch import discard, launch
from llamachat.errors import EngineDied

RAW = (sys.executable, "-P", "-m", "llamachat.bench.raw")


class RawProcess:
    """llama.cpp in a child with nothing around it. `command` starts it; `log` gets what it prints.

    Every method raises EngineDied when the child ends or refuses.
    """

    def __init__(self, log: Path, model: RawModel, command: Sequence[str] = RAW) -> None:
        self._log = log
        self._child: subprocess.Popen[bytes] = launch(log, command)
        self._threads: dict[str, int] = {}
        try:
            self._ask({"load": asdict(model)})
        except BaseException:  # Ctrl-C, too: nobody else knows of the child
            self.close()
            raise

    def open(self, name: str, context: RawContext) -> None:
        """Make a context under a name; one that has it already is replaced."""
        self._ask({"open": name, "context": asdict(context)})
        self._threads[name] = context.n_threads

    def measure(self, tokens: Sequence[int], n_write: int, *, name: str = "", n_threads: int = 0) -> Sample:
        """Evaluate a prompt and write so many tokens, in the context of this name; with its own threads, or so many."""
        request = {"measure": name, "tokens": list(tokens), "n_write": n_write}
        return Sample(**self._ask({**request, "n_threads": n_threads or self._threads[name]}))

    def close(self) -> None:
        discard(self._child)

    def _ask(self, request: dict[str, Any]) -> Any:
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        try:
            self._child.stdin.write(json.dumps(request).encode() + b"\n")
            self._child.stdin.flush()
            line = self._child.stdout.readline()
        except OSError:
            line = b""
        answer = json.loads(line) if line.endswith(b"\n") else {"error": f"it ended with {self._end()}"}
        if "error" in answer:
            raise EngineDied(f"the raw llama.cpp loop failed: {answer['error']}.", f"Its log: {self._log}")
        return answer["done"]

    def _end(self) -> str:
        self._child.kill()
        return describe_exit(self._child.wait())
