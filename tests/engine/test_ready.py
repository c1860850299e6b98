"""A model that can answer: what of a prompt can be evaluated before it is whole."""

from __future__ import annotations

import pytest

from llamachat.engine.ready import Ready
from llamachat.errors import ContextOverflow
from llamachat.llama.lib import AbortFlag, C, Log
from llamachat.types import LoadOptions, Message, Role

BEFORE = (Message(Role.SYSTEM, "Be brief."), Message(Role.USER, "Hello."), Message(Role.ASSISTANT, "Good day!"))


@pytest.fixture(scope="module", params=["llama2", "template", "plain"])
def ready(request, tiny_model, starter) -> Ready:
    path = starter if request.param == "template" else tiny_model
    log = Log(lambda _text: None)
    C.llama_backend_init()
    options = LoadOptions(path=str(path), n_threads=1, n_ctx=256, format=request.param)
    ready = Ready.load(options, AbortFlag(), log, lambda *_: None)
    yield ready
    ready.session.close()
    ready.model.close()


def prompt(ready: Ready, text: str) -> list[int]:
    return ready.prompt([*BEFORE, Message(Role.USER, text)], open_answer=False, raw_tags=True)[1]


@pytest.mark.parametrize("begin", ["", "Tell me of ", "def f():\n    return 1\n", "한국의 수도는 ", "one  two   "])
def test_what_is_certain_stays_however_the_message_goes_on(ready, begin):
    certain = ready.certain([*BEFORE, Message(Role.USER, begin)])
    for rest in ("x", "the sea.", "12 + 5?", "바다", "  and more", "\n\n- a list", ""):
        whole = prompt(ready, begin + rest if rest else begin.rstrip())
        assert whole[: len(certain)] == certain


def test_what_is_certain_is_all_but_the_end(ready):
    begin = "Tell me of the sea, the ships and the sailors of the north, "
    certain, whole = ready.certain([*BEFORE, Message(Role.USER, begin)]), prompt(ready, begin + "please.")
    assert len(certain) >= len(whole) - 16


def test_a_draft_that_does_not_fit_is_refused(ready):
    with pytest.raises(ContextOverflow):
        ready.certain([*BEFORE, Message(Role.USER, "word " * 400)])
