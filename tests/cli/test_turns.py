"""Whose engines take turns: those of the command line, unless it was chosen otherwise."""

from __future__ import annotations

import io

import pytest

from llamachat.choices import Choices, Layer, Origin
from llamachat.cli.assemble import make_engine
from llamachat.environment import Environment
from llamachat.paths import turns_file


@pytest.fixture
def options(tmp_path, parrot):
    """What an engine is told to load, in a home of its own, when this was chosen."""

    def call(home: str, **chosen) -> object:
        environment = Environment(
            io.BytesIO(), io.BytesIO(), io.StringIO(), "utf-8",
            stdin_is_terminal=False, stdout_is_terminal=False, stderr_is_terminal=False,
            variables={"LLAMACHAT_HOME": str(tmp_path / home)},
        )  # fmt: skip
        values = {"model": str(parrot), **{f"engine.{name}": value for name, value in chosen.items()}}
        return make_engine(Choices({Origin.FLAG: Layer(values)}), environment).options

    return call


def test_all_llamachats_of_a_machine_share_one_file_wherever_their_homes_are(options):
    assert options("mine").turns == options("yours").turns == str(turns_file())
    assert options("mine", take_turns=False).turns is None
