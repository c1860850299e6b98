"""`engine.keep_warm` through the whole program: one-shots that leave their engine, and the doctor that ends it."""

from __future__ import annotations

import json
import sys

import pytest

from llamachat.choices import Choices, Layer, Origin
from llamachat.cli.assemble import why_not_warm

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Python has no Unix sockets on Windows")

DOCUMENT = " ".join(f"Item {number}: {number * number % 97} stones." for number in range(45)).encode()  # 450 tokens


@pytest.fixture
def ask(run, starter):
    """A one-shot that keeps its engine warm; what it says of itself."""

    def call(*arguments: str, stdin: bytes = DOCUMENT, warm: str = "1 min") -> dict:
        options = ("-m", str(starter), "-n", "4", "--json", *arguments)
        result = run(*options, stdin=stdin, LLAMACHAT_ENGINE_KEEP_WARM=warm)
        assert result.code == 0, result.err
        return json.loads(result.out)

    yield call
    run("doctor", "--stop-engines")


def engines(run) -> list[str]:
    """What the doctor says of them."""
    findings = json.loads(run("doctor", "--json").out)["findings"]
    return [finding["text"] for finding in findings if finding["section"] == "warm engines"]


def stopped(run) -> int:
    return json.loads(run("doctor", "--stop-engines", "--json").out)["stopped"]


def test_the_second_one_shot_neither_loads_nor_reads(ask, run):
    first, second = ask("How many stones?"), ask("How many stones?")
    assert (first["timings"]["load"] > 0, second["timings"]["load"]) == (True, 0)
    assert second["usage"]["reused_tokens"] >= second["usage"]["prompt_tokens"] - 1
    (said,) = engines(run)
    assert "SmolLM2" in said
    assert "of memory, until " in said
    assert stopped(run) == 1
    assert engines(run) == ["off (engine.keep_warm = 0)"]


def test_nothing_stays_unless_it_is_wanted(ask, run):
    ask("How many stones?", warm="0")
    assert stopped(run) == 0


def test_with_no_save_it_is_used_and_forgets(ask, run, tmp_path):
    kept = ask("How many stones?")
    private = ask("--no-save", "Which item has the most?")
    assert private["usage"]["reused_tokens"] > 400  # what others have left may be used
    for _ in range(2):
        other = ask("--no-save", "What is this?", stdin=DOCUMENT[::-1])
        assert other["timings"]["load"] == 0
        assert other["usage"]["reused_tokens"] < 100  # the preset's system prompt, from the disk
    assert stopped(run) == 1
    blocks = {path.name for path in (tmp_path / "home" / "cache").rglob("*.kv")}
    owners = [path.name for path in (tmp_path / "home" / "cache" / "kv" / "owners").iterdir()]
    assert owners == [kept["session"]]
    assert len(blocks) <= kept["usage"]["prompt_tokens"] // 64 + 1


def test_what_a_warm_engine_has_read_is_on_the_disk_when_it_is_ended(ask, run):
    ask("How many stones?")
    assert stopped(run) == 1
    assert ask("Which item has the most?", warm="0")["usage"]["reused_tokens"] > 400


def test_on_windows_it_does_nothing_and_says_so():
    wanted = Choices({Origin.ENVIRONMENT: Layer({"engine.keep_warm": "10 min"})})
    assert why_not_warm(wanted, "win32") == "engine.keep_warm does nothing on Windows."
    assert why_not_warm(wanted, "linux") == ""
    assert why_not_warm(Choices(), "win32") == ""
