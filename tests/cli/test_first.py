"""The first chat where there is no model: Llama 2 is offered, with what would fit."""

from __future__ import annotations

import io

import pytest

from llamachat.choices import Choices
from llamachat.cli import first
from llamachat.cli.assemble import make_library
from llamachat.environment import Environment
from llamachat.errors import Interrupted
from llamachat.models import library
from llamachat.models.library import NoModel


@pytest.fixture
def environment(hub, tmp_path) -> Environment:
    variables = {"LLAMACHAT_HOME": str(tmp_path / "home"), "HF_ENDPOINT": hub.endpoint, "HF_HOME": str(tmp_path / "hf")}
    return Environment(io.BytesIO(), io.BytesIO(), io.StringIO(), "utf-8", True, True, False, variables)


def test_what_fits_is_shown_and_a_no_fetches_nothing(environment, hub):
    with pytest.raises(Interrupted):
        first.offer(Choices(), environment)
    shown = environment.stderr.getvalue()
    assert "There is no model on this machine yet" in shown
    assert "llama-2-13b-chat" in shown
    assert "Download llama-2-7b-chat (" in shown
    assert hub.log == []


def test_without_starter_and_models_a_pipe_gets_exit_code_3_and_the_command(run, environment, monkeypatch, tmp_path):
    monkeypatch.setattr(library, "_STARTER_PACKAGE", "no_such_package")
    with pytest.raises(NoModel):
        make_library(environment).find(None, tmp_path)
    result = run("hi", HF_HOME=str(tmp_path / "hf"))
    assert result.code == 3
    assert "llamachat pull llama-2-7b-chat" in result.err
