"""What the catalogue promises: nothing unproved, nothing ambiguous, nothing implausible."""

from __future__ import annotations

import re
from itertools import combinations
from typing import get_args

import pytest

from llamachat.formats.choose import FormatName
from llamachat.models import catalogue, licence
from llamachat.models.catalogue import Kind, Proof

CATALOGUE = catalogue.load()
EVERY_FILE = [
    pytest.param(entry, quantisation, id=f"{entry.name}-{quantisation.name}")
    for entry in CATALOGUE.entries
    for quantisation in entry.quantisations
]
Q4_K_M_7B = "llama-2-7b-chat.Q4_K_M.gguf"
REPO_7B = "TheBloke/Llama-2-7B-Chat-GGUF"
# Bits a weight, from the least of a large model to the most of a small one, whose embeddings weigh more.
BITS = {
    "Q2_K": (3.3, 3.6), "Q3_K_S": (3.4, 3.7), "Q3_K_M": (3.8, 4.1), "Q3_K_L": (4.1, 4.4),
    "Q4_0": (4.5, 4.7), "Q4_1": (5.0, 5.9), "Q4_K_S": (4.5, 4.8), "Q4_K_M": (4.75, 4.95),
    "Q5_0": (5.5, 5.7), "Q5_K_S": (5.5, 5.7), "Q5_K_M": (5.6, 5.8), "Q6_K": (6.5, 6.7), "Q8_0": (8.4, 8.6),
}  # fmt: skip


@pytest.mark.parametrize(("entry", "quantisation"), EVERY_FILE)
def test_only_a_pointer_proves_a_hash(entry, quantisation):
    assert (quantisation.sha256 is not None) == (quantisation.proof is Proof.POINTER) == quantisation.is_proved
    if quantisation.sha256:
        assert re.fullmatch(r"[0-9a-f]{64}", quantisation.sha256)
        assert entry.commit, "a hash holds for one commit"
        assert len(quantisation.files) == 1, "a joined file has no pointer"


@pytest.mark.parametrize(("entry", "quantisation"), EVERY_FILE)
def test_a_size_says_what_it_rests_on(entry, quantisation):
    assert (quantisation.n_bytes is None) == (quantisation.proof is Proof.NONE)


@pytest.mark.parametrize(("entry", "quantisation"), EVERY_FILE)
def test_a_size_is_plausible_for_the_number_of_weights(entry, quantisation):
    if quantisation.n_bytes is not None:
        least, most = BITS[quantisation.name]
        assert least <= quantisation.n_bytes * 8 / entry.n_params <= most


@pytest.mark.parametrize("entry", CATALOGUE.entries, ids=lambda entry: entry.name)
def test_the_dimensions_give_the_number_of_weights(entry):
    shape = entry.geometry
    attention = 2 * shape.n_embd**2 + 2 * shape.n_embd * shape.n_embd_kv
    layer = attention + 3 * shape.n_embd * shape.n_ff + 2 * shape.n_embd
    embeddings = (1 if entry.is_starter else 2) * shape.n_vocab * shape.n_embd  # the starter's are tied
    assert entry.n_params == shape.n_layers * layer + embeddings + shape.n_embd


def test_no_two_files_share_a_hash():
    hashes = [each.sha256 for entry in CATALOGUE.entries for each in entry.quantisations if each.sha256]
    assert len(hashes) == len(set(hashes)) == 14


def test_every_name_and_alias_means_one_model():
    keys = [{catalogue.key(name) for name in (entry.name, *entry.aliases)} for entry in CATALOGUE.entries]
    assert not [first & second for first, second in combinations(keys, 2) if first & second]


def test_no_alias_repeats_another_of_its_model():
    for entry in CATALOGUE.entries:
        names = [catalogue.key(name) for name in (entry.name, *entry.aliases)]
        assert len(names) == len(set(names)), entry.name


def test_names_are_what_one_would_type():
    for name in CATALOGUE.names():
        assert re.fullmatch(r"[a-z0-9][a-z0-9.-]*", name)


def test_repositories_and_commits_are_well_formed_and_distinct():
    repos = [entry.repo for entry in CATALOGUE.entries if not entry.is_starter]
    assert len(repos) == len(set(repos)) == len(CATALOGUE.entries) - 1
    assert all(re.fullmatch(r"[\w.-]+/[\w.-]+", repo) for repo in repos)
    assert all(re.fullmatch(r"[0-9a-f]{40}", entry.commit) for entry in CATALOGUE.entries if entry.commit)


@pytest.mark.parametrize("entry", CATALOGUE.entries, ids=lambda entry: entry.name)
def test_every_entry_has_a_format_a_licence_and_a_card(entry):
    assert entry.format in get_args(FormatName)
    assert licence.find(entry.licence) is not None
    assert len(entry.trained_on) > 50
    assert entry.use.endswith(".")
    assert "\n" not in entry.trained_on + entry.use
    assert entry.language == "English"


def test_meta_s_models_are_under_meta_s_licence_and_in_its_format():
    for entry in CATALOGUE.entries:
        is_metas = entry.name.startswith(("llama-2-", "codellama-"))
        assert (entry.licence == "llama2") == is_metas
        assert (entry.format == "llama2") == (is_metas and entry.kind is not Kind.BASE)


def test_llama_2_was_trained_on_what_meta_has_not_listed():
    for name in ("llama-2-7b-chat", "llama-2-70b"):
        entry = CATALOGUE.find(name)
        assert "2 trillion tokens of publicly available online data that Meta has not listed" in entry.trained_on
        assert (entry.context, entry.released.isoformat()) == (4096, "2023-07-18")
    assert "over a million human annotations" in CATALOGUE.find("llama2").trained_on


def test_drafts_share_llama_2_s_vocabulary_and_are_small():
    drafts = [entry for entry in CATALOGUE.entries if entry.is_draft]
    assert [entry.name for entry in drafts] == ["tinyllama-1.1b-chat-v1.0", "llama-160m-chat-v1", "llama-68m-chat-v1"]
    for entry in drafts:
        assert entry.geometry.n_vocab == CATALOGUE.find("llama2").geometry.n_vocab
        assert entry.n_params < 1_200_000_000
        assert entry.format == "template"


def test_the_largest_files_of_70b_are_two_halves():
    entry = CATALOGUE.find("llama2:70b")
    halves = {each.name: each.files for each in entry.quantisations if len(each.files) > 1}
    assert halves == {
        name: (f"llama-2-70b-chat.{name}.gguf-split-a", f"llama-2-70b-chat.{name}.gguf-split-b")
        for name in ("Q6_K", "Q8_0")
    }
    assert entry.geometry.n_kv_heads == 8


def test_llama_2_has_every_quantisation_in_every_size():
    for name in ("llama-2-7b", "llama-2-13b", "llama-2-70b"):
        for suffix in ("", "-chat"):
            assert len(CATALOGUE.find(name + suffix).quantisations) == 12


def test_the_default_file_is_the_one_everybody_knows():
    entry, quantisation = CATALOGUE.of_file(REPO_7B, Q4_K_M_7B)
    assert entry.name == "llama-2-7b-chat"
    assert quantisation.n_bytes == 4_081_004_224
    assert quantisation.is_proved


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("llama2", "llama-2-7b-chat"),
        ("Llama-2", "llama-2-7b-chat"),
        ("LLAMA_2_7B_CHAT", "llama-2-7b-chat"),
        ("llama2:13b", "llama-2-13b-chat"),
        ("llama-2:70b", "llama-2-70b-chat"),
        ("llama-2-7b", "llama-2-7b"),
        ("Llama2-7B", "llama-2-7b"),
        ("Llama 2 13B chat", "llama-2-13b-chat"),
        ("llama2:13b-text", "llama-2-13b"),
        ("CodeLlama", "codellama-7b-instruct"),
        ("TinyLlama", "tinyllama-1.1b-chat-v1.0"),
        ("Starter", "smollm2-135m-instruct"),
        ("llama-3", None),
        ("", None),
    ],
)
def test_a_name_is_found_in_any_case_and_with_any_separators(name, expected):
    found = CATALOGUE.find(name)
    assert (found.name if found else None) == expected


def test_a_hash_holds_for_its_own_repository_commit_and_file_only():
    commit = CATALOGUE.find("llama2").commit
    assert CATALOGUE.sha256_for(REPO_7B, commit, Q4_K_M_7B).startswith("08a5566d")
    assert CATALOGUE.sha256_for(REPO_7B.lower(), commit, Q4_K_M_7B).startswith("08a5566d")
    assert CATALOGUE.sha256_for(REPO_7B, "main", Q4_K_M_7B) is None
    assert CATALOGUE.sha256_for(REPO_7B, None, Q4_K_M_7B) is None
    assert CATALOGUE.sha256_for("someone/Llama-2-7B-Chat-GGUF", commit, Q4_K_M_7B) is None
    assert CATALOGUE.sha256_for(REPO_7B, commit, "llama-2-7b-chat.Q5_K_M.gguf") is None
    assert CATALOGUE.sha256_for(REPO_7B, commit, "README.md") is None


def test_a_repository_without_a_known_commit_answers_for_none():
    repo = CATALOGUE.find("llama2:70b").repo
    assert CATALOGUE.sha256_for(repo, None, "llama-2-70b-chat.Q4_K_M.gguf") is None


def test_either_half_of_a_file_is_that_file():
    repo = CATALOGUE.find("llama2:70b").repo
    for half in "ab":
        _, quantisation = CATALOGUE.of_file(repo, f"llama-2-70b-chat.Q8_0.gguf-split-{half}")
        assert quantisation.name == "Q8_0"
    assert CATALOGUE.of_file(repo, "llama-2-70b-chat.Q8_0.gguf") is None


def test_the_starter_belongs_to_no_repository():
    assert CATALOGUE.find("starter").is_starter
    assert CATALOGUE.of_repo("") is None
