"""Which flags llama.cpp is built with on this machine."""

from __future__ import annotations

import ctypes
import re
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

# GCC drops the stores that fill an AMX tile configuration, and the first matrix product then faults:
# https://gcc.gnu.org/bugzilla/show_bug.cgi?id=114098, https://github.com/ggml-org/llama.cpp/issues/20824
KEEP_STORES = "-fno-tree-dse -fno-dse"
# The first minor release without the fault of each GCC series that has it. Older series have no AMX.
MENDED_IN = {11: 5, 12: 4, 13: 3}
COMPILERS = {"CC": ("c", ("cc", "gcc", "clang")), "CXX": ("c++", ("c++", "g++", "clang++"))}
DRIVERS = ("libcuda.so.1", "nvcuda.dll")
NO_COMPILER = "No C++ compiler was found: apt install g++ · xcode-select --install · Visual Studio Build Tools"

_MACRO = re.compile(r"^#define (\w+) (.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Compiler:
    """What a compiler's predefined macros say: its (major, minor) if it is GCC itself, and its target."""

    gcc: tuple[int, int] | None
    x86_64: bool


@dataclass(frozen=True)
class Recipe:
    """The `CMAKE_ARGS` of a build.

    `exact`: a wheel that pip cached must not stand in for it (pip's cache does not know the flags).
    `note` is what a person should know of the choice, `hint` what may mend it if it does not build,
    `fallback` what to build instead.
    """

    cmake_args: str
    exact: bool = False
    note: str = ""
    hint: str = ""
    fallback: Recipe | None = None


def compiler_from_macros(macros: str) -> Compiler:
    """Read what `cc -dM -E` prints. Clang and Intel's compilers pass for GCC 4.2 and more, but name themselves."""
    defined = dict(_MACRO.findall(macros))
    is_gcc = "__GNUC__" in defined and not {"__clang__", "__INTEL_COMPILER"} & defined.keys()
    version = (int(defined["__GNUC__"]), int(defined["__GNUC_MINOR__"])) if is_gcc else None
    return Compiler(version, x86_64="__x86_64__" in defined)


def drops_tile_stores(compiler: Compiler) -> bool:
    """Say whether this is a GCC with bug 114098."""
    if compiler.gcc is None or not compiler.x86_64:
        return False
    major, minor = compiler.gcc
    return minor < MENDED_IN.get(major, 0)


def choose_recipe(env: Mapping[str, str], compilers: Sequence[Compiler], nvcc: str | None, has_driver: bool) -> Recipe:
    """Choose the flags for the C and C++ compilers, the CUDA compiler if any, and the NVIDIA driver if any.

    The caller's own `CMAKE_ARGS` win. Metal needs no flag: llama.cpp turns it on by itself on a Mac.
    """
    hint = "" if compilers else NO_COMPILER
    if own := env.get("CMAKE_ARGS", ""):
        return Recipe(own, exact=True, note=f"built with your CMAKE_ARGS: {own.strip()}", hint=hint)
    flags = []
    if any(map(drops_tile_stores, compilers)):
        for language, variable in (("C", "CFLAGS"), ("CXX", "CXXFLAGS")):  # given a flag, CMake ignores the variable
            flags.append(f"-DCMAKE_{language}_FLAGS='{' '.join([*env.get(variable, '').split(), KEEP_STORES])}'")
    plain = Recipe(" ".join(flags), hint=hint)
    if not nvcc:
        return plain
    if not has_driver:
        return replace(plain, note=f"CUDA stays off: there is {nvcc}, but no NVIDIA driver to run with")
    cuda = " ".join(["-DGGML_CUDA=on", *flags])
    return Recipe(cuda, exact=True, note=f"CUDA is on ({nvcc}), which takes longer", fallback=plain)


def recipe_for_this_machine(env: Mapping[str, str]) -> Recipe:
    """Look at the compilers, the CUDA toolkit and the driver of this machine."""
    nvcc = env.get("CUDACXX") or shutil.which("nvcc", path=env.get("PATH"))
    return choose_recipe(env, find_compilers(env), nvcc, any(map(_loads, DRIVERS)))


def find_compilers(env: Mapping[str, str]) -> list[Compiler]:
    """Ask the compilers that CMake would take; none where there is none, or it is none of GCC's kind (MSVC)."""
    found = []
    for variable, (language, _) in COMPILERS.items():
        with suppress(OSError, subprocess.CalledProcessError):
            found.append(compiler_from_macros(_macros(_command(variable, env), language)))
    return found


def native_macros(env: Mapping[str, str]) -> frozenset[str]:
    """The macros that the C compiler here defines when it builds for this very processor, as llama.cpp has it do.

    Empty where there is no compiler, or none that can be asked so.
    """
    for flag in ("-march=native", "-mcpu=native"):  # the second on Arm
        with suppress(OSError, subprocess.CalledProcessError):
            return frozenset(dict(_MACRO.findall(_macros(_command("CC", env), "c", flag))))
    return frozenset()


def _command(variable: str, env: Mapping[str, str]) -> list[str]:
    """The compiler that CMake would take."""
    present = filter(None, (shutil.which(name, path=env.get("PATH")) for name in COMPILERS[variable][1]))
    return shlex.split(env.get(variable, "")) or [next(present, "")]


def _macros(compiler: Sequence[str], language: str, *flags: str) -> str:
    command = [*compiler, *flags, "-dM", "-E", "-x", language, "-"]
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True).stdout


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True
