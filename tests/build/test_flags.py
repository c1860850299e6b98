"""llamachat/build/flags.py: which flags each compiler, toolkit and caller gets."""

import os
from pathlib import Path

import pytest

from llamachat.build import flags
from llamachat.build.flags import Compiler, Recipe

DEBIAN_12 = Compiler((12, 2), x86_64=True)
MENDED = Compiler((12, 4), x86_64=True)
KEEP = "-DCMAKE_C_FLAGS='-fno-tree-dse -fno-dse' -DCMAKE_CXX_FLAGS='-fno-tree-dse -fno-dse'"


def macros(**defined: str) -> str:
    """What a preprocessor prints, with a line that has no value as GCC has one."""
    return "#define __REGISTER_PREFIX__ \n" + "".join(f"#define {name} {value}\n" for name, value in defined.items())


@pytest.mark.parametrize(
    ("version", "affected"),
    [
        ((10, 2), False),
        ((11, 4), True),
        ((11, 5), False),
        ((12, 2), True),
        ((12, 3), True),
        ((12, 4), False),
        ((13, 2), True),
        ((13, 3), False),
        ((14, 0), False),
        ((15, 1), False),
    ],
)
def test_the_stores_are_kept_for_exactly_the_gcc_releases_that_drop_them(version, affected):
    assert flags.drops_tile_stores(Compiler(version, x86_64=True)) is affected


def test_the_stores_need_no_keeping_where_there_is_no_amx():
    assert not flags.drops_tile_stores(Compiler((12, 2), x86_64=False))
    assert not flags.drops_tile_stores(Compiler(None, x86_64=True))


def test_gcc_is_known_by_its_macros_whatever_a_distribution_calls_it():
    text = macros(__GNUC__="12", __GNUC_MINOR__="2", __VERSION__='"12.2.0 (Debian 12.2.0-14+deb12u1)"', __x86_64__="1")
    assert flags.compiler_from_macros(text) == DEBIAN_12


def test_gcc_for_another_processor_is_no_x86_compiler():
    assert flags.compiler_from_macros(macros(__GNUC__="12", __GNUC_MINOR__="2", __aarch64__="1")).x86_64 is False


@pytest.mark.parametrize("own_name", ["__clang__", "__INTEL_COMPILER"])
def test_a_compiler_that_passes_for_gcc_is_not_taken_for_it(own_name):
    text = macros(__GNUC__="12", __GNUC_MINOR__="2", __x86_64__="1", **{own_name: "1"})
    assert flags.compiler_from_macros(text) == Compiler(None, x86_64=True)


def test_a_compiler_without_gcc_macros_is_unknown():
    assert flags.compiler_from_macros("") == Compiler(None, x86_64=False)


@pytest.mark.parametrize(
    ("cc", "cxx"), [(DEBIAN_12, DEBIAN_12), (MENDED, DEBIAN_12), (DEBIAN_12, Compiler(None, x86_64=True))]
)
def test_the_flags_are_used_if_either_compiler_needs_them(cc, cxx):
    assert flags.choose_recipe({}, [cc, cxx], None, has_driver=False) == Recipe(KEEP)


def test_a_mended_compiler_gets_no_flags_and_no_note():
    assert flags.choose_recipe({}, [MENDED, MENDED], None, has_driver=False) == Recipe("")


def test_the_callers_compiler_flags_stay_beside_ours():
    env = {"CFLAGS": "-O2  -g", "CXXFLAGS": "-march=haswell"}
    args = flags.choose_recipe(env, [DEBIAN_12], None, has_driver=False).cmake_args
    assert args == (
        "-DCMAKE_C_FLAGS='-O2 -g -fno-tree-dse -fno-dse' -DCMAKE_CXX_FLAGS='-march=haswell -fno-tree-dse -fno-dse'"
    )


def test_the_callers_cmake_args_win_entirely():
    recipe = flags.choose_recipe({"CMAKE_ARGS": "-DGGML_VULKAN=on"}, [DEBIAN_12], "nvcc", has_driver=True)
    assert (recipe.cmake_args, recipe.exact, recipe.fallback) == ("-DGGML_VULKAN=on", True, None)


def test_empty_cmake_args_are_none():
    assert flags.choose_recipe({"CMAKE_ARGS": ""}, [DEBIAN_12], None, has_driver=False).cmake_args == KEEP


def test_cuda_is_on_where_it_can_be_compiled_and_run_and_falls_back_to_the_processor():
    recipe = flags.choose_recipe({}, [DEBIAN_12], "/opt/nvcc", has_driver=True)
    assert recipe.cmake_args == f"-DGGML_CUDA=on {KEEP}"
    assert recipe.exact
    assert recipe.fallback == Recipe(KEEP)


def test_cuda_stays_off_without_a_driver_and_one_line_says_why():
    recipe = flags.choose_recipe({}, [MENDED], "/opt/nvcc", has_driver=False)
    assert recipe.cmake_args == ""
    assert "/opt/nvcc" in recipe.note
    assert "no NVIDIA driver" in recipe.note


def test_a_driver_without_the_compiler_is_no_reason_for_cuda():
    assert flags.choose_recipe({}, [MENDED], None, has_driver=True) == Recipe("")


def test_where_no_compiler_is_found_the_recipe_says_what_to_install():
    assert flags.choose_recipe({}, [], None, has_driver=False).hint == flags.NO_COMPILER


def test_the_compilers_named_in_the_environment_are_asked(tmp_path):
    reply = macros(__GNUC__="11", __GNUC_MINOR__="4", __x86_64__="1")
    compiler = script(tmp_path / "own gcc", f"cat <<'EOF'\n{reply}EOF\n")
    env = {"CC": f"'{compiler}' -m64", "CXX": str(tmp_path / "missing"), "PATH": os.environ["PATH"]}
    assert flags.find_compilers(env) == [Compiler((11, 4), x86_64=True)]


def test_a_compiler_that_knows_no_such_options_is_passed_over(tmp_path):
    script(tmp_path / "cc", "exit 1\n")
    assert flags.find_compilers({"PATH": str(tmp_path)}) == []


def script(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}")
    path.chmod(0o755)
    return path
