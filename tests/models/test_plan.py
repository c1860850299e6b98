"""What would be fetched, before anything is."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from llamachat.errors import DownloadError, ModelError
from llamachat.models import names
from llamachat.models.catalogue import load
from llamachat.models.download import Downloader
from llamachat.models.hub import Hub as OurHub
from llamachat.models.memory import Machine, Verdict
from llamachat.models.names import HubFile
from llamachat.models.plan import Plan, Undecided, plan
from tests.hub import Hub, Status
from tests.models.fetch import Silent

CATALOGUE = load()
LARGE = Machine(64_000_000_000, 60_000_000_000, 10**12)
SMALL = Machine(8_000_000_000, 5_500_000_000, 10**12)


@pytest.fixture
def hub():
    with Hub() as hub:
        yield hub


@pytest.fixture
def planned(hub, tmp_path) -> Callable[..., Plan]:
    downloader = Downloader(OurHub(hub.endpoint, None, tmp_path / "hub"), tmp_path / "joined", Silent())

    def call(name: str, machine: Machine = LARGE, n_ctx: int | None = None, *, force: bool = False) -> Plan:
        wanted = names.parse(name, CATALOGUE, tmp_path)
        assert isinstance(wanted, HubFile)
        return plan(wanted, downloader, machine, n_ctx, "f16", force=force)

    return call


def test_for_the_catalogue_nothing_is_asked_of_the_hub(planned, hub):
    found = planned("llama2")
    assert found.chosen.files == ("llama-2-7b-chat.Q4_K_M.gguf",)
    assert (found.revision, found.licence) == (CATALOGUE.find("llama2").commit, "llama2")
    assert found.sha256 == CATALOGUE.find("llama2").quantisation("Q4_K_M").sha256
    assert len(found.options) == 12
    assert planned("TheBloke/Llama-2-7B-Chat-GGUF:Q4").chosen == found.chosen
    assert not hub.log


def test_the_best_that_fits_is_taken_and_what_is_named_is_not_replaced(planned):
    small = planned("llama2", SMALL)
    assert small.chosen.judgement.fits
    assert small.chosen.n_bytes < planned("llama2").chosen.n_bytes
    assert planned("llama2:Q8_0", SMALL).chosen.judgement.verdict is Verdict.TOO_LARGE


def test_a_hash_that_nobody_proved_is_none(planned):
    assert planned("llama2:Q4_0").sha256 is None


def test_halves_are_planned_as_one(planned):
    found = planned("llama-2-70b-chat:Q8_0")
    assert found.is_raw_parts
    assert len(found.chosen.files) == 2


def test_of_a_repository_only_the_list_and_a_head_are_read(planned, hub, tiny_model):
    data = tiny_model.read_bytes() + bytes(4_000_000)
    hub.add("me/x-GGUF", {"x.Q4_K_M.gguf": data, "x.Q2_K.gguf": data}, license="mit")
    found = planned("me/x-GGUF")
    assert (found.chosen.quantisation, found.licence) == ("Q4_K_M", "mit")
    assert found.chosen.judgement.n_ctx == 1024
    assert planned("me/x-GGUF", n_ctx=4096).chosen.judgement.n_ctx == 1024
    assert hub.bytes_sent("x.Q4_K_M.gguf") < len(data) / 2


def test_several_that_would_do_are_each_a_plan(planned, hub, tiny_model):
    data = tiny_model.read_bytes()
    hub.add("me/x-GGUF", {"x.Q5_K_S.gguf": data, "x.Q3_K_S.gguf": data})
    with pytest.raises(Undecided) as caught:
        planned("me/x-GGUF")
    assert [each.chosen.quantisation for each in caught.value.plans] == ["Q3_K_S", "Q5_K_S"]


def test_a_file_whose_head_cannot_be_read_is_planned_only_by_force(planned, hub, tiny_model):
    hub.add("me/x-GGUF", {"x.Q4_K_M.gguf": tiny_model.read_bytes()})
    hub.fail("x.Q4_K_M.gguf", Status(403), always=True)
    with pytest.raises(DownloadError):
        planned("me/x-GGUF")
    assert planned("me/x-GGUF", force=True).chosen.judgement is None


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("y.gguf", "has no file y.gguf"),
        ("mmproj-x.gguf", "no whole model"),
        ("s-00001-of-00002.gguf", "no whole model"),
    ],
)
def test_a_file_that_is_no_model_is_said_before_anything_is_read(planned, hub, tiny_model, file, words):
    data = tiny_model.read_bytes()
    hub.add("me/x-GGUF", {"x.Q4_0.gguf": data, "mmproj-x.gguf": data, "s-00001-of-00002.gguf": data})
    with pytest.raises(ModelError, match=words):
        planned(f"me/x-GGUF:{file}")
    assert not [request for request in hub.log if request.range]
