"""What a model needs, what a machine has, and what follows from the two."""

from __future__ import annotations

import subprocess
import time
from collections import namedtuple
from pathlib import Path

import psutil
import pytest

from llamachat.models import catalogue, memory
from llamachat.models.catalogue import Geometry, Quantisation
from llamachat.models.memory import Device, Machine, Need, Verdict, best, judge, look, need, speed

CATALOGUE = catalogue.load()
GIB, MIB = 1 << 30, 1 << 20
LLAMA_7B = CATALOGUE.find("llama2")
SHAPE_7B = LLAMA_7B.geometry
Q4_K_M_7B = LLAMA_7B.quantisation("Q4_K_M").n_bytes


def machine(ram: float, *vram: float, bandwidth: float | None = None, unified: bool = False) -> Machine:
    """A machine with so many GiB available, and GPUs with so many free."""
    devices = tuple(Device("GPU", int(each * GIB), int(each * GIB), unified) for each in vram)
    return Machine(int(ram * GIB), int(ram * GIB), 10**12, devices, bandwidth)


@pytest.mark.parametrize(("name", "mib"), [("llama2", 0.50), ("llama2:13b", 0.78), ("llama2:70b", 0.31)])
def test_the_kv_cache_of_a_token_is_what_its_shape_says(name, mib):
    kv = need(0, CATALOGUE.find(name).geometry, n_ctx=1).kv
    assert kv / MIB == pytest.approx(mib, abs=0.005)


def test_a_whole_context_of_llama_2_7b_takes_two_gibibytes():
    assert need(0, SHAPE_7B, 4096).kv == 2 * GIB
    assert need(0, SHAPE_7B, 4096, "q8_0").kv == 1_140_850_688, "as llama.cpp allocates"


def test_a_quantised_kv_cache_takes_53_percent():
    ratio = need(0, SHAPE_7B, 4096, "q8_0").kv / need(0, SHAPE_7B, 4096).kv
    assert ratio == pytest.approx(0.53, abs=0.002)


# "CPU compute buffer size" in MiB that llama.cpp (llama-cpp-python 0.3.36) logged, without and with flash attention:
# tools/synth_llama2.py --size 160m and 1b, and the starter.
LLAMA_160M, LLAMA_1B, STARTER = (CATALOGUE.find(each).geometry for each in ("llama-160m", "tinyllama", "starter"))


@pytest.mark.parametrize(
    ("geometry", "n_ctx", "n_ubatch", "plain", "flash"),
    [
        (LLAMA_160M, 512, 512, 65.50, 65.50),
        (LLAMA_160M, 4096, 256, 57.25, 32.75),
        (LLAMA_160M, 4096, 512, 114.51, 65.50),
        (LLAMA_1B, 2048, 256, 76.50, 35.25),
        (LLAMA_1B, 4096, 512, 285.01, 70.50),
        (STARTER, 512, 512, 98.25, 98.25),
        (STARTER, 4096, 256, 49.69, 49.13),
    ],
)
def test_the_compute_buffer_is_what_llama_cpp_reports(geometry, n_ctx, n_ubatch, plain, flash):
    assert need(0, geometry, n_ctx, "f16", n_ubatch).compute / MIB == pytest.approx(plain, rel=0.02)
    assert need(0, geometry, n_ctx, "q8_0", n_ubatch).compute / MIB == pytest.approx(flash, rel=0.02)


def test_the_total_is_the_sum():
    assert Need(3, 2, 1).total == 6
    assert need(7, SHAPE_7B, 512).weights == 7


@pytest.mark.parametrize(
    ("here", "verdict", "n_ctx"),
    [
        (machine(16), Verdict.FITS, 4096),
        (machine(7), Verdict.FITS, 4096),
        (machine(5.5), Verdict.SMALLER_CONTEXT, 2304),
        (machine(4.5), Verdict.SMALLER_CONTEXT, 512),
        (machine(4), Verdict.TOO_LARGE, 4096),
        (machine(0.1), Verdict.TOO_LARGE, 4096),
        (machine(16, 24), Verdict.FITS, 4096),
        (machine(16, 4), Verdict.PARTLY_ON_GPU, 4096),
        (machine(16, 4, 5), Verdict.FITS, 4096),
        (machine(16, 1), Verdict.FITS, 4096),  # nothing is left of it beside the reserve: all on the CPU
        (machine(4, 5), Verdict.PARTLY_ON_GPU, 4096),
        (machine(16, 12, unified=True), Verdict.FITS, 4096),
        (machine(5.5, 4, unified=True), Verdict.SMALLER_CONTEXT, 2304),  # its memory is not counted twice
    ],
)
def test_a_verdict_follows_from_need_and_room(here, verdict, n_ctx):
    judgement = judge(Q4_K_M_7B, SHAPE_7B, 4096, here)
    assert (judgement.verdict, judgement.n_ctx) == (verdict, n_ctx)
    assert judgement.fits == (judgement.need.total <= here.room)
    assert judgement.need == need(Q4_K_M_7B, SHAPE_7B, n_ctx)


def test_a_quantised_kv_cache_fits_where_a_full_one_does_not():
    assert judge(Q4_K_M_7B, SHAPE_7B, 4096, machine(6)).verdict is Verdict.SMALLER_CONTEXT
    assert judge(Q4_K_M_7B, SHAPE_7B, 4096, machine(6), "q8_0").verdict is Verdict.FITS


def test_more_memory_never_makes_it_worse():
    contexts = [judge(Q4_K_M_7B, SHAPE_7B, 4096, machine(gib / 4)) for gib in range(64)]
    sizes = [each.n_ctx if each.fits else 0 for each in contexts]
    assert sizes == sorted(sizes)


@pytest.mark.parametrize(
    ("name", "here", "expected"),
    [
        ("llama2", machine(64), "Q4_K_M"),
        ("llama2", machine(64, bandwidth=40e9), "Q4_K_M"),
        ("llama2", machine(64, bandwidth=300e9), "Q4_K_M"),
        ("llama2", machine(16, 24), "Q8_0"),
        ("llama2", machine(16, 9), "Q6_K"),
        ("llama2", machine(16, 4), "Q4_K_M"),
        ("llama2", machine(32, 24, unified=True), "Q4_K_M"),
        ("llama2", machine(32, 24, unified=True, bandwidth=400e9), "Q4_K_M"),
        ("llama2", machine(7), "Q4_K_M"),
        ("llama2", machine(5.5), "Q4_K_M"),
        ("llama2", machine(5.2), "Q4_K_S"),
        ("llama2", machine(4.2), "Q3_K_S"),
        ("llama2", machine(3.3), "Q2_K"),
        ("llama2", machine(2.5), None),
        ("llama2:13b", machine(16), "Q4_K_M"),
        ("llama2:13b", machine(8), "Q3_K_M"),
        ("llama2:70b", machine(64), "Q4_K_M"),
        ("llama2:70b", machine(16), None),
        ("llama-160m", machine(16), None),  # no size is known
    ],
)
def test_the_default_is_q4_k_m_where_it_fits_and_another_only_with_a_reason(name, here, expected):
    entry = CATALOGUE.find(name)
    found = best(entry.quantisations, entry.geometry, entry.context, here)
    assert (found[0].name if found else None) == expected
    assert found is None or found[1].fits


def test_the_only_file_there_is_is_taken_if_it_fits():
    files = [Quantisation("Q8_0", ("x.gguf",), 7 * 10**9), Quantisation("ODD", ("y.gguf",), None)]
    assert best(files, SHAPE_7B, 4096, machine(16, bandwidth=10e9))[0].name == "Q8_0"
    assert best(files, SHAPE_7B, 4096, machine(4)) is None


def test_every_quantisation_of_the_catalogue_has_its_place_by_quality():
    for entry in CATALOGUE.entries:
        assert {each.name for each in entry.quantisations} <= set(memory.QUALITY)
    sizes = [LLAMA_7B.quantisation(name) for name in memory.QUALITY]
    sizes = [each.n_bytes for each in sizes if each]
    assert sizes == sorted(sizes, reverse=True), "of one model, the better is never the smaller"


def test_speed_is_told_by_what_a_token_reads():
    whole = need(Q4_K_M_7B, SHAPE_7B, 4096)
    slow, fast = (speed(whole, machine(16, bandwidth=rate)) for rate in (20e9, 40e9))
    assert 1.8 < fast / slow < 2
    assert speed(need(2 * Q4_K_M_7B, SHAPE_7B, 4096), machine(16, bandwidth=20e9)) < slow
    assert speed(need(Q4_K_M_7B, SHAPE_7B, 512), machine(16, bandwidth=20e9)) > slow


# tokens/s measured at 2 threads on a machine that copies 40 GB/s; bytes of the file and its shape beside them
@pytest.mark.parametrize(
    ("n_bytes", "geometry", "n_ctx", "measured"),
    [(98_362_432, STARTER, 300, 164), (104_574_688, LLAMA_160M, 150, 265), (680_249_824, LLAMA_1B, 150, 54)],
)
def test_the_estimate_is_within_30_percent_of_what_was_measured(n_bytes, geometry, n_ctx, measured):
    estimate = speed(need(n_bytes, geometry, n_ctx), machine(16, bandwidth=40e9))
    assert estimate == pytest.approx(measured, rel=0.3)


def test_nobody_can_tell_the_speed_unmeasured_or_on_a_gpu():
    whole = need(Q4_K_M_7B, SHAPE_7B, 4096)
    assert speed(whole, machine(16)) is None
    assert speed(whole, machine(16, 24, bandwidth=20e9)) is None
    partly, none = (speed(whole, machine(16, *gpus, bandwidth=20e9)) for gpus in ([4], []))
    assert partly > none
    assert speed(whole, machine(16, 12, unified=True, bandwidth=20e9)) == none


def test_the_bandwidth_is_measured_once_and_quickly():
    start = time.monotonic()
    here = machine(16).measured()
    assert time.monotonic() - start < 3, "0.3 s on a quiet machine"
    assert 1e8 < here.bandwidth < 1e13
    assert here.measured() is here


def test_looking_finds_memory_and_disk_even_for_a_folder_that_is_not_there(tmp_path):
    here = look(tmp_path / "not" / "yet", gpus=False)
    assert 0 < here.ram_available <= here.ram_total
    assert here.disk_free > 0
    assert here.devices == ()
    assert here.bandwidth is None


def fake_cgroup(root: Path, line: str, files: dict[str, str]) -> Path:
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(line)
    for name, text in files.items():
        path = root / "sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.parametrize(
    ("line", "files"),
    [
        (
            "0::/user/app\n",
            {
                "user/memory.max": f"{3 * GIB}", "user/memory.current": f"{2 * GIB}",
                "user/memory.stat": f"anon 5\nfile {GIB}\ninactive_file 7\n", "user/app/memory.max": "max",
            },
        ),
        (
            "5:cpu:/x\n4:memory:/app\n",
            {
                "memory/app/memory.limit_in_bytes": f"{3 * GIB}", "memory/app/memory.usage_in_bytes": f"{2 * GIB}",
                "memory/app/memory.stat": f"cache 5\ntotal_inactive_file {GIB}\n",
            },
        ),
    ],
    ids=["version 2", "version 1"],
)  # fmt: skip
def test_a_cgroup_s_limit_counts_and_its_cached_files_do_not(tmp_path, monkeypatch, line, files):
    memory_of = namedtuple("memory_of", "total available")
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory_of(64 * GIB, 32 * GIB))
    here = look(tmp_path, gpus=False, root=fake_cgroup(tmp_path, line, files))
    assert (here.ram_total, here.ram_available) == (3 * GIB, 2 * GIB)


def test_without_a_cgroup_the_machine_s_memory_counts(tmp_path, monkeypatch):
    memory_of = namedtuple("memory_of", "total available")
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory_of(64 * GIB, 32 * GIB))
    here = look(tmp_path, gpus=False, root=tmp_path)
    assert (here.ram_total, here.ram_available) == (64 * GIB, 32 * GIB)


@pytest.mark.parametrize(
    ("report", "expected"),
    [
        ("", ()),
        ("NVIDIA H100 80GB HBM3, 80995, 81559\n", (("NVIDIA H100 80GB HBM3", 80995, 81559),)),
        ("A, 1, 2\nB, 3, 4\n", (("A", 1, 2), ("B", 3, 4))),
        ("Odd, name, 1, 2\n", (("Odd, name", 1, 2),)),
        ("NVIDIA GB10, [N/A], [N/A]\n", ()),
        ("No devices were found\n", ()),
    ],
)
def test_gpus_are_read_from_nvidia_smi(report, expected):
    found = memory.parse_devices(report)
    assert tuple((each.name, each.vram_free // MIB, each.vram_total // MIB) for each in found) == expected


@pytest.mark.parametrize("fault", [FileNotFoundError(), subprocess.TimeoutExpired("nvidia-smi", 3), None])
def test_a_driver_that_is_absent_hangs_or_fails_has_no_gpus(tmp_path, monkeypatch, fault):
    def run(*arguments, **options):
        assert options["timeout"] <= 5
        if fault:
            raise fault
        return subprocess.CompletedProcess(arguments, 9, "GPU, 1, 2", "")

    monkeypatch.setattr(memory.sys, "platform", "linux")
    monkeypatch.setattr(memory.subprocess, "run", run)
    assert look(tmp_path, root=tmp_path).devices == ()


def test_a_mac_s_memory_is_one_unified_device(tmp_path, monkeypatch):
    memory_of = namedtuple("memory_of", "total available")
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory_of(16 * GIB, 9 * GIB))
    monkeypatch.setattr(memory.sys, "platform", "darwin")
    here = look(tmp_path, root=tmp_path)
    assert here.devices == (Device("Apple GPU", 9 * GIB, 12 * GIB, is_unified=True),)
    assert here.room < 9 * GIB


def test_grouped_query_attention_is_counted():
    assert Geometry(80, 8192, 64, 8, 28672, 32000).n_embd_kv == 1024
