"""A GGUF's header: what it says of the model, and that a broken file is refused in its own words."""

from __future__ import annotations

import errno
import io
import os
import random
import sys
import time
from pathlib import Path

import gguf
import pytest
from llama_cpp import _ggml

from llamachat.errors import ModelError
from llamachat.models.gguf import TYPES, check, read_facts, read_header
from tests.model_files import VOCABULARY, write_tiny_model
from tests.models.malformed import cases
from tests.models.malformed_model import (
    I32,
    STRING,
    TOKENS,
    U16,
    U32,
    Entry,
    Model,
    Weights,
    valid,
    write_split,
    written,
)

CASES = cases()


@pytest.fixture
def file(tmp_path):
    """A path with these bytes in it."""

    def write(content: bytes | Model, name: str = "x.gguf") -> Path:
        path = tmp_path / name
        path.write_bytes(written(content) if isinstance(content, Model) else content)
        return path

    return write


def refusal(path: Path) -> ModelError:
    with pytest.raises(ModelError) as caught:
        check(path)
    assert "\n" not in str(caught.value)
    assert str(caught.value).isprintable()
    assert caught.value.hint
    return caught.value


def changed(*entries: tuple, drop: tuple[str, ...] = ()) -> Model:
    model = valid()
    for key, kind, value in entries:
        model.set(key, kind, value, is_array=isinstance(value, list))
    for key in drop:
        model.drop(key)
    return model


def test_a_whole_model_passes_and_says_what_it_is(file):
    checked = check(file(valid()))
    facts = checked.facts
    assert (facts.architecture, facts.name, facts.file_type, facts.tokenizer) == ("llama", "small", 1, "llama")
    assert (facts.context_length, facts.n_layers, facts.n_embd, facts.n_ff) == (64, 1, 32, 32)
    assert (facts.n_heads, facts.n_kv_heads, facts.head_dim, facts.value_dim) == (2, 1, 16, 16)
    assert (facts.n_vocab, facts.split_count, facts.split_no, facts.chat_template) == (262, 0, 0, None)
    assert facts.kv_bytes_per_token() == 2 * 2 * 1 * 1 * 16
    assert facts.kv_bytes_per_token(34 / 32) == 34
    assert checked.quantisation == "F16"
    assert checked.data_offset % 32 == 0


@pytest.mark.parametrize("which", ["tiny_model", "starter"])
def test_tensors_are_those_that_the_reference_reads(which, request):
    path = request.getfixturevalue(which)
    checked, reference = check(path), gguf.GGUFReader(str(path))
    assert checked.data_offset == reference.data_offset
    assert [(t.name, t.shape, t.type, t.n_bytes, t.offset + checked.data_offset) for t in checked.tensors] == [
        (t.name, tuple(map(int, t.shape)), int(t.tensor_type), int(t.n_bytes), int(t.data_offset))
        for t in reference.tensors
    ]
    assert checked.weight_bytes == sum(int(t.n_bytes) for t in reference.tensors)


def test_the_starter_model_passes(starter):
    checked = check(starter)
    facts = checked.facts
    assert checked.quantisation == "Q4_1"
    assert (facts.n_layers, facts.n_kv_heads, facts.head_dim, facts.n_vocab) == (30, 3, 64, 49152)
    assert facts.kv_bytes_per_token() == 23040
    assert "<|im_start|>" in facts.chat_template


def test_a_template_is_read_whole_by_a_check(tmp_path):
    path = write_tiny_model(tmp_path / "a.gguf", template="{{ 'é' }}\n" * 9000)
    assert check(path).facts.chat_template == "{{ 'é' }}\n" * 9000


def test_block_sizes_are_ggmls():
    sizes = {int(kind): size for kind, size in gguf.GGML_QUANT_SIZES.items()}
    for number, kind in TYPES.items():
        assert sizes.get(number, (kind.block, kind.n_bytes)) == (kind.block, kind.n_bytes), kind.name
        of_llama = _ggml.libggml.ggml_blck_size(number), _ggml.libggml.ggml_type_size(number)
        assert of_llama == (kind.block, kind.n_bytes), kind.name


@pytest.mark.parametrize("number", [int(number) for number in gguf.LlamaFileType])
def test_the_quantisation_is_named_as_in_file_names(file, number):
    name = check(file(changed(("general.file_type", U32, number)))).quantisation
    expected = gguf.LlamaFileType(number).name.removeprefix("MOSTLY_").removeprefix("ALL_").removesuffix("_MOE")
    assert name == expected.replace("GUESSED", "F32")


def test_without_its_number_the_quantisation_is_the_type_of_most_bytes(file):
    assert check(file(changed(drop=("general.file_type",)))).quantisation == "F16"


def test_there_are_two_hundred_broken_files_and_more():
    assert len(CASES) >= 200


@pytest.mark.parametrize("case", CASES, ids=[case.what for case in CASES])
def test_a_broken_file_is_refused_in_its_own_words(file, case):
    message = refusal(file(case.data, "broken.gguf")).message
    assert message.startswith("broken.gguf ")
    assert message.endswith(".")
    assert case.words in message


@pytest.mark.parametrize("seed", range(8))
def test_flipped_bytes_in_a_header_pass_or_are_refused(file, seed):
    rng, whole = random.Random(seed), written(valid())
    for _ in range(150):
        data = bytearray(whole)
        for _ in range(rng.choice((1, 1, 2, 8))):
            data[rng.randrange(rng.choice((64, 700, len(data))))] = rng.randrange(256)
        path = file(bytes(data))
        for read in (check, read_header, lambda path: read_facts(io.BytesIO(path.read_bytes()))):
            try:
                read(path)
            except ModelError as error:
                assert str(error).isprintable()


@pytest.mark.parametrize("name", ["folder", "nothing.gguf", "x.gguf/y.gguf", "zero\0.gguf", "n" * 300, "pipe"])
def test_what_is_no_file_is_refused(file, tmp_path, name):
    file(valid())
    (tmp_path / "folder").mkdir()
    if name == "pipe":
        if sys.platform == "win32":
            pytest.skip("Windows has no named pipes in its file system")
        os.mkfifo(tmp_path / name)
    for read in (check, read_header):
        with pytest.raises(ModelError) as caught:
            read(tmp_path / name)
        assert name.replace("\0", "?") in caught.value.message
        assert str(caught.value).isprintable()


def test_a_file_without_permission_is_refused(file, monkeypatch):
    path = file(valid())

    def refuse(self: Path, *_: object) -> None:  # as the system does to everybody but root
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    monkeypatch.setattr(Path, "open", refuse)
    assert "cannot be read: Permission denied" in refusal(path).message


def test_a_truncated_download_says_how_much_there_is_and_what_resumes_it(tmp_path, starter):
    path = tmp_path / "half.gguf"
    path.write_bytes(starter.read_bytes()[:30_000_000])
    error = refusal(path)
    assert error.message == "half.gguf is incomplete: it has 30.0 of 98.4 MB."
    assert "llamachat pull" in error.hint


def test_a_vocabulary_without_weights_is_refused_and_its_facts_are_read():
    assert "holds a vocabulary and no weights" in refusal(VOCABULARY).message
    with VOCABULARY.open("rb") as stream:
        assert read_facts(stream).n_vocab == 1024


def test_llamas_without_a_byte_token_fall_back_to_the_byte_itself(file):
    tokens = ["A" if token == "<0x41>" else token for token in TOKENS]
    check(file(changed(("tokenizer.ggml.tokens", STRING, tokens))))


def test_empty_tokens_may_come_twice_since_llama_cpp_renames_them(file):
    check(file(changed(("tokenizer.ggml.tokens", STRING, [*TOKENS[:-2], "", ""]))))


@pytest.mark.parametrize("name", ["bos", "eos"])
def test_minus_one_says_that_there_is_no_such_token(file, name):
    check(file(changed((f"tokenizer.ggml.{name}_token_id", U32, 2**32 - 1))))


def test_a_vocabulary_of_another_kind_needs_no_byte_tokens(file):
    tokens = [f"t{index}" for index in range(len(TOKENS))]
    check(file(changed(("tokenizer.ggml.model", STRING, "gpt2"), ("tokenizer.ggml.tokens", STRING, tokens))))


def test_an_unknown_architecture_is_left_to_llama_cpp(file):
    model = valid()
    model.entries = [(key.replace("llama.", "brand-new2."), entry) for key, entry in model.entries]
    model.set("general.architecture", STRING, "brand-new2")
    assert check(file(model)).facts.architecture == "brand-new2"


@pytest.mark.parametrize("scaling", ["none", "linear", "yarn", "longrope"])
def test_the_scalings_that_llama_cpp_knows_pass(file, scaling):
    check(file(changed(("llama.rope.scaling.type", STRING, scaling))))


def test_experts_that_add_up_pass(file):
    check(file(changed(("llama.expert_count", U32, 8), ("llama.expert_used_count", U32, 2))))


def test_of_heads_that_differ_by_layer_the_most_count(file):
    heads = [("llama.attention.head_count", U32, [2, 1]), ("llama.attention.head_count_kv", I32, [0, 2])]
    facts = check(file(changed(*heads, ("llama.attention.key_length", U32, 24)))).facts
    assert (facts.n_heads, facts.n_kv_heads, facts.head_dim, facts.value_dim) == (2, 2, 24, 16)


def test_the_gate_of_a_shared_expert_is_one_row_and_no_vector(file):
    model = valid()
    model.weights.append(Weights("blk.0.ffn_gate_inp_shexp.weight", [32], 1))
    check(file(model))


def test_another_alignment_passes_when_the_file_keeps_to_it(file):
    check(file(changed(("general.alignment", U32, 16))))


def test_bytes_after_the_last_tensor_do_not_matter(file):
    check(file(written(valid()) + b"more"))


def test_a_split_model_passes_by_its_first_part(tmp_path):
    parts = write_split(tmp_path)
    checked = check(parts[0])
    assert checked.parts == tuple(parts)
    assert {tensor.name for tensor in checked.tensors} == {weights.name for weights in valid().weights}
    assert checked.facts.split_count == 3


def test_a_later_part_names_the_first(tmp_path):
    error = refusal(write_split(tmp_path)[1])
    assert error.message == "small-00002-of-00003.gguf is part 2 of 3."
    assert error.hint == "Name the first file: small-00001-of-00003.gguf."


def test_a_missing_part_is_named(tmp_path):
    parts = write_split(tmp_path)
    parts[1].unlink()
    assert "there is no small-00002-of-00003.gguf" in refusal(parts[0]).message
    parts[2].unlink()
    assert "small-00002-of-00003.gguf and 1 more" in refusal(parts[0]).message


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda parts: parts[2].write_bytes(parts[2].read_bytes()[:-100]), "00003-of-00003.gguf is incomplete: it has"),
        (lambda parts: parts[2].write_bytes(b""), "00003-of-00003.gguf is empty"),
        (lambda parts: parts[2].write_bytes(parts[1].read_bytes()), "claims to be part 2 of 3, and is used as 3"),
        (lambda parts: parts[2].write_bytes(written(valid())), "claims to be part 1 of 0"),
    ],
)
def test_every_part_is_checked(tmp_path, change, words):
    parts = write_split(tmp_path)
    change(parts)
    assert words in refusal(parts[0]).message


def test_a_tensor_in_two_parts_is_refused(tmp_path):
    parts = write_split(tmp_path, 2)
    again = Model(weights=[valid().weights[0]])
    for key, value in (("split.no", 1), ("split.count", 2)):
        again.set(key, U16, value)
    parts[1].write_bytes(written(again))
    assert "has the tensor 'token_embd.weight' in two of its parts" in refusal(parts[0]).message


class Stream(io.RawIOBase):
    """A file far away, which gives a little at a time; `n_read` is how much it was asked for."""

    def __init__(self, data: bytes, at_most: int = 1 << 20) -> None:
        self.data, self.n_read, self.at_most = data, 0, at_most

    def read(self, n_bytes: int = -1) -> bytes:
        block = self.data[self.n_read : self.n_read + min(n_bytes, self.at_most)]
        self.n_read += len(block)
        return block


def test_facts_of_a_remote_file_take_its_first_block(starter):
    stream = Stream(starter.read_bytes()[:2_000_000])
    facts = read_facts(stream)
    assert (facts.architecture, facts.n_layers, facts.n_vocab) == ("llama", 30, 49152)
    assert stream.n_read == 65536


def test_facts_are_the_same_however_little_a_read_brings(file):
    whole = written(valid())
    assert read_facts(Stream(whole, at_most=7)) == read_facts(Stream(whole)) == check(file(valid())).facts


def test_dimensions_after_the_vocabulary_are_found(file):
    model = valid()
    model.entries.sort(key=lambda pair: not pair[0].startswith("tokenizer"))
    assert read_facts(Stream(written(model))).n_layers == 1
    assert check(file(model)).facts.n_layers == 1


def test_a_remote_file_that_is_no_gguf_is_refused_by_the_name_given():
    with pytest.raises(ModelError, match=r"m\.gguf is a web page"):
        read_facts(Stream(b"<html>"), "m.gguf")


def test_a_hostile_name_cannot_move_the_cursor_from_a_remote_header():
    model = changed(
        ("general.architecture", STRING, "\x1b[2J\n"), ("\x1b[2J\n.block_count", STRING, "\x1b[2J\n" * 9999)
    )
    with pytest.raises(ModelError) as caught:
        read_facts(Stream(written(model)))
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 700


def test_no_more_than_16_mib_of_a_remote_header_are_read():
    model = valid()
    model.entries = [(f"k{index}", Entry(STRING, "x" * (1 << 20))) for index in range(20)]
    stream = Stream(written(model))
    with pytest.raises(ModelError, match="more than 16 MiB of header"):
        read_facts(stream)
    assert stream.n_read <= 1 << 25


def test_a_stream_that_fails_is_its_readers_matter():
    class Broken(Stream):
        def read(self, n_bytes: int = -1) -> bytes:
            raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        read_facts(Broken(b""))


def test_the_starters_header_is_checked_in_milliseconds(starter):
    def seconds() -> float:
        start = time.perf_counter()
        check(starter)
        return time.perf_counter() - start

    assert min(seconds() for _ in range(5)) < 0.2
