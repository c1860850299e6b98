"""What goes wrong around a pull and its files, and what is said."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from tests.hub import Stall


@pytest.mark.skipif(sys.platform == "win32", reason="SIGINT cannot be sent to one process on Windows")
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_ctrl_c_is_130_and_says_that_what_came_is_kept(hub, tmp_path, options):
    hub.fail("llama-2-7b-chat.Q4_0.gguf", Stall(at=1000), always=True)
    variables = {"LLAMACHAT_HOME": str(tmp_path / "home"), "HF_ENDPOINT": hub.endpoint, "HF_HOME": str(tmp_path / "hf")}
    process = subprocess.Popen(
        [sys.executable, "-m", "llamachat", "pull", "llama-2-7b-chat:Q4_0", "--accept-licence", *options],
        env={**os.environ, **variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 30
    while not hub.bytes_sent("llama-2-7b-chat.Q4_0.gguf") and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "the same command goes on from there" in err
    if options:
        assert json.loads(out)["error"]["code"] == 130


def test_a_damaged_file_is_fetched_again_after_verify_said_so(go, hub, cache):
    assert go("pull", "me/small-GGUF").code == 0
    (blob,) = (path for path in (cache / "models--me--small-GGUF" / "blobs").iterdir() if path.is_file())
    data = bytearray(blob.read_bytes())
    data[-1] ^= 1
    blob.write_bytes(data)
    assert go("models", "verify", "small").code == 6
    again = go("pull", "me/small-GGUF")
    assert again.code == 0
    assert "damaged" in again.err
    assert go("models", "verify", "small").code == 0


def test_a_file_of_ones_own_can_be_the_usual_one_and_is_listed(go, tiny_model, tmp_path):
    path = tmp_path / "mine.gguf"
    path.write_bytes(tiny_model.read_bytes())
    assert go("models", "use", str(path)).code == 0
    (row,) = (row for row in json.loads(go("models", "list", "--json").out) if row["default"])
    assert row["path"] == str(path)
    path.unlink()
    assert go("hi").code == 3
    assert go("models", "remove", "mine").code == 0


def test_importing_what_is_no_model_is_an_error(go, tmp_path):
    (tmp_path / "text.gguf").write_text("no")
    result = go("models", "import", str(tmp_path / "text.gguf"))
    assert result.code == 3
    assert "text.gguf" in result.err


@pytest.mark.parametrize(
    ("variable", "value", "code", "words"),
    [
        ("HF_ENDPOINT", "http://[::1", 6, "HF_ENDPOINT=http://[::1 is not an address"),
        ("HF_ENDPOINT", "foo", 6, "HF_ENDPOINT=foo is not an address"),
        ("HF_TOKEN", "t\u00f6k", 6, "characters that no token has"),
        ("HF_TOKEN", "a\nb", 6, "characters that no token has"),
    ],
)
def test_a_variable_that_cannot_be_is_named(go, variable, value, code, words):
    result = go("pull", "me/other", **{variable: value})
    assert result.code == code
    assert words in result.err
    assert result.err.count("\n") == 1


def test_a_user_that_is_not_there_in_hf_home_is_no_fault(go, tiny_model):
    assert go("-m", str(tiny_model), "-n", "1", "hi", HF_HOME="~nobody-of-that-name/x").code == 0


def test_a_date_without_a_zone_in_the_record_is_taken_for_utc(go, llama, tmp_path):
    record = tmp_path / "home" / "state" / "models.json"
    table = json.loads(record.read_text())
    (entry,) = table["models"].values()
    table["models"]["/gone.gguf"] = {**entry, "pulled": "2026-01-01T00:00:00", "used": "2026-01-01T00:00:00"}
    record.write_text(json.dumps(table))
    assert go("models", "list").code == 0
    assert go("-n", "1", "hi").code == 0


def test_offline_a_model_that_is_here_is_here(go):
    assert go("pull", "me/small-GGUF").code == 0
    assert "is here already" in go("pull", "me/small-GGUF", HF_HUB_OFFLINE="1").out
    assert go("pull", "me/other", HF_HUB_OFFLINE="1").code == 6
