"""What to turn off when native code crashes, in which order, and what was learned of it.

A crash while loading or at the first tokens is a fault of this build of llama.cpp on this machine: it
will come again. So the engine is started one rung safer, and the rung that works is remembered, for
this build, processor and family of models.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import platform
import re
import signal
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import IntEnum
from pathlib import Path

import msgspec

from llamachat.engine.protocol import Hello
from llamachat.types import LoadOptions, Tuned

_FAULTS = {"SIGSEGV", "SIGABRT", "SIGILL", "SIGBUS", "SIGFPE"}
_WINDOWS_FAULTS = range(0xC0000000, 0xD0000000)  # NTSTATUS errors: access violation, illegal instruction, ...


class Rung(IntEnum):
    """How much is switched off; each rung includes those before it."""

    AS_CONFIGURED = 0
    NO_AMX = 1
    NO_EXTRA_BUFFERS = 2
    NO_FLASH_ATTENTION = 3
    NO_GPU = 4


REBUILD = "llamachat doctor --fix"
COSTS = {
    Rung.NO_AMX: "without AMX: prompts are read up to 4 times slower",
    Rung.NO_EXTRA_BUFFERS: "without repacked weights: answers come up to 1.6 times slower",
    Rung.NO_FLASH_ATTENTION: "without flash attention: long conversations are slower and take more memory",
    Rung.NO_GPU: "without the GPU: everything is many times slower",
}


def describe_exit(returncode: int) -> str:
    """How a process ended, in words: `SIGSEGV`, `exit code 70`. 0 is of one that was not ours to wait for."""
    if returncode == 0:
        return "without a word"
    if returncode < 0:
        with suppress(ValueError):
            return signal.Signals(-returncode).name
    return f"exit code {returncode:#x}" if returncode in _WINDOWS_FAULTS else f"exit code {returncode}"


def is_native_crash(fault: str) -> bool:
    """Whether what `describe_exit` says is a fault of native code, which another rung may avoid."""
    return fault in _FAULTS or fault.startswith("exit code 0xc")


def apply(options: LoadOptions, rung: Rung) -> LoadOptions:
    """The options with everything off that this rung switches off."""
    return replace(
        options,
        use_amx=rung < Rung.NO_AMX,
        use_extra_buffers=options.use_extra_buffers and rung < Rung.NO_EXTRA_BUFFERS,
        use_flash_attention=rung < Rung.NO_FLASH_ATTENTION,
        use_gpu=rung < Rung.NO_GPU,
    )


def next_rung(rung: Rung, hello: Hello, tuned: Tuned | None = None) -> Rung | None:
    """The next rung that makes a difference on this machine, with what was measured; None when there is none."""
    useful = {
        Rung.NO_AMX: "AMX" in hello.extra_buffers,
        Rung.NO_EXTRA_BUFFERS: bool(hello.extra_buffers),
        Rung.NO_FLASH_ATTENTION: hello.flash_attention or bool(tuned and tuned.flash_attention),
        Rung.NO_GPU: hello.has_gpu,
    }
    return next((safer for safer in Rung if safer > rung and useful[safer]), None)


def notice(rung: Rung) -> str:
    """The one line that says what happened, what it costs and what mends it."""
    return f"This build of llama.cpp crashes on this machine and now runs {COSTS[rung]}. To build it anew: {REBUILD}"


@dataclass(frozen=True, slots=True)
class Ladder:
    """The rungs remembered, in a small file of ours. A file that cannot be read counts as empty."""

    path: Path

    def rung(self, family: str) -> Rung:
        """Where to start for a family of models."""
        if not self.path.exists():
            return Rung.AS_CONFIGURED
        with suppress(ValueError):
            return Rung(self._read().get(self._key(family), 0))
        return Rung.AS_CONFIGURED

    def remember(self, family: str, rung: Rung) -> None:
        """Keep the rung that worked. Failing to write costs one more crash another time, no more."""
        known = {**self._read(), self._key(family): int(rung)}
        with suppress(OSError):
            temporary = self.path.with_suffix(f".{os.getpid()}")
            temporary.touch(0o600)
            temporary.write_bytes(msgspec.json.encode(known))
            temporary.replace(self.path)

    def remembered(self) -> dict[str, Rung]:
        """The rungs of this build and processor that switch something off, by family."""
        begin = self._key("")
        known = {key.removeprefix(begin): rung for key, rung in self._read().items() if key.startswith(begin)}
        return {family: Rung(rung) for family, rung in known.items() if rung in set(Rung) and rung}

    def _read(self) -> dict[str, int]:
        try:
            return msgspec.json.decode(self.path.read_bytes(), type=dict[str, int])
        except (OSError, msgspec.MsgspecError):
            return {}

    @staticmethod
    def _key(family: str) -> str:
        return f"{machine_print()} | {family}"


def machine_print() -> str:
    """Identifies what runs a model here: the build of llama.cpp and the processor."""
    return f"{library_print()} | {_cpu_name()}"


def library_files() -> list[Path]:
    """The files of the installed build of llama.cpp, which are not loaded; none where it is not installed."""
    folder = os.environ.get("LLAMA_CPP_LIB_PATH")
    if not folder:
        spec = importlib.util.find_spec("llama_cpp")
        places = spec.submodule_search_locations if spec else None
        folder = str(Path(next(iter(places))) / "lib") if places else ""
    return sorted(Path(folder).glob("*")) if folder else []


def library_print() -> str:
    """Identifies the installed build of llama.cpp by its files, without loading them."""
    digest = hashlib.blake2b(digest_size=8)
    for file in library_files():
        status = file.stat()
        digest.update(f"{file.name} {status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _cpu_name() -> str:
    with suppress(OSError):
        if match := re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.M):
            return match[1]
    return platform.processor() or platform.machine()
