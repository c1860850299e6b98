"""What is made of the figures: bounds, advice, a table and bars at any width, JSON, a picture."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest

from llamachat.bench.advice import advice
from llamachat.bench.bounds import Weights, bounds
from llamachat.bench.report import Report
from llamachat.bench.trials import Trial, thread_counts
from llamachat.bench.values import Comparison, Point, Setup
from llamachat.cli.figures import lines_of
from llamachat.engine.ladder import Rung
from llamachat.models import gguf
from llamachat.ui.theme import Background, theme

SETUP = Setup(
    model="Llama & <Sons>",
    path="/models/llama.gguf",
    quantisation="Q8_0",
    n_params=7_000_000_000,
    size_bytes=7_440_000_000,
    n_ctx=4096,
    n_threads=4,
    n_gpu_layers=0,
    devices=("CPU",),
    flash_attention=True,
    kv_type="f16",
    build="llama.cpp 1 (AVX2 FMA)",
)
POINT = Point(
    depth=0,
    n_reused=4,
    n_rounds=5,
    n_read=512,
    n_question=40,
    n_written=64,
    prefill=Comparison(80.0, 100.0, 0.8),
    decode=Comparison(10.0, 8.0, 1.25),
    first_token=Comparison(0.5, 0.25, 0.5),
    spread=1.05,
)
POINTS = (POINT, replace(POINT, depth=2048, n_reused=2052, prefill=None))
WEIGHTS = Weights(bytes_per_token=7_000_000_000, n_multiplied=6_500_000_000)
BOUNDS = bounds(POINTS, WEIGHTS, kv_bytes_per_token=500_000, copy=100e9)
REPORT = Report(SETUP, POINTS, (3328,), True, BOUNDS, (), ("Do this.",))
BARE = theme(Background.DARK, colour=False, attributes=False, encoding="utf-8")


def shown(report: Report = REPORT, width: int = 80, **options) -> list[str]:
    wanted = {"with_bars": True, "is_interrupted": False, **options}
    return list(lines_of(report, wanted.pop("theme", BARE), width, **wanted))


def given(points=POINTS, **changes) -> list[str]:
    usual = {"unused": "", "gpus": (), "rung": Rung.AS_CONFIGURED, "trials": (), "bounds": None}
    return advice(changes.pop("setup", SETUP), points, **{**usual, **changes})


def test_the_bandwidth_of_decoding_is_what_each_token_reads_times_tokens():
    first, deeper = BOUNDS.memory
    assert first.bandwidth == pytest.approx((7e9 + (4 + 40 + 32) * 500_000) * 10)
    assert first.share == pytest.approx(first.bandwidth / 100e9)
    assert deeper.kv == (2052 + 40 + 32) * 500_000
    assert BOUNDS.flops == pytest.approx(2 * 6.5e9 * 80)
    assert BOUNDS.is_memory_bound
    assert not bounds(POINTS, WEIGHTS, 500_000, copy=200e9).is_memory_bound
    assert not bounds(POINTS, replace(WEIGHTS, bytes_per_token=10**7), 0, copy=1e5).is_memory_bound, "it is cached"


def test_the_vectors_of_tokens_are_not_read_whole(parrot, starter):
    for path in (parrot, starter):
        checked = gguf.check(path)
        by_name = {tensor.name: tensor for tensor in checked.tensors}
        found = Weights.of(checked)
        total = sum(tensor.n_bytes for tensor in checked.tensors)
        looked_up = by_name["token_embd.weight"].n_bytes if "output.weight" in by_name else 0
        assert found.bytes_per_token == total - looked_up
        embeddings = by_name["token_embd.weight"]
        n_vectors = sum(tensor.shape[0] for tensor in checked.tensors if len(tensor.shape) == 1)
        n_all = sum(math.prod(tensor.shape) for tensor in checked.tensors)
        outputs = 2 if "output.weight" in by_name else 1
        assert found.n_multiplied == n_all - n_vectors - outputs * math.prod(embeddings.shape)


def test_the_table_has_all_figures_at_any_width():
    whole = shown()
    row = next(line for line in whole if line.lstrip().startswith("0 "))
    assert row.split() == ["0", "80.0", "100", "0.80", "10.0", "8.00", "1.25", "500", "250", "0.50"]
    deeper = next(line for line in whole if line.startswith("2,048"))
    assert deeper.split()[1:4] == ["-", "-", "-"]
    for width in (200, 80, 60, 40, 20):
        lines = shown(width=width)
        assert max(map(len, lines)) <= width
        text = " ".join(" ".join(lines).split())
        for what in ("prefill, tokens/s", "decode, tokens/s", "first token, ms", "Do this.", "--depth 3328"):
            assert what in text, (width, what)


def test_bars_are_as_long_as_their_figures():
    lines = shown()
    start = lines.index("decode, tokens/s")
    ours, raw = lines[start + 1], lines[start + 2]
    assert ours.split()[:2] == ["0", "llamachat"]
    assert raw.split()[0] == "raw"
    assert raw.count("█") / ours.count("█") == pytest.approx(0.8, abs=0.02)
    assert "█" not in "".join(shown(with_bars=False))
    ascii_only = theme(Background.DARK, colour=False, attributes=False, encoding="ascii")
    assert any("####" in line for line in shown(theme=ascii_only))
    coloured = shown(theme=theme(Background.DARK, colour=True, attributes=True, encoding="utf-8"))
    assert [re.sub(r"\x1b\[[\d;]*m", "", line) for line in coloured] == lines


def test_the_words_say_what_bounds_the_machine():
    text = " ".join(shown(width=200))
    assert "a copy reaches 100 GB/s here" in text
    assert "70.38 GB/s, 70 % of that" in text
    assert "1,040.0 GFLOP/s, 260.0 a thread" in text
    assert "Answers wait for memory" in text
    noisy = replace(REPORT, points=(replace(POINT, spread=2.0),))
    assert "Answers wait" not in " ".join(shown(noisy, width=200)), "nobody can tell"
    assert "noise is in the ratios" in " ".join(shown(replace(REPORT, takes_turns=False), width=200))
    assert "Interrupted" in " ".join(shown(is_interrupted=True))


def test_advice_is_what_was_measured_or_is_known():
    assert given() == []
    assert "1.8 times as fast as another" in given([replace(POINT, spread=1.8)])[0]
    assert "AVX-512 and AMX" in given(unused="AVX-512 and AMX")[0]
    assert "without AMX" in given(rung=Rung.NO_AMX, unused="AMX")[0]
    assert "RTX did nothing" in given(gpus=("RTX",))[0]
    assert given(setup=replace(SETUP, n_gpu_layers=33), gpus=("RTX",)) == []
    assert "8.5 bits" in given(bounds=BOUNDS)[0]
    assert given(setup=replace(SETUP, size_bytes=4_000_000_000), bounds=BOUNDS) == []
    gains = [Trial("threads", "2", 0, 1.31, 1.0), Trial("flash attention", "off", 2048, 1.5, None)]
    threads, attention = given(trials=gains)
    assert threads == "With --threads 2 llama.cpp writes 1.31 times as fast."
    assert attention == "With flash attention off llama.cpp writes 1.50 times as fast at 2,048 tokens."
    assert given(trials=[Trial("threads", "2", 0, 1.05, 1.0), Trial("threads", "1", 0, None, None)]) == []
    assert len(given([replace(POINT, spread=1.8)], trials=gains)) == 1, "noise is no advice"


@pytest.mark.parametrize(
    ("n_threads", "n_cpus", "counts"), [(2, 2, (1,)), (1, 1, ()), (1, 2, (2,)), (8, 16, (4, 7, 16)), (2, 64, (1,))]
)
def test_other_numbers_of_threads_are_never_more_than_wait_for_each_other(n_threads, n_cpus, counts):
    assert thread_counts(n_threads, n_cpus) == counts


def test_json_has_every_figure_and_null_for_what_is_not_known():
    said = replace(REPORT, trials=(Trial("threads", "2", 0, 1.31, None),)).as_json(is_interrupted=True)
    first, deeper = said["depths"]
    assert first["decode"] == {"tokens": 64, "llamachat": 10.0, "raw": 8.0, "ratio": 1.25}
    assert first["first_token"]["tokens"] == 40
    assert deeper["prefill"] is None
    assert said["model"] == {"name": SETUP.model, "path": SETUP.path}
    assert said["bounds"]["memory"][0]["share"] == pytest.approx(0.7038)
    assert said["bounds"]["memory_bound"] is True
    assert (said["skipped"], said["interrupted"], said["advice"]) == ([3328], True, ["Do this."])
    assert said["trials"][0]["decode"] == 1.31
    assert replace(REPORT, bounds=None).as_json(is_interrupted=False)["bounds"] is None


def test_the_picture_needs_nothing_and_shows_every_figure():
    text = replace(REPORT, setup=replace(SETUP, model="Llama & <Sons>\x1b")).as_svg()
    root = ET.fromstring(text)
    space = "{http://www.w3.org/2000/svg}"
    assert root.find(f"{space}title").text.startswith("Llama & <Sons>\N{REPLACEMENT CHARACTER}")
    words = [element.text for element in root.iter(f"{space}text")]
    for word in ("prefill, tokens/s", "80.0 · ratio 0.80", "100", "2,048", "10.0 · ratio 1.25", "500 · ratio 0.50"):
        assert word in words
    bars = [each for each in root.iter(f"{space}rect") if each.get("class") in ("ours", "raw") and each.get("rx")]
    assert len(bars) == 10, "two for each figure that is known"
    assert not re.search(r"(?:href|url\(|@import|<script)", text)
    assert "prefers-color-scheme:dark" in text
    right = max(float(each.get("x")) + float(each.get("width")) for each in bars)
    assert right < float(root.get("width"))
