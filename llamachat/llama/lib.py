"""The only import of the llama.cpp binding, and what its C API needs to be used safely.

Importing this module loads the shared library (about 25 ms). The binding's package `__init__` pulls in
numpy, jinja2 and more for its high-level class; a stub package in its place leaves that out.

Everything C keeps a pointer to (callbacks, flag buffers) is owned by an object that its user keeps alive.
"""

from __future__ import annotations

import ctypes
import importlib.util
import re
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar


def _import_binding() -> Any:
    """The module `llama_cpp.llama_cpp`, without executing `llama_cpp/__init__.py`.

    Raises ImportError when it is not installed, RuntimeError or OSError when the library cannot be loaded.
    """
    spec = importlib.util.find_spec("llama_cpp")
    if spec is None or spec.submodule_search_locations is None:
        raise ImportError("llama-cpp-python is not installed")
    if "llama_cpp" not in sys.modules:
        package = types.ModuleType("llama_cpp")
        package.__path__ = list(spec.submodule_search_locations)
        package.__spec__ = spec
        sys.modules["llama_cpp"] = package
    return importlib.import_module("llama_cpp.llama_cpp")


C = _import_binding()

GGML_TYPES = {"f16": 1, "q8_0": 8}
LOG_ERROR, LOG_CONTINUES = 4, 5  # ggml_log_level; the binding's own table is off by one
DEVICE_GPU, DEVICE_INTEGRATED_GPU = 1, 2  # ggml_backend_dev_type
_WEIGHTS_BUFFER = re.compile(r"(\S+) model buffer size")
_ABI = {  # of llama.cpp 0c1e57098, which llama-cpp-python 0.3.36 carries
    "llama_model_params": 80,
    "llama_context_params": 160,
}


class AbiMismatch(RuntimeError):
    """The binding's structures are not the ones this code was written for."""


def check_abi() -> None:
    """Raise AbiMismatch unless the structures have the size and defaults that we rely on."""
    for name, size in _ABI.items():
        if (found := ctypes.sizeof(getattr(C, name))) != size:
            raise AbiMismatch(f"{name} has {found} bytes, expected {size}")
    model, context = C.llama_model_default_params(), C.llama_context_default_params()
    if not (model.n_gpu_layers == -1 and model.use_extra_bufts and context.n_ctx == 512 and context.type_k == 1):
        raise AbiMismatch("the default parameters are not in their places")


def ggml(name: str, restype: Any, *argtypes: Any) -> Any:
    """The ggml function `name`. Beside libllama on Linux and macOS, in libraries of their own on Windows."""
    for library in _libraries():
        if (function := getattr(library, name, None)) is not None:
            function.restype, function.argtypes = restype, list(argtypes)
            return function
    raise AttributeError(name)


def _libraries() -> list[Any]:
    if sys.platform != "win32":
        return [C._lib]
    folder = Path(C._lib._name).parent
    return [C._lib, *(ctypes.CDLL(str(path)) for path in sorted(folder.glob("ggml*.dll")))]


def build_description() -> str:
    """This llama.cpp's version and the processor features it was built for."""
    features = C.llama_print_system_info().decode().split(" | ")
    used = [feature.partition(" = ")[0].removeprefix("CPU : ") for feature in features if feature.endswith(" = 1")]
    return f"llama.cpp {C.llama_version().decode()} ({' '.join(used)})"


class Log:
    """Routes what llama.cpp and ggml log to `write`, and remembers the last error lines.

    `buffers` are the names of those that weights were put into: nothing else tells them. Install it before anything
    else: enumerating devices logs too. It stays until there is another.
    """

    _installed: ClassVar[Log | None] = None  # llama.cpp calls it as long as the process lives

    def __init__(self, write: Callable[[str], None]) -> None:
        Log._installed = self
        self.errors: list[str] = []
        self.buffers: list[str] = []
        self._write = write
        self._level = 0
        self._callback = C.llama_log_callback(self._receive)
        C.llama_log_set(self._callback, None)

    def _receive(self, level: int, text: bytes, _user_data: Any) -> None:
        line = text.decode("utf-8", "replace")
        self._level = level if level != LOG_CONTINUES else self._level
        if self._level == LOG_ERROR and line.strip():
            self.errors = [*self.errors[-7:], line.strip()]
        if buffer := _WEIGHTS_BUFFER.search(line):
            self.buffers.append(buffer[1])
        self._write(line)


class AbortFlag:
    """Stops a running `llama_decode` from any thread.

    llama.cpp asks its abort callback after every graph node. A Python function there would fight for
    the interpreter's lock (0.4 s a token with another thread busy); C's `strlen` over a one-character
    buffer is the same predicate, "the first byte is not zero", at no cost.
    """

    def __init__(self) -> None:
        runtime = ctypes.CDLL("ucrtbase" if sys.platform == "win32" else None)
        self._buffer = ctypes.create_string_buffer(2)
        self.callback = C.ggml_abort_callback(ctypes.cast(runtime.strlen, ctypes.c_void_p).value)
        self.data = ctypes.cast(self._buffer, ctypes.c_void_p)

    def raise_(self) -> None:
        self._buffer[0] = b"\1"

    def lower(self) -> None:
        self._buffer[0] = b"\0"

    def __bool__(self) -> bool:
        return self._buffer[0] != b"\0"


@dataclass(frozen=True, slots=True)
class Device:
    """A compute device of ggml's. Memory in bytes; on a CPU `free` equals `total`."""

    handle: int
    name: str
    description: str
    is_gpu: bool
    free: int
    total: int


def devices() -> list[Device]:
    """Every device this build can use on this machine, the CPU last."""
    handle = ggml("ggml_backend_dev_get", ctypes.c_void_p, ctypes.c_size_t)
    count = ggml("ggml_backend_dev_count", ctypes.c_size_t)()
    return [_device(handle(index)) for index in range(count)]


def _device(handle: int) -> Device:
    name = ggml("ggml_backend_dev_name", ctypes.c_char_p, ctypes.c_void_p)(handle)
    description = ggml("ggml_backend_dev_description", ctypes.c_char_p, ctypes.c_void_p)(handle)
    kind = ggml("ggml_backend_dev_type", ctypes.c_int, ctypes.c_void_p)(handle)
    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    pointers = (ctypes.POINTER(ctypes.c_size_t),) * 2
    ggml("ggml_backend_dev_memory", None, ctypes.c_void_p, *pointers)(handle, free, total)
    is_gpu = kind in (DEVICE_GPU, DEVICE_INTEGRATED_GPU)
    return Device(handle, name.decode(), description.decode(), is_gpu, free.value, total.value)


class ExtraBuffers:
    """The CPU backend's extra buffer types: weights laid out anew for AMX or for wider vectors.

    ggml keeps them in a static, NULL-terminated array in the order it prefers them, and offers no way to
    drop one. Removing an entry in place does (llama.cpp issue 20824: AMX crashes in builds by a compiler
    that drops its tile configuration). Call `drop` after `llama_backend_init` and before any load.
    """

    def __init__(self) -> None:
        self._array = self._find()
        self._name = ggml("ggml_backend_buft_name", ctypes.c_char_p, ctypes.c_void_p)

    @staticmethod
    def _find() -> Any:
        """The array, or None where this build has none."""
        pointer = ctypes.c_void_p
        cpu = ggml("ggml_backend_dev_by_type", pointer, ctypes.c_int)(0)
        if not cpu:
            return None
        registry = ggml("ggml_backend_dev_backend_reg", pointer, pointer)(cpu)
        address = ggml("ggml_backend_reg_get_proc_address", pointer, pointer, ctypes.c_char_p)(
            registry, b"ggml_backend_dev_get_extra_bufts"
        )
        if not address:
            return None
        return ctypes.CFUNCTYPE(ctypes.POINTER(pointer), pointer)(address)(cpu)

    def _entries(self) -> list[int]:
        found: list[int] = []
        while self._array and self._array[len(found)]:
            found.append(self._array[len(found)])
        return found

    def names(self) -> list[str]:
        return [self._name(entry).decode() for entry in self._entries()]

    def drop(self, name: str) -> bool:
        """Take the buffer type out of the array; False when it is not there."""
        entries = self._entries()
        kept = [entry for entry in entries if self._name(entry).decode() != name]
        for index in range(len(entries)):
            self._array[index] = kept[index] if index < len(kept) else None
        return len(kept) < len(entries)
