"""What this processor can do, what llama.cpp was built to use of it, and what a build here would use."""

from __future__ import annotations

import ctypes
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Feature:
    """An extension of the instruction set that llama.cpp's kernels use.

    `built` is its name in `llama_print_system_info`, `flag` the one that Linux gives it (/proc/cpuinfo), `macro` what
    a compiler defines that builds for it. A minor one is not worth naming where all is well.
    """

    name: str
    built: str
    flag: str
    macro: str
    is_minor: bool = False


FEATURES = (
    Feature("AVX", "AVX", "avx", "__AVX__", is_minor=True),
    Feature("F16C", "F16C", "f16c", "__F16C__", is_minor=True),
    Feature("FMA", "FMA", "fma", "__FMA__"),
    Feature("AVX2", "AVX2", "avx2", "__AVX2__"),
    Feature("BMI2", "BMI2", "bmi2", "__BMI2__", is_minor=True),
    Feature("AVX-VNNI", "AVX_VNNI", "avx_vnni", "__AVXVNNI__", is_minor=True),
    Feature("AVX-512", "AVX512", "avx512f", "__AVX512F__"),
    Feature("AVX-512 VBMI", "AVX512_VBMI", "avx512vbmi", "__AVX512VBMI__", is_minor=True),
    Feature("AVX-512 VNNI", "AVX512_VNNI", "avx512_vnni", "__AVX512VNNI__", is_minor=True),
    Feature("AVX-512 BF16", "AVX512_BF16", "avx512_bf16", "__AVX512BF16__", is_minor=True),
    Feature("AMX", "AMX_INT8", "amx_int8", "__AMX_INT8__"),
    Feature("NEON", "NEON", "asimd", "__ARM_NEON"),
    Feature("dot products", "DOTPROD", "asimddp", "__ARM_FEATURE_DOTPROD"),
    Feature("8-bit matrices", "MATMUL_INT8", "i8mm", "__ARM_FEATURE_MATMUL_INT8"),
    Feature("16-bit floats", "FP16_VA", "asimdhp", "__ARM_FEATURE_FP16_VECTOR_ARITHMETIC", is_minor=True),
)
_APPLE_ARM = {
    "hw.optional.arm.FEAT_DotProd": "asimddp",
    "hw.optional.arm.FEAT_I8MM": "i8mm",
    "hw.optional.arm.FEAT_FP16": "asimdhp",
}
_APPLE_INTEL = {"avx1.0": "avx"}  # the others are written alike
_WINDOWS = {39: "avx", 40: "avx2", 41: "avx512f", 43: "asimddp"}  # winnt.h, PF_*_INSTRUCTIONS_AVAILABLE


def built_in(description: str) -> set[str]:
    """The names in a build's description, `llama.cpp 0.5 (AVX AVX2 …)`."""
    match = re.search(r"\(([^()]*)\)\s*$", description)
    return set(match[1].split()) if match else set()


def known_flags(root: Path = Path("/")) -> set[str]:
    """The flags of `FEATURES` that this processor has; empty where the system does not tell.

    `root` stands in for the file system's in tests.
    """
    with suppress(OSError):
        text = (root / "proc/cpuinfo").read_text(encoding="utf-8")
        if match := re.search(r"^(?:flags|Features)\s*:\s*(.*)$", text, re.MULTILINE):
            return set(match[1].split())
    if sys.platform == "darwin":
        return _flags_of_a_mac()
    if sys.platform == "win32":
        present = ctypes.windll.kernel32.IsProcessorFeaturePresent
        return {flag for number, flag in _WINDOWS.items() if present(number)}
    return set()


def tells_all() -> bool:
    """Whether a flag that is not among `known_flags` is one that the processor lacks. Windows knows only a few."""
    return os.name != "nt"


def _flags_of_a_mac() -> set[str]:
    if platform.machine() == "arm64":
        return {"asimd"} | {flag for name, flag in _APPLE_ARM.items() if _sysctl(name) == "1"}
    names = f"{_sysctl('machdep.cpu.features')} {_sysctl('machdep.cpu.leaf7_features')}".lower().split()
    return {_APPLE_INTEL.get(name, name) for name in names}


def _sysctl(name: str) -> str:
    done = subprocess.run(["/usr/sbin/sysctl", "-n", name], capture_output=True, text=True, check=False)
    return done.stdout.strip()


def names_of(features: Iterable[Feature]) -> str:
    """`AVX2, FMA and AMX`; empty for none."""
    *some, last = [feature.name for feature in features] or [""]
    return f"{', '.join(some)} and {last}" if some else last
