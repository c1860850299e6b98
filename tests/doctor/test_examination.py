"""llamachat/doctor: checks that fail, and an engine that does."""

from __future__ import annotations

import io
import sys

import pytest

from llamachat.choices import Choices
from llamachat.cli.assemble import make_library
from llamachat.doctor import engine
from llamachat.doctor.examination import CHECKS, examine, exit_code
from llamachat.doctor.finding import Finding, Remedy, Status, could_be_better, fine
from llamachat.doctor.subject import Subject
from llamachat.engine.ladder import Ladder
from llamachat.engine.probe import probe
from llamachat.engine.process import EngineProcess
from llamachat.environment import Environment
from llamachat.errors import EngineDied, ExitCode, LlamachatError, ModelError
from llamachat.types import LoadOptions
from tests.conftest import FAKE_WORKER


@pytest.fixture
def subject(tmp_path):
    """`subject("crash-at-load")`: an install whose engine plays a scenario."""

    def make(scenario: str = "") -> Subject:
        environment = Environment(
            stdin=io.BytesIO(), stdout=io.BytesIO(), stderr=io.StringIO(), stdout_encoding="utf-8",
            stdin_is_terminal=False, stdout_is_terminal=False, stderr_is_terminal=False,
            variables={"LLAMACHAT_HOME": str(tmp_path)},
        )  # fmt: skip
        paths = environment.paths
        paths.make()
        worker = (sys.executable, str(FAKE_WORKER), scenario, str(tmp_path / "starts"))
        options, ladder = LoadOptions(path="fake.gguf"), Ladder(paths.ladder)
        return Subject(
            environment,
            choose=Choices,
            make_library=lambda: make_library(environment),
            make_engine=lambda path: EngineProcess(
                options, log=paths.engine_log, ladder=ladder, family="llama 15", command=worker
            ),
            worker=worker,
        )

    return make


def found_by(subject: Subject, *checks) -> list[Finding]:
    return list(examine(subject, lambda error: LlamachatError(f"a fault: {error!r}."), checks))


def failing(error: Exception):
    def check(_subject):
        yield fine("broken", "so far")
        raise error

    return check


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (ModelError("there is no model yet.", "Get one."), ExitCode.MODEL, "there is no model yet."),
        (PermissionError(13, "Permission denied", "/x"), ExitCode.STORAGE, "/x: Permission denied."),
        (ZeroDivisionError(), ExitCode.BUG, "a fault: ZeroDivisionError()."),
    ],
)
def test_a_check_that_fails_is_a_line_and_the_next_one_is_made(subject, error, code, text):
    found = found_by(subject(), ("broken", failing(error)), ("other", lambda _subject: [fine("other", "all right")]))
    assert [(each.section, each.status) for each in found] == [
        ("broken", Status.OK),
        ("broken", Status.BAD),
        ("other", Status.OK),
    ]
    assert (found[1].text, found[1].code) == (text, code)
    assert exit_code(found) is code


def test_an_error_that_several_checks_meet_is_said_once(subject):
    error = ModelError("there is no model yet.")
    found = found_by(subject(), ("one", failing(error)), ("two", failing(error)))
    assert [each.section for each in found if each.status is Status.BAD] == ["one"]


def test_what_could_be_better_keeps_nobody_from_working(subject):
    assert exit_code([could_be_better("memory", "there is little")]) is ExitCode.DONE


def test_every_section_has_a_name_of_its_own():
    names = [name for name, _ in CHECKS]
    assert len(set(names)) == len(names)


def test_an_engine_that_answers_is_fine(subject):
    assert [each.status for each in engine.check(subject())] == [Status.OK]


def test_an_engine_that_crashes_is_one_line_that_a_rebuild_may_mend(subject):
    [found] = engine.check(subject("crash-at-load"))
    assert (found.status, found.remedy, found.code) == (Status.BAD, Remedy.REBUILD, ExitCode.ENGINE)
    assert "SIGSEGV" in found.text


def test_what_crashed_here_and_is_switched_off_is_told_with_what_it_costs(subject):
    fine_line, found = engine.check(subject("crash-with-amx"))
    assert fine_line.status is Status.OK
    assert (found.status, found.remedy) == (Status.WARN, Remedy.REBUILD)
    assert "with llama models in Q4_K_M and runs them without AMX: prompts are read up to 4 times slower" in found.text


def test_an_engine_that_does_not_speak_is_an_error_that_says_how(subject):
    with pytest.raises(EngineDied, match="the engine sent"):
        _ = subject("garbage").hello


@pytest.mark.parametrize(
    ("program", "words"),
    [("exit(3)", r"\(exit code 3\)"), ("import os, signal; os.kill(os.getpid(), signal.SIGILL)", r"\(SIGILL\)")],
)
def test_an_engine_that_does_not_come_up_is_an_error_that_says_how(tmp_path, program, words):
    with pytest.raises(EngineDied, match=f"ends as it is loaded {words}"):
        probe(tmp_path / "log", (sys.executable, "-c", program))


def test_an_engine_that_hangs_is_given_up(tmp_path):
    with pytest.raises(EngineDied, match="it did not answer"):
        probe(tmp_path / "log", (sys.executable, "-c", "input()"), patience=0.1)
