"""What every name means that a user would try."""

from __future__ import annotations

from pathlib import Path

import pytest

from llamachat.errors import ExitCode, ModelError
from llamachat.models import catalogue, names
from llamachat.models.names import HubFile, LocalFile, Starter, choose_file, group_parts, parse

CATALOGUE = catalogue.load()
NOWHERE = Path("/nonexistent")
HUB = "https://" + ".".join(("huggingface", "co"))
MIRROR = "http://localhost:8080/mirror"
REPO = "TheBloke/Llama-2-7B-Chat-GGUF"
COMMIT = CATALOGUE.find("llama2").commit


def file_of(size: str, quantisation: str) -> str:
    return f"llama-2-{size}.{quantisation}.gguf"


@pytest.mark.parametrize(
    ("name", "entry", "quantisation"),
    [
        ("llama-2-7b-chat", "llama-2-7b-chat", None),
        ("Llama-2-7B-Chat", "llama-2-7b-chat", None),
        ("llama_2_7b_chat", "llama-2-7b-chat", None),
        ("Llama 2 7B chat", "llama-2-7b-chat", None),
        ("  llama2\n", "llama-2-7b-chat", None),
        ("llama2", "llama-2-7b-chat", None),
        ("llama-2", "llama-2-7b-chat", None),
        ("llama2:latest", "llama-2-7b-chat", None),
        ("llama2:13b", "llama-2-13b-chat", None),
        ("llama2:70b-chat", "llama-2-70b-chat", None),
        ("llama2:7b-text", "llama-2-7b", None),
        ("llama-2-13b", "llama-2-13b", None),
        ("tinyllama", "tinyllama-1.1b-chat-v1.0", None),
        ("codellama:34b", "codellama-34b-instruct", None),
        ("llama-2-7b-chat:Q5_K_M", "llama-2-7b-chat", "Q5_K_M"),
        ("llama-2-7b-chat:q5_k_m", "llama-2-7b-chat", "Q5_K_M"),
        ("llama-2-7b-chat-Q5_K_M", "llama-2-7b-chat", "Q5_K_M"),
        ("llama-2-7b-chat.Q4_K_M", "llama-2-7b-chat", "Q4_K_M"),
        ("llama-2-7b-chat.Q4_K_M.gguf", "llama-2-7b-chat", "Q4_K_M"),
        ("llama-2-7b-chat.q4_0.gguf", "llama-2-7b-chat", "Q4_0"),
        ("llama2:Q4", "llama-2-7b-chat", "Q4_K_M"),
        ("llama2:q8", "llama-2-7b-chat", "Q8_0"),
        ("llama2:q6", "llama-2-7b-chat", "Q6_K"),
        ("llama2:q3", "llama-2-7b-chat", "Q3_K_M"),
        ("llama2:13b:Q5_K_M", "llama-2-13b-chat", "Q5_K_M"),
        ("llama2:13b-chat-q4_K_M", "llama-2-13b-chat", "Q4_K_M"),
        ("tinyllama-1.1b-chat-v1.0.Q8_0.gguf", "tinyllama-1.1b-chat-v1.0", "Q8_0"),
    ],
)
def test_a_name_of_the_catalogue_brings_its_repository_and_commit(name, entry, quantisation):
    found = parse(name, CATALOGUE, NOWHERE)
    expected = CATALOGUE.find(entry)
    assert isinstance(found, HubFile)
    assert (found.repo, found.revision, found.entry) == (expected.repo, expected.commit, expected)
    assert found.quantisation == quantisation
    assert found.file == (expected.quantisation(quantisation).files[0] if quantisation else None)


def test_a_model_in_parts_is_named_by_its_first():
    assert parse("llama2:70b:Q8_0", CATALOGUE, NOWHERE).file == "llama-2-70b-chat.Q8_0.gguf-split-a"
    assert parse("llama-160m", CATALOGUE, NOWHERE).file is None
    assert parse("llama-160m:Q8_0", CATALOGUE, NOWHERE).file.endswith("00001-of-00007.gguf")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("owner/repo", HubFile("owner/repo")),
        ("owner/repo/", HubFile("owner/repo")),
        ("owner/repo:latest", HubFile("owner/repo")),
        ("owner/repo:Q4_K_M", HubFile("owner/repo", quantisation="Q4_K_M")),
        ("owner/repo:q4_k_m", HubFile("owner/repo", quantisation="Q4_K_M")),
        ("owner/repo:Q4", HubFile("owner/repo", quantisation="Q4")),
        ("owner/repo:IQ3_XXS", HubFile("owner/repo", quantisation="IQ3_XXS")),
        ("owner/repo:UD-Q4_K_XL", HubFile("owner/repo", quantisation="Q4_K_XL")),
        ("owner/repo:F16", HubFile("owner/repo", quantisation="F16")),
        ("owner/repo/Q4_K_M", HubFile("owner/repo", quantisation="Q4_K_M")),
        ("owner/repo:file.gguf", HubFile("owner/repo", file="file.gguf")),
        ("owner/repo/file.gguf", HubFile("owner/repo", file="file.gguf")),
        ("owner/repo/folder/m.Q8_0.gguf", HubFile("owner/repo", None, "folder/m.Q8_0.gguf", "Q8_0")),
        ("owner/repo:m.Q6_K.gguf-split-b", HubFile("owner/repo", None, "m.Q6_K.gguf-split-b", "Q6_K")),
        ("owner/repo@v1", HubFile("owner/repo", "v1")),
        ("owner/repo@v1:file.gguf", HubFile("owner/repo", "v1", "file.gguf")),
        ("owner/repo@v1:Q8_0", HubFile("owner/repo", "v1", quantisation="Q8_0")),
        ("owner/repo@refs/pr/7:file.gguf", HubFile("owner/repo", "refs/pr/7", "file.gguf")),
        ("hf://owner/repo", HubFile("owner/repo")),
        ("hf://owner/repo/file.gguf", HubFile("owner/repo", file="file.gguf")),
        ("hf://owner/repo@v1/file.gguf", HubFile("owner/repo", "v1", "file.gguf")),
        ("hf://models/owner/repo@refs%2Fpr%2F1/file.gguf", HubFile("owner/repo", "refs/pr/1", "file.gguf")),
        ("hf.co/owner/repo:Q4", HubFile("owner/repo", quantisation="Q4")),
        ("https://hf.co/owner/repo", HubFile("owner/repo")),
        (HUB + "/owner/repo", HubFile("owner/repo")),
        (HUB.removeprefix("https://") + "/owner/repo:Q8_0", HubFile("owner/repo", quantisation="Q8_0")),
        (HUB.upper() + "/owner/repo", HubFile("owner/repo")),
        (HUB + "/owner/repo/tree/main", HubFile("owner/repo", "main")),
        (HUB + "/owner/repo/tree/main/Q4_K_M", HubFile("owner/repo", "main", quantisation="Q4_K_M")),
        (HUB + "/owner/repo/blob/main/file.gguf", HubFile("owner/repo", "main", "file.gguf")),
        (HUB + "/owner/repo/resolve/main/a/file.gguf?download=true", HubFile("owner/repo", "main", "a/file.gguf")),
        (HUB + "/owner/repo/resolve/v1/my%20file.gguf#top", HubFile("owner/repo", "v1", "my file.gguf")),
        (f"<{HUB}/owner/repo/blob/refs%2Fpr%2F3/file.gguf>", HubFile("owner/repo", "refs/pr/3", "file.gguf")),
        (MIRROR + "/owner/repo/resolve/main/file.gguf", HubFile("owner/repo", "main", "file.gguf")),
        ("localhost:8080/mirror/owner/repo", HubFile("owner/repo")),
    ],
)
def test_a_name_of_the_hub_is_a_repository_and_what_it_says_of_a_file(name, expected):
    assert parse(name, CATALOGUE, NOWHERE, MIRROR) == expected


@pytest.mark.parametrize(
    "name",
    [
        f"{REPO.lower()}:Q4_K_M",
        f"hf.co/{REPO}:Q4_K_M",
        f"{REPO}/llama-2-7b-chat.Q4_K_M.gguf",
        f"{HUB}/{REPO}/blob/main/llama-2-7b-chat.Q4_K_M.gguf",
    ],
)
def test_a_repository_of_the_catalogue_is_recognised_however_it_is_written(name):
    found = parse(name, CATALOGUE, NOWHERE)
    assert (found.repo, found.entry.name, found.quantisation) == (REPO, "llama-2-7b-chat", "Q4_K_M")
    assert found.revision in (None, "main"), "the commit is pinned only where our own name is used"


@pytest.mark.parametrize("name", ["starter", "Starter", "smollm2", "SmolLM2-135M-Instruct"])
def test_the_starter_has_its_names(name):
    assert parse(name, CATALOGUE, NOWHERE) == Starter()


@pytest.mark.parametrize("name", ["llama2", "starter", "owner/repo", "model.gguf", "a b.bin", "llama2:13b"])
def test_an_existing_file_wins_over_every_name(tmp_path, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("")
    assert parse(name, CATALOGUE, tmp_path) == LocalFile(tmp_path / name)
    assert parse(str(tmp_path / name), CATALOGUE, NOWHERE) == LocalFile(tmp_path / name)


def test_a_folder_wins_over_a_repository_and_not_over_a_name_of_the_catalogue(tmp_path):
    (tmp_path / "owner" / "repo").mkdir(parents=True)
    (tmp_path / "llama2").mkdir()
    assert parse("owner/repo", CATALOGUE, tmp_path) == LocalFile(tmp_path / "owner" / "repo")
    assert parse("llama2", CATALOGUE, tmp_path).repo == REPO


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        ("llama-2-7b-caht", "no model", "llama-2-7b-chat"),
        ("lama2", "no model", "llama2"),
        ("tinylama", "no model", "tinyllama"),
        ("startre", "no model", "starter"),
        ("zzzzzz", "no model", "models recommend"),
        ("", "no model", "models recommend"),
        ("llama2:Q9_X", "no quantisation 'Q9_X'", "Q4_K_M"),
        ("llama2:tiny", "no quantisation 'tiny'", "Q4_K_M"),
        ("codellama:Q8_0", "no quantisation", "Q4_K_M"),
        ("starter:Q4_0", "no model", "starter"),
        ("missing.gguf", "no file missing.gguf", ""),
        ("llama-2-7b-chat.gguf", "no file", "llama-2-7b-chat"),
        ("models/missing.gguf", "no file", ""),
        ("./owner/repo", "no file", ""),
        ("../up/model.gguf", "no file", ""),
        ("/no/such/file", "no file", ""),
        ("~/no-such-file", "no file", ""),
        ("~nobody-of-this-name/x.gguf", "no file", ""),
        ("C:\\models\\x.gguf", "no file", ""),
        ("x\0y", "no model", ""),
        ("a" * 5000, "no model", ""),
        ("owner/repo:README.md", "not a GGUF file", ".gguf"),
        ("owner/repo/model.safetensors", "not a GGUF file", ".gguf"),
        ("owner/repo:nothing", "names no GGUF file", "Q4_K_M"),
        ("owner/re..po", "names no model", "OWNER/REPO"),
        ("owner/repo/../../x.gguf", "names no file", ""),
        ("owner/repo/a%5C..%5Cx.gguf", "names no file", ""),
        ("owner/repo@..%2F..:x.gguf", "names no revision", ""),
        ("owner/", "names no model", ""),
        ("own er/repo", "names no model", ""),
        (
            "https://example.com/owner/repo/resolve/main/x.gguf",
            "example.com is not the Hugging Face Hub",
            "HF_ENDPOINT",
        ),
        ("https://huggingface.evil.example/owner/repo", "is not the Hugging Face Hub", ""),
        ("http://[broken/owner/repo", "names no model", ""),
        (HUB, "names no model", ""),
        (HUB + "/datasets/owner/repo", "no model's address", ""),
        (HUB + "/spaces/owner/repo", "no model's address", ""),
        (HUB + "/owner/repo/discussions/3", "names no GGUF file", ""),
        ("hf://datasets/owner/repo", "no model's address", ""),
    ],
)
def test_what_names_no_model_is_refused_with_the_nearest(name, message, hint):
    with pytest.raises(ModelError) as caught:
        parse(name, CATALOGUE, NOWHERE)
    assert message in caught.value.message
    assert hint in caught.value.hint
    assert caught.value.hint
    assert caught.value.code == ExitCode.MODEL


FILES = [
    "README.md", "m.Q2_K.gguf", "m.Q4_K_M.gguf", "m.Q4_K_S.gguf", "m.Q8_0.gguf", "mmproj-m-f16.gguf", "m.imatrix.gguf",
]  # fmt: skip


@pytest.mark.parametrize(
    ("files", "quantisation", "expected"),
    [
        (FILES, None, "m.Q4_K_M.gguf"),
        (FILES, "Q2_K", "m.Q2_K.gguf"),
        (FILES, "q2_k", "m.Q2_K.gguf"),
        (FILES, "Q4", "m.Q4_K_M.gguf"),
        (FILES, "Q8", "m.Q8_0.gguf"),
        (["a-Q2_K.gguf", "a-Q8_0.gguf"], None, "a-Q8_0.gguf"),
        (["only.gguf"], None, "only.gguf"),
        (["only.Q3_K_S.gguf", "mmproj.gguf"], None, "only.Q3_K_S.gguf"),
        (["a.Q2_K.gguf", "a.Q3_K_S.gguf"], None, None),
        (["a.Q4_K_M.gguf", "b.Q4_K_M.gguf", "b.Q8_0.gguf"], None, None),
        (["a.Q4_K_M.gguf", "b.Q4_K_M.gguf"], "Q4_K_M", None),
        (["a.IQ4_XS.gguf", "a.Q4_0.gguf"], "Q4", "a.Q4_0.gguf"),
        (["model-f16.gguf", "model-Q5_K_M.gguf"], "F16", "model-f16.gguf"),
    ],
)
def test_the_file_asked_for_is_taken_or_the_usual_one(files, quantisation, expected):
    assert choose_file(files, quantisation) == ((expected,) if expected else None)


def test_all_parts_of_a_model_are_taken_in_order():
    parts = tuple(f"Q4_K_M/m-{number:05}-of-00003.gguf" for number in (1, 2, 3))
    halves = ("m.Q8_0.gguf-split-a", "m.Q8_0.gguf-split-b")
    files = [*reversed(parts), *reversed(halves), "m.Q2_K.gguf"]
    assert choose_file(files) == parts
    assert choose_file(files, "Q8_0") == halves
    assert group_parts(files) == [parts, halves, ("m.Q2_K.gguf",)]


def test_a_model_that_lacks_a_part_is_none():
    assert group_parts(["m-00001-of-00002.gguf", "n.gguf-split-a", "o.gguf-split-b", "p.gguf"]) == [("p.gguf",)]


def test_sets_of_different_lengths_are_kept_apart():
    files = ["m-00001-of-00001.gguf", "m-00001-of-00002.gguf", "m-00002-of-00002.gguf"]
    assert group_parts(files) == [tuple(files[:1]), tuple(files[1:])]


def test_a_quantisation_that_is_not_there_is_an_error_with_the_files_there_are():
    with pytest.raises(ModelError) as caught:
        choose_file(FILES, "Q6_K")
    assert "Q6_K" in caught.value.message
    assert "m.Q4_K_S.gguf" in caught.value.hint
    assert "mmproj" not in caught.value.hint


def test_a_repository_without_gguf_files_says_so():
    with pytest.raises(ModelError, match="no GGUF file"):
        choose_file(["model.safetensors", "mmproj.gguf"])


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("llama-2-7b-chat.Q4_K_M.gguf", "Q4_K_M"),
        ("Model-IQ3_XXS.gguf", "IQ3_XXS"),
        ("model.f16.gguf", "F16"),
        ("Q5_K_M/model-00001-of-00002.gguf", "Q5_K_M"),
        ("x.Q8_0.gguf-split-b", "Q8_0"),
        ("plain.gguf", None),
        ("qwen-7b.gguf", None),
    ],
)
def test_a_file_s_name_tells_its_quantisation(file, expected):
    assert names.quantisation_of(file) == expected


def test_each_file_of_the_catalogue_is_told_by_its_name():
    for entry in CATALOGUE.entries:
        for quantisation in entry.quantisations:
            assert {names.quantisation_of(file) for file in quantisation.files} == {quantisation.name}
            assert group_parts(quantisation.files) == [quantisation.files]
