"""llamachat/doctor/features.py and binding.py: what a build leaves unused."""

from __future__ import annotations

import pytest

from llamachat.build import flags
from llamachat.doctor import features
from llamachat.doctor.binding import against_processor
from llamachat.doctor.features import FEATURES, known_flags
from llamachat.doctor.finding import Remedy, Status

SAPPHIRE_RAPIDS = {"avx", "f16c", "fma", "avx2", "bmi2", "avx512f", "avx512_vnni", "amx_int8"}
ALL_OF_IT = {"AVX", "F16C", "FMA", "AVX2", "BMI2", "AVX512", "AVX512_VNNI", "AMX_INT8", "OPENMP"}
GCC_12 = {feature.macro for feature in FEATURES}


def test_the_names_in_a_builds_description_are_read():
    description = "llama.cpp 0.5.0 (AVX AVX2 F16C OPENMP REPACK)"
    assert features.built_in(description) == {"AVX", "AVX2", "F16C", "OPENMP", "REPACK"}
    assert features.built_in("llama.cpp 0.5.0") == set()


@pytest.mark.parametrize("line", ["flags\t\t: fpu avx avx2", "Features\t: fp avx avx2"])
def test_the_processors_flags_are_read_on_intel_and_on_arm(tmp_path, line):
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cpuinfo").write_text(f"processor : 0\n{line}\nbugs\t: none\n")
    assert {"avx", "avx2"} <= known_flags(tmp_path)


def test_a_build_that_uses_all_is_not_spoken_of():
    assert list(against_processor(ALL_OF_IT, SAPPHIRE_RAPIDS, GCC_12)) == []
    assert list(against_processor(ALL_OF_IT, SAPPHIRE_RAPIDS | {"vmx"}, set())) == []


def test_what_a_build_here_would_use_is_mended_by_one():
    [found] = against_processor(ALL_OF_IT - {"AMX_INT8", "AVX512_VNNI"}, SAPPHIRE_RAPIDS, GCC_12)
    assert (found.status, found.remedy, found.hint) == (Status.WARN, Remedy.REBUILD, "llamachat doctor --fix")
    assert "has AVX-512 VNNI and AMX, which the build leaves unused" in found.text


def test_what_only_another_compiler_would_use_is_not_promised():
    [found] = against_processor(ALL_OF_IT - {"AMX_INT8"}, SAPPHIRE_RAPIDS, GCC_12 - {"__AMX_INT8__"})
    assert (found.status, found.remedy) == (Status.WARN, None)
    assert "A newer one" in found.hint


def test_without_a_compiler_the_way_to_one_is_named():
    [found] = against_processor(ALL_OF_IT - {"FMA"}, SAPPHIRE_RAPIDS, set())
    assert found.remedy is None
    assert flags.NO_COMPILER in found.hint


def test_a_build_for_another_processor_is_told():
    [found] = against_processor(ALL_OF_IT, SAPPHIRE_RAPIDS - {"amx_int8"}, GCC_12)
    assert found.remedy is Remedy.REBUILD
    assert "built for AMX, which this processor does not have" in found.text


def test_a_system_that_does_not_tell_is_no_reason_to_complain():
    assert list(against_processor(ALL_OF_IT, set(), GCC_12)) == []


def test_a_compiler_says_what_it_builds_for_this_processor(tmp_path):
    compiler = tmp_path / "cc"
    compiler.write_text('#!/bin/sh\n[ "$1" = -mcpu=native ] && echo "#define __ARM_NEON 1" && exit 0\nexit 1\n')
    compiler.chmod(0o755)
    assert flags.native_macros({"CC": str(compiler)}) == {"__ARM_NEON"}
    assert flags.native_macros({"CC": str(tmp_path / "none")}) == frozenset()
