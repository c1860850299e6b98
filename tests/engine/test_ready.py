"""A model that can answer: what of a prompt can be evaluated before it is whole."""

from __future__ import annotations

import pytest

from llamachat.engine.ready import Ready
from llamachat.errors import ContextOverflow
from llamachat.llama import machine
from llamachat.llama.lib import AbortFlag, C, Log
from llamachat.types import LoadOptions, Message, Role
from tests import model_files

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


def test_a_cache_that_is_quantised_for_want_of_memory_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(model_files, "N_HEADS", 1)
    path = model_files.write_tiny_model(tmp_path / "one-head.gguf")
    log = Log(lambda _text: None)
    C.llama_backend_init()
    n_bytes = path.stat().st_size + 800 * 512  # tokens of a cache in f16
    monkeypatch.setattr(machine, "available_memory", lambda: n_bytes)
    for kv_type, n_ctx, notice in (
        (None, 1024, "Memory is short: with a KV cache in q8_0"),
        ("f16", 512, "--kv-type q8_0"),
    ):
        ready = Ready.load(LoadOptions(str(path), n_threads=1, kv_type=kv_type), AbortFlag(), log, lambda *_: None)
        assert ready.session.n_ctx == n_ctx
        assert notice in ready.notices[-1]
        assert ready.info(0).kv_type == ("f16" if kv_type else "q8_0")
        ready.session.close()
        ready.model.close()
