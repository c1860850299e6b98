"""What needs a yes, what it says, and that a yes is kept."""

from __future__ import annotations

import json
from datetime import date

import pytest

from llamachat.errors import StorageError
from llamachat.models import licence
from llamachat.models.licence import Acceptance, Acceptances

TODAY = date(2026, 11, 24)


@pytest.fixture
def record(tmp_path) -> Acceptances:
    return Acceptances(tmp_path / "state" / "licences.json")


def test_only_metas_licence_needs_a_yes():
    assert licence.find("llama2").needs_acceptance
    assert not licence.find("apache-2.0").needs_acceptance
    assert not licence.find("MIT").needs_acceptance
    assert licence.find("made-up") is None


def test_the_summary_says_what_matters_in_few_lines():
    llama2 = licence.find("llama2")
    assert 5 <= len(llama2.summary) <= 8
    assert all(len(line) <= 110 for line in llama2.summary)
    text = " ".join(llama2.summary)
    for word in (
        "commercially",
        "700 million",
        "improve any other",
        "Notice",
        "law",
        "weapons",
        "deceiving",
        "violence",
    ):
        assert word in text


def test_the_notice_is_the_line_that_the_licence_prescribes():
    assert licence.find("llama2").notice == (
        "Llama 2 is licensed under the LLAMA 2 Community License, "
        "Copyright (c) Meta Platforms, Inc. All Rights Reserved."
    )


def test_the_texts_have_their_addresses_and_date():
    llama2 = licence.find("llama2")
    assert [address.partition("ai.meta.com/")[2] for address in llama2.addresses] == [
        "llama/license",
        "llama/use-policy",
    ]
    assert llama2.version == "July 18, 2023"


def test_nothing_is_accepted_at_first(record):
    assert not record.is_accepted("llama2")
    assert record.find("llama2") is None
    assert not record.path.exists()


def test_what_asks_for_nothing_is_accepted_already(record):
    assert record.is_accepted("apache-2.0")
    assert record.is_accepted("made-up")


def test_a_yes_is_kept_with_date_and_version(record):
    record.accept("llama2", TODAY)
    again = Acceptances(record.path)
    assert again.is_accepted("llama2")
    assert again.find("llama2") == Acceptance("July 18, 2023", TODAY)
    assert json.loads(record.path.read_text()) == {"llama2": {"version": "July 18, 2023", "accepted": "2026-11-24"}}


def test_a_yes_to_an_older_version_does_not_count(record):
    record.accept("llama2", TODAY)
    record.path.write_text(record.path.read_text().replace("2023", "2022"))
    assert not record.is_accepted("llama2")
    assert record.find("llama2").version == "July 18, 2022"


def test_another_yes_keeps_the_first(record):
    record.accept("llama2", TODAY)
    record.accept("mit", TODAY)
    assert record.is_accepted("llama2")
    assert record.find("mit").accepted == TODAY


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"[]", b"null", b"7", b"\xff\xfe", b'{"llama2": true}', b'{"llama2": {"version": 1}}',
        b'{"llama2": {"version": "July 18, 2023", "accepted": "yesterday"}}', b"[" * 100_000,
    ],
    ids=lambda content: content[:40].decode("latin-1"),
)  # fmt: skip
def test_a_broken_record_accepts_nothing_and_is_mended_by_the_next_yes(record, content):
    record.path.parent.mkdir()
    record.path.write_bytes(content)
    assert not record.is_accepted("llama2")
    record.accept("llama2", TODAY)
    assert record.is_accepted("llama2")


def test_a_yes_that_cannot_be_kept_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError):
        Acceptances(tmp_path / "file" / "licences.json").accept("llama2", TODAY)
