"""Loading: what a model says of itself, the defaults that follow, and what goes wrong."""

from __future__ import annotations

import numpy as np
import pytest

from llamachat.errors import ModelError
from llamachat.llama import machine, pagecache
from llamachat.llama.lib import AbortFlag
from llamachat.llama.model import Model
from llamachat.types import LoadOptions, Sampling
from tests import model_files
from tests.llama.test_session import logits
from tests.model_files import write_tiny_model


def load(log, path, **options) -> Model:
    return Model.load(LoadOptions(path=str(path), **options), log, lambda _done, _total: None)


def test_a_model_says_what_it_is(model):
    assert (model.architecture, model.n_ctx_train, model.n_layers) == ("llama", 1024, 2)
    assert (model.quantisation, model.facts.tokenizer_model, model.facts.declared_format) == ("F16", "llama", "llama2")
    assert model.metadata("no.such.key") is None


def test_the_log_tells_into_which_buffers_the_weights_went(model, log):
    """In llama.cpp's words as they are today: where they change, nothing counts as repacked any more."""
    assert log.buffers
    assert not model.is_repacked  # F16 is taken as it lies in the file


def test_the_kv_cache_of_a_token_is_layers_times_heads_times_k_and_v(model):
    assert model.kv_bytes_per_token == 2 * 64 * 2 * 2  # layers, width, K and V, bytes of an f16


def test_the_context_is_what_the_model_was_trained_on_or_what_was_asked_for(model, log, tiny_model):
    assert model.context_size() == 1024
    other = load(log, tiny_model, n_ctx=300)
    assert other.context_size() == 300
    session = other.session(300, AbortFlag())
    assert session.n_ctx == 300
    session.close()
    other.close()


def test_the_context_is_less_where_memory_is_short(model, monkeypatch):
    monkeypatch.setattr(machine, "available_memory", lambda: model.size_bytes + 800 * model.kv_bytes_per_token)
    assert model.context_size() == 512


@pytest.fixture
def short_of_memory(log, tmp_path, monkeypatch):
    """A model with heads of 64 numbers, and memory for 800 tokens of its cache in f16."""
    monkeypatch.setattr(model_files, "N_HEADS", 1)
    path = write_tiny_model(tmp_path / "one-head.gguf")
    loaded = []

    def make(**options) -> Model:
        loaded.append(load(log, path, **options))
        n_bytes = loaded[-1].size_bytes + 800 * 512
        monkeypatch.setattr(machine, "available_memory", lambda: n_bytes)
        return loaded[-1]

    yield make
    for each in loaded:
        each.close()


def test_where_f16_would_cut_the_context_the_cache_is_quantised(short_of_memory):
    model = short_of_memory()
    assert model.context_size() == 512
    assert model.settle_kv_type()
    assert (model.kv_type, model.context_size()) == ("q8_0", 1024)
    session = model.session(model.context_size(), AbortFlag())
    session.sync([5, 6, 7])
    session.close()


@pytest.mark.parametrize("options", [{"kv_type": "f16"}, {"n_ctx": 1024}, {"use_flash_attention": False}])
def test_not_where_somebody_chose_or_a_crash_forbids_it(short_of_memory, options):
    model = short_of_memory(**options)
    assert not model.settle_kv_type()
    assert model.kv_type == "f16"


def test_not_where_there_is_memory_enough_nor_where_heads_do_not_fit_the_blocks(log, tiny_model, monkeypatch):
    small_heads = load(log, tiny_model)
    assert not small_heads.settle_kv_type()
    assert small_heads.options.kv_type == "f16"
    small_heads.options = LoadOptions(str(tiny_model))
    n_bytes = small_heads.size_bytes + 800 * small_heads.kv_bytes_per_token
    monkeypatch.setattr(machine, "available_memory", lambda: n_bytes)
    assert not small_heads.settle_kv_type()
    small_heads.close()


def test_a_model_in_llama_2s_format_samples_as_meta_does_and_others_as_llama_cpp(model):
    assert model.sampling("llama2") == Sampling(temperature=0.6, top_p=0.9)
    assert model.sampling("template").temperature == 0.8


def test_what_the_file_recommends_comes_first(log, tmp_path):
    path = tmp_path / "advised.gguf"
    write_tiny_model(path, extra={"general.sampling.temp": 0.25, "general.sampling.top_k": 7})
    advised = load(log, path, sampling=Sampling(temperature=3.0))
    assert advised.sampling("llama2") == Sampling(temperature=0.25, top_k=7)
    advised.close()


def test_the_catalogues_advice_comes_before_the_familys(log, tiny_model):
    advised = load(log, tiny_model, sampling=Sampling(temperature=3.0))
    assert advised.sampling("llama2").temperature == 3.0
    advised.close()


def test_a_file_that_llama_cpp_refuses_is_an_error_with_its_reason(log, tmp_path, tiny_model):
    path = tmp_path / "cut.gguf"
    path.write_bytes(tiny_model.read_bytes()[:-100])
    with pytest.raises(ModelError, match=r"cut\.gguf cannot be loaded: .+"):
        load(log, path)


def test_a_context_beyond_all_memory_is_an_error(model):
    with pytest.raises(ModelError, match="no memory for a context"):
        model.session(2_000_000_000, AbortFlag())


def test_a_file_in_the_page_cache_is_not_read_again(tiny_model):
    tiny_model.read_bytes()
    seen = []
    pagecache.warm(tiny_model, 1 << 40, lambda done, total: seen.append((done, total)))
    assert seen == []


def test_a_file_larger_than_memory_is_left_to_the_system(tiny_model):
    pagecache.warm(tiny_model, 10, lambda *_: pytest.fail("it was read"))


def test_a_cold_file_is_read_with_progress(tiny_model, monkeypatch):
    monkeypatch.setattr(pagecache, "_resident_fraction", lambda *_: 0.0)
    seen = []
    pagecache.warm(tiny_model, 1 << 40, lambda done, total: seen.append((done, total)))
    size = tiny_model.stat().st_size
    assert seen[-1] == (size, size)


def test_a_context_longer_than_trained_stretches_the_positions(model, log, tmp_path):
    assert [model.rope.stretch(n_ctx) for n_ctx in (512, 1024, 2048)] == [1, 1, 2]
    path = tmp_path / "scaled.gguf"
    write_tiny_model(path, extra={"llama.rope.scaling.factor": 4.0, "llama.rope.scaling.type": "linear"})
    scaled = load(log, path)
    assert scaled.rope.stretch(2048) == 1
    scaled.close()


def test_the_stretch_reaches_llama_cpp(model):
    """The last of three tokens sees the others nearer: its prediction is another."""
    seen = []
    for n_ctx in (1024, 8192):
        session = model.session(n_ctx, AbortFlag())
        session.sync([5, 6, 7] * 50)
        seen.append(logits(session))
        session.close()
    assert not np.allclose(seen[0], seen[1], atol=0.05)
