"""llamachat/build/binding.py and the command: the build with a scripted pip, and what is made of the check."""

import io
import signal

import pytest

from llamachat.build import binding, selfcheck
from llamachat.build.__main__ import main
from llamachat.build.binding import Check
from llamachat.build.flags import Recipe
from llamachat.build.runner import StepFailed
from tests.build.scripted import ScriptedRunner

BINDING = "llama-cpp-python==0.3.36"
CPU, CUDA = Recipe("-DX=1"), Recipe("-DGGML_CUDA=on -DX=1", exact=True, fallback=Recipe("-DX=1"))


def test_a_build_that_works_is_installed_once_and_may_come_from_pips_cache():
    runner = ScriptedRunner()
    assert binding.build_and_check("py", BINDING, CPU, runner) is Check.WORKS
    [(command, args)] = runner.builds()
    assert args == "-DX=1"
    assert "--no-cache-dir" not in command
    assert command.endswith(f"install -v {BINDING}")


def test_a_build_that_crashes_is_compiled_exactly_once_more_without_the_cache():
    runner = ScriptedRunner(statuses={"--check": [-signal.SIGSEGV, 0]})
    assert binding.build_and_check("py", BINDING, CPU, runner) is Check.WORKS
    [first, second] = runner.builds()
    assert "--no-cache-dir" not in first[0]
    for option in ("--no-cache-dir", "--force-reinstall", "--no-deps", f"--no-binary {binding.BINDING}"):
        assert option in second[0]
    assert second[1] == "-DX=1"


def test_a_build_that_still_crashes_is_one_line_and_no_third_build():
    runner = ScriptedRunner(statuses={"--check": [-signal.SIGILL, -signal.SIGILL, 0]})
    assert binding.build_and_check("py", BINDING, Recipe(""), runner) is Check.CRASHED
    assert len(runner.builds()) == 2
    assert "still crashes" in runner.said[-1]


def test_a_build_that_pip_compiled_just_now_is_not_compiled_again_when_it_crashes():
    runner = ScriptedRunner(statuses={"--check": [-signal.SIGSEGV]})
    assert binding.build_and_check("py", BINDING, Recipe("-DX=1", exact=True), runner) is Check.CRASHED
    assert len(runner.builds()) == 1


def test_an_exact_recipe_is_compiled_even_where_pip_has_a_wheel_and_then_its_dependencies_are_installed():
    runner = ScriptedRunner()
    binding.build_and_check("py", BINDING, Recipe("-DX=1", exact=True), runner)
    commands = [command for command, _ in runner.commands]
    assert "--no-cache-dir" in commands[0]
    assert commands[1].endswith(f"install {BINDING}")


def test_without_a_model_nothing_is_compiled_again_and_one_line_says_that_nothing_was_checked():
    runner = ScriptedRunner(statuses={"--check": [selfcheck.NO_MODEL]})
    assert binding.build_and_check("py", BINDING, Recipe(""), runner) is Check.NO_MODEL
    assert len(runner.builds()) == 1
    assert "not checked" in runner.said[-1]


def test_a_cuda_build_that_fails_is_followed_by_one_for_the_processor():
    runner = ScriptedRunner(statuses={"pip": [1]})
    assert binding.build_and_check("py", BINDING, CUDA, runner) is Check.WORKS
    assert [args for _, args in runner.builds()] == ["-DGGML_CUDA=on -DX=1", "-DX=1"]
    assert any("build with CUDA failed" in line for line in runner.said)


def test_a_build_that_fails_without_a_fallback_names_the_log_and_what_may_mend_it():
    runner = ScriptedRunner(statuses={"pip": [1]})
    with pytest.raises(StepFailed) as failure:
        binding.build_and_check("py", BINDING, Recipe("", hint="install g++"), runner)
    assert (failure.value.log, failure.value.hint) == (runner.log, "install g++")


def test_the_rebuild_command_knows_the_release_that_llamachat_needs():
    assert binding.installed_requirement() == BINDING


def test_an_unknown_option_is_a_usage_error_and_builds_nothing(capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["--nonsense"], io.StringIO())
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("status", "result"),
    [(0, Check.WORKS), (77, Check.NO_MODEL), (1, Check.CRASHED), (-11, Check.CRASHED), (0xC0000005, Check.CRASHED)],
)
def test_any_end_of_the_check_but_its_own_is_a_crash(status, result):
    assert binding.check("py", ScriptedRunner(statuses={"--check": [status]})) is result
