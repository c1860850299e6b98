"""Threads and memory, on machines described by files."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from llamachat.llama.machine import (
    available_memory,
    fit_context,
    fit_gpu_layers,
    flash_attention_pays,
    parse_cpu_list,
    thread_count,
)


def machine(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def siblings(pairs: dict[int, str]) -> dict[str, str]:
    return {f"sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list": text for cpu, text in pairs.items()}


def test_hyperthreads_of_one_core_count_once(tmp_path):
    root = machine(tmp_path, siblings({0: "0,4", 1: "1,5", 4: "0,4", 5: "1,5"}))
    assert thread_count(root, [0, 1, 4, 5]) == 2


def test_efficiency_cores_do_not_count(tmp_path):
    files = siblings({0: "0-1", 1: "0-1", 2: "2-3", 3: "2-3", 4: "4", 5: "5"}) | {"sys/devices/cpu_core/cpus": "0-3"}
    assert thread_count(machine(tmp_path, files), range(6)) == 2


def test_performance_cores_without_hyperthreads_all_count(tmp_path):
    files = siblings({cpu: str(cpu) for cpu in range(6)}) | {"sys/devices/cpu_core/cpus": "0-3"}
    assert thread_count(machine(tmp_path, files), range(6)) == 4


def test_a_process_bound_to_efficiency_cores_uses_those(tmp_path):
    files = siblings({4: "4", 5: "5"}) | {"sys/devices/cpu_core/cpus": "0-3"}
    assert thread_count(machine(tmp_path, files), [4, 5]) == 2


def test_arms_little_cores_do_not_count(tmp_path):
    files = {f"sys/devices/system/cpu/cpu{cpu}/cpu_capacity": "400" if cpu < 4 else "1024" for cpu in range(6)}
    assert thread_count(machine(tmp_path, files), range(6)) == 2


def test_affinity_limits_the_threads(tmp_path):
    assert thread_count(machine(tmp_path, siblings({cpu: str(cpu) for cpu in range(8)})), [2, 3, 5]) == 3


@pytest.mark.parametrize(
    ("limit", "threads"), [("200000 100000", 2), ("150000 100000", 1), ("50000 100000", 1), ("max 100000", 8)]
)
def test_the_cgroups_quota_limits_the_threads_rounded_down(tmp_path, limit, threads):
    files = siblings({cpu: str(cpu) for cpu in range(8)})
    files |= {"proc/self/cgroup": "0::/a/b", "sys/fs/cgroup/a/cpu.max": limit}
    assert thread_count(machine(tmp_path, files), range(8)) == threads


def test_the_quota_of_cgroup_version_1_counts_too(tmp_path):
    files = siblings({cpu: str(cpu) for cpu in range(8)}) | {
        "proc/self/cgroup": "4:cpu,cpuacct:/docker/x",
        "sys/fs/cgroup/cpu/docker/x/cpu.cfs_quota_us": "300000",
        "sys/fs/cgroup/cpu/docker/x/cpu.cfs_period_us": "100000",
    }
    assert thread_count(machine(tmp_path, files), range(8)) == 3


def test_a_machine_without_topology_uses_every_cpu_it_may(tmp_path):
    assert thread_count(tmp_path, range(3)) == 3


@pytest.mark.parametrize(("kind", "pays"), [("x86_64", False), ("AMD64", False), ("arm64", True)])
def test_flash_attention_pays_where_it_was_not_measured_to_cost(monkeypatch, kind, pays):
    monkeypatch.setattr(platform, "machine", lambda: kind)
    assert flash_attention_pays() is pays


def test_the_kernels_cpu_lists():
    assert parse_cpu_list("0-2,5,7-8\n") == [0, 1, 2, 5, 7, 8]
    assert parse_cpu_list("") == []


def test_a_cgroups_memory_limit_counts_less_what_is_used_and_not_reclaimable(tmp_path):
    files = {
        "proc/self/cgroup": "0::/a",
        "sys/fs/cgroup/a/memory.max": "1000000",
        "sys/fs/cgroup/a/memory.current": "700000",
        "sys/fs/cgroup/a/memory.stat": "anon 400000\nfile 300000\n",
    }
    assert available_memory(machine(tmp_path, files)) == 600_000


def test_without_a_limit_memory_is_the_machines(tmp_path):
    assert available_memory(tmp_path) > 1 << 20


def test_a_context_is_what_the_model_was_trained_on_when_memory_allows():
    assert fit_context(4096, 512 << 10, 4 << 30, 16 << 30) == 4096


def test_a_context_shrinks_to_what_memory_allows_in_steps():
    n_ctx = fit_context(4096, 512 << 10, 4 << 30, 5 << 30)
    assert n_ctx == 1792
    assert (512 << 10) * n_ctx < 1 << 30


def test_a_context_never_shrinks_below_512_tokens():
    assert fit_context(4096, 512 << 10, 4 << 30, 1 << 30) == 512


def test_all_layers_go_to_a_gpu_that_holds_them():
    assert fit_gpu_layers(32, 4 << 30, 2 << 30, [24 << 30]) == 33


def test_fewer_layers_go_to_a_smaller_gpu_with_a_reserve():
    n_layers = fit_gpu_layers(32, 4 << 30, 2 << 30, [4 << 30])
    assert n_layers == 16
    assert n_layers * (6 << 30) / 33 <= 3 << 30


def test_several_gpus_share_the_layers_and_each_keeps_its_reserve():
    assert fit_gpu_layers(32, 4 << 30, 2 << 30, [4 << 30, 4 << 30]) == 33
    assert fit_gpu_layers(32, 4 << 30, 2 << 30, [1 << 30]) == 0
