"""Which terminals wrap lines anew, and what is held on to of prompt_toolkit."""

import pytest
from prompt_toolkit.application import Application

from llamachat.ui.resize import _ON_RESIZE, rewraps


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"TERM": "xterm-256color"}, False),
        ({"TERM": "xterm-256color", "VTE_VERSION": "7402"}, True),
        ({"TERM": "tmux-256color", "TMUX": "/tmp/tmux-0/default,1,0"}, True),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "Apple_Terminal"}, True),
        ({"TERM": "screen", "STY": "4242.pts-0", "VTE_VERSION": "7402"}, False),
    ],
)
def test_only_a_terminal_that_is_known_to_wrap_anew_is_taken_for_one(variables, expected):
    assert rewraps(variables) is expected


def test_prompt_toolkit_still_has_what_is_replaced():
    assert callable(getattr(Application, _ON_RESIZE))
