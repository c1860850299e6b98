"""Models whose template writes `<think>`: their answers begin inside a thought, live, continued and taken up again."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace

import pytest

from llamachat.engine.ladder import Ladder
from llamachat.engine.process import EngineProcess
from llamachat.types import FinishReason, LoadOptions
from tests.fakes.engine import INFO
from tests.model_files import write_tiny_model

CUT = FinishReason.INTERRUPTED
FOLDED = "[3 words of thought; /thoughts shows them]\n\nFour.\n"
TEMPLATE = "{{ bos_token }}{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}assistant: <think>\n"


@pytest.fixture
def thinker(chat):
    """A chat with such a model, which is loaded when it is first asked, as real ones are."""

    def make(*answers):
        desk = chat(*answers)
        reply = desk.engine.reply

        def reply_when_loaded(request):
            desk.engine.info = replace(INFO, opens_thought=True)
            yield from reply(request)

        desk.engine.info, desk.engine.reply = None, reply_when_loaded
        return desk

    return make


def test_the_thought_is_folded_and_can_be_read_and_the_text_is_kept_as_it_came(thinker):
    desk = thinker(["Let me ", "see.</thi", "nk>\n\nFour."])
    desk("2+2?")
    assert desk.answers == FOLDED
    desk("/copy")
    assert desk.copied == ["Four."]
    desk("/thoughts")
    assert desk.answers == f"{FOLDED}Let me see.\n"
    assert desk.said()[-1] == "Let me see.</think>\n\nFour."


def test_an_answer_that_goes_on_is_still_inside(thinker):
    desk = thinker(["Let me", CUT], [" see.</think>Four."])
    desk("2+2?")
    desk("/continue")
    assert desk.answers.endswith(FOLDED)
    desk("/thoughts")
    assert desk.answers.endswith("Let me see.\n")


def test_it_is_folded_when_the_chat_is_taken_up_with_another_model(thinker, chat):
    first = thinker(["Let me see.</think>Four."])
    first("2+2?")
    second = chat(["No thought: </think> is a tag."])
    second(f"/resume {first.chat.keeping.session}")
    assert second.answers == FOLDED
    second("What is a tag?")
    assert second.answers.endswith("No thought: </think> is a tag.\n")


@pytest.mark.parametrize(("template", "opens"), [(TEMPLATE, True), (TEMPLATE.replace("<think>", ""), False)])
def test_the_engine_tells_it_of_a_real_model(tmp_path, template, opens):
    model = write_tiny_model(tmp_path / "tiny.gguf", template=template)
    options = LoadOptions(path=str(model), n_threads=1, format="template")
    with closing(EngineProcess(options, log=tmp_path / "log", ladder=Ladder(tmp_path / "ladder"))) as engine:
        list(engine.wait_until_loaded())
        assert engine.info.format == "template"
        assert engine.info.opens_thought is opens
