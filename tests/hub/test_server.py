"""The stand-in does what the tests of downloads rely on, and the real library takes it for the Hub."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import random
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.hub import (
    Drop,
    Expire,
    Flip,
    FlipInRange,
    Header,
    Html,
    Hub,
    IgnoreRange,
    LongLength,
    Replace,
    Reset,
    ShortBody,
    Stall,
    Status,
    TooManyRequests,
    WrongRange,
    pseudo_random_file,
)

ROOT = Path(__file__).parents[2]
DATA = random.Random(1).randbytes(300_000)
SHA256 = hashlib.sha256(DATA).hexdigest()
README = b"# A model\n"
FILE = "/o/n/resolve/main/model.gguf"

# Run by the real library: each line of standard input is an expression, each answer a line of JSON.
CHILD = """
import json, sys
import huggingface_hub as hub
from huggingface_hub import HfApi, errors, hf_hub_download
api = HfApi()
for line in sys.stdin:
    try:
        value = eval(line)
    except Exception as error:
        value = [type(error).__name__, getattr(getattr(error, "response", None), "status_code", None), str(error)]
    print(json.dumps(value))
"""


@dataclass(frozen=True)
class Got:
    status: int
    headers: http.client.HTTPMessage
    body: bytes


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Hub() as hub:
        hub.add("o/n", {"model.gguf": DATA, "README.md": README}, license="llama2")
        yield hub


def ask(url: str, method: str = "GET", timeout: float = 5.0, body: str | None = None, **headers: str) -> Got:
    """One request, no redirect followed."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=timeout)
    try:
        connection.request(method, f"{parts.path}?{parts.query}", body, headers)
        response = connection.getresponse()
        return Got(response.status, response.headers, response.read())
    finally:
        connection.close()


def signed(hub: Hub, path: str = FILE) -> str:
    return ask(hub.endpoint + path).headers["Location"]


def fetch(hub: Hub, span: str | None = None, **options: float) -> Got:
    """The bytes, as a client gets them that asks the hub first."""
    headers = {"Range": f"bytes={span}"} if span else {}
    return ask(signed(hub), **options, **headers)


def received(url: str) -> tuple[int, str]:
    """Body bytes until the connection ends, and how it does: raw, so that no library explains it away."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=5) as connection:
        connection.sendall(f"GET {parts.path}?{parts.query} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        data = bytearray()
        try:
            while block := connection.recv(1 << 20):
                data += block
        except ConnectionResetError:
            return len(data.partition(b"\r\n\r\n")[2]), "reset"
        return len(data.partition(b"\r\n\r\n")[2]), "end"


def library(hub: Hub, home: Path, *expressions: str, **variables: str) -> list:
    """What the real library makes of it, in a process of its own: it reads its variables at import."""
    proxies = {"NO_PROXY": "127.0.0.1"}
    settings = {"HF_ENDPOINT": hub.endpoint, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1"}
    run = subprocess.run(
        [sys.executable, "-c", CHILD],
        input="\n".join(expressions),
        env={"PATH": os.environ["PATH"], **proxies, **settings, **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return [json.loads(line) for line in run.stdout.splitlines()]


# The real library.


def test_the_library_downloads_through_it_and_resumes_after_a_drop(hub, tmp_path):
    big = pseudo_random_file(tmp_path / "big.gguf", 24 << 20, seed=3)
    commit = hub.add("o/big", {"big.gguf": big})
    hub.fail("big.gguf", Drop(at=11 << 20))
    got, readme = library(
        hub,
        tmp_path / "home",
        "hf_hub_download('o/big', 'big.gguf')",
        "hf_hub_download('o/n', 'README.md')",
    )
    assert Path(got).read_bytes() == big.read_bytes()
    assert commit in got
    assert Path(got).resolve().name == hub.file("o/big", "big.gguf").sha256
    assert Path(readme).read_bytes() == README
    assert hub.ranges("big.gguf") == [None, f"bytes={10 << 20}-"]
    assert hub.bytes_sent("README.md") == len(README)


def test_the_library_reads_its_answers(hub, tmp_path):
    hub.add("other/Llama-Chat-GGUF", {"sub/a.gguf": b"a", "README.md": b"r"}, downloads=9)
    info, tree, paths, names, by_author = library(
        hub,
        tmp_path,
        "(lambda i: [i.sha, i.gated, i.card_data.license, [[s.rfilename, s.size, s.lfs and s.lfs.sha256]"
        " for s in i.siblings]])(api.model_info('o/n', files_metadata=True, timeout=5))",
        "[f.path for f in api.list_repo_tree('other/Llama-Chat-GGUF', recursive=True)]",
        "[[f.path, f.size, f.lfs.sha256] for f in api.get_paths_info('o/n', ['model.gguf', 'none'])]",
        "[m.id for m in api.list_models(search='llama chat', filter='gguf', limit=5)]",
        "[m.id for m in api.list_models(author='o')]",
    )
    commit = ask(hub.endpoint + FILE).headers["X-Repo-Commit"]
    files = [["model.gguf", len(DATA), SHA256], ["README.md", len(README), None]]
    assert info == [commit, False, "llama2", files]
    assert tree == ["sub", "sub/a.gguf", "README.md"]
    assert paths == [["model.gguf", len(DATA), SHA256]]
    assert names == ["other/Llama-Chat-GGUF"]
    assert by_author == ["o/n"]


def test_the_library_sees_gated_missing_and_unknown_as_such(hub, tmp_path):
    hub.add("o/gated", {"a.gguf": b"a"}, gated="manual")
    hub.add("o/private", {"a.gguf": b"a"}, private=True)
    answers = library(
        hub,
        tmp_path,
        "hf_hub_download('o/gated', 'a.gguf')",
        "api.model_info('o/gated').gated",
        "hf_hub_download('o/missing', 'a.gguf')",
        "api.model_info('o/missing')",
        "api.model_info('o/private')",
        "hf_hub_download('o/n', 'none.gguf')",
        "hf_hub_download('o/n', 'model.gguf', revision='v9')",
    )
    assert [answer if isinstance(answer, str) else answer[:2] for answer in answers] == [
        ["GatedRepoError", 401],
        "manual",
        ["RepositoryNotFoundError", 401],
        ["RepositoryNotFoundError", 401],
        ["RepositoryNotFoundError", 401],
        ["RemoteEntryNotFoundError", 404],
        ["RevisionNotFoundError", 404],
    ]
    assert "Please log in" in answers[0][2]


def test_the_library_with_a_token_gets_what_it_was_granted_and_the_cdn_never_sees_it(hub, tmp_path):
    hub.add("o/gated", {"a.gguf": b"a"}, gated=True)
    hub.add("o/granted", {"b.gguf": b"b"}, gated=True)
    hub.tokens.add("hf_good")
    hub.grants["o/granted"].add("hf_good")
    refused, got = library(
        hub,
        tmp_path,
        "hf_hub_download('o/gated', 'a.gguf')",
        "hf_hub_download('o/granted', 'b.gguf')",
        HF_TOKEN="hf_good",
    )
    assert refused[:2] == ["GatedRepoError", 403]
    assert Path(got).read_bytes() == b"b"
    assert {r.authorization for r in hub.log if r.path.endswith("b.gguf")} == {"Bearer hf_good"}
    assert [r.authorization for r in hub.log if r.origin == "cdn"] == [None]


def test_the_library_with_an_expired_token_is_refused_a_public_file(hub, tmp_path):
    (answer,) = library(hub, tmp_path, "hf_hub_download('o/n', 'model.gguf')", HF_TOKEN="hf_old")
    assert answer[:2] == ["HfHubHTTPError", 401]
    assert "Invalid credentials in Authorization header" in answer[2]


# Files, ranges, signed URLs.


def test_a_large_file_is_a_redirect_with_what_the_library_needs(hub):
    for method in ("HEAD", "GET"):
        got = ask(hub.endpoint + FILE, method)
        assert got.status == 302
        assert got.headers["X-Linked-Etag"] == f'"{SHA256}"'
        assert got.headers["X-Linked-Size"] == str(len(DATA))
        assert got.headers["Location"].startswith(f"{hub.cdn}/")
        assert "X-Amz-Expires=3600" in got.headers["Location"]


def test_a_small_file_comes_from_the_hub_itself(hub):
    got = ask(f"{hub.endpoint}/o/n/resolve/main/README.md")
    assert (got.status, got.body) == (200, README)
    assert got.headers["ETag"] == f'"{hashlib.sha1(b"blob 10" + bytes(1) + README).hexdigest()}"'


def test_an_older_commit_stays_as_it_was(hub):
    old = ask(hub.endpoint + FILE).headers["X-Repo-Commit"]
    new = hub.add("o/n", {"model.gguf": b"new"}, commit="a" * 40)
    assert new == "a" * 40
    assert fetch(hub).body == b"new"
    assert ask(signed(hub, FILE.replace("main", old))).body == DATA


@pytest.mark.parametrize(
    ("span", "expected", "told"),
    [
        ("0-9", DATA[:10], "bytes 0-9/300000"),
        ("299000-", DATA[299000:], "bytes 299000-299999/300000"),
        ("299000-400000", DATA[299000:], "bytes 299000-299999/300000"),
        ("-5", DATA[-5:], "bytes 299995-299999/300000"),
    ],
)
def test_a_range_gets_its_bytes(hub, span, expected, told):
    got = fetch(hub, span)
    assert (got.status, got.body, got.headers["Content-Range"]) == (206, expected, told)


def test_a_range_beyond_the_end_is_416_and_a_senseless_one_is_ignored(hub):
    beyond = fetch(hub, "300000-")
    assert (beyond.status, beyond.headers["Content-Range"]) == (416, "bytes */300000")
    assert fetch(hub, "9-3").status == 200


def test_if_range_is_honoured(hub):
    assert ask(signed(hub), **{"Range": "bytes=5-", "If-Range": f'"{SHA256}"'}).status == 206
    assert ask(signed(hub), **{"Range": "bytes=5-", "If-Range": '"other"'}).status == 200


def test_a_path_is_served_like_bytes(hub, tmp_path):
    path = pseudo_random_file(tmp_path / "big.gguf", (9 << 20) + 5, seed=7)
    hub.add("o/n", {"model.gguf": path})
    data = path.read_bytes()
    assert len(data) == (9 << 20) + 5
    assert data[8:4096] == data[(4 << 20) + 8 : (4 << 20) + 4096] and data[:8] != data[4 << 20 : (4 << 20) + 8]
    assert fetch(hub).body == data
    assert fetch(hub, f"{5 << 20}-").body == data[5 << 20 :]
    hub.fail("model.gguf", Flip(6 << 20))
    flipped = fetch(hub).body
    assert [i for i in range(0, len(data), 1 << 20) if data[i] != flipped[i]] == [6 << 20]


def test_a_signed_url_ends_with_its_time_or_its_uses_and_another_is_refused(hub):
    hub.url_uses = 1
    url = signed(hub)
    assert [ask(url).status, ask(url).status] == [200, 403]
    hub.url_uses, hub.url_seconds = None, 0.05
    url = signed(hub)
    assert ask(url).status == 200
    time.sleep(0.06)
    late = ask(url)
    assert (late.status, b"Request has expired" in late.body) == (403, True)
    assert ask(f"{hub.cdn}/bridge/{SHA256}").status == 403
    assert hub.bytes_sent("model.gguf") == 2 * len(DATA)


# Faults.


@pytest.mark.parametrize(("fault", "end"), [(Drop(at=200_000), "end"), (Reset(at=200_000), "reset")])
def test_a_broken_connection_has_sent_just_what_it_should(hub, fault, end):
    hub.fail("model.gguf", fault)
    assert received(signed(hub)) == (200_000, end)
    assert hub.wait_idle()
    assert hub.bytes_sent("model.gguf") == 200_000
    assert fetch(hub).body == DATA


@pytest.mark.parametrize(("fault", "end"), [(Drop(), "end"), (Reset(), "reset")])
def test_a_connection_can_break_before_the_first_word(hub, fault, end):
    hub.fail("model.gguf", fault)
    assert received(signed(hub)) == (0, end)


def test_a_position_counts_within_each_answer_and_always_never_ends(hub):
    hub.fail("model.gguf", Drop(at=1000), always=True)
    for start in (0, 1000, 2000):
        with pytest.raises(http.client.IncompleteRead) as caught:
            fetch(hub, f"{start}-")
        assert caught.value.partial == DATA[start : start + 1000]
    assert hub.ranges("model.gguf") == ["bytes=0-", "bytes=1000-", "bytes=2000-"]


def test_attempts_come_in_order_and_one_may_have_several_faults(hub):
    hub.fail("model.gguf", Status(503), None, (Flip(0), ShortBody(missing=10)), TooManyRequests(retry_after=600))
    first, clean, both, limited, after = (fetch(hub) for _ in range(5))
    assert first.status == 503
    assert clean.body == after.body == DATA
    assert (len(both.body), both.body[0] ^ 0xFF, both.body[1:]) == (len(DATA) - 10, DATA[0], DATA[1:-10])
    assert (limited.status, limited.headers["Retry-After"]) == (429, "600")


def test_a_stall_pauses_and_goes_on(hub):
    hub.fail("model.gguf", Stall(at=1000, seconds=0.2))
    start = time.monotonic()
    assert fetch(hub).body == DATA
    assert 0.2 <= time.monotonic() - start < 2


def test_a_silent_server_says_nothing_and_notices_who_left(hub):
    hub.fail("model.gguf", Stall())
    with pytest.raises(TimeoutError):
        fetch(hub, timeout=0.1)
    assert hub.wait_idle(2)
    assert (hub.log[-1].status, hub.bytes_sent("model.gguf")) == (0, 0)


def test_wrong_bytes(hub):
    wrong, other = DATA[:299_000], DATA[1000:]
    hub.fail("model.gguf", WrongRange(), WrongRange(honest=True), IgnoreRange(), FlipInRange())
    lie, truth, whole, flipped = (fetch(hub, "1000-") for _ in range(4))
    assert (lie.body, lie.headers["Content-Range"]) == (wrong, "bytes 1000-299999/300000")
    assert (truth.body, truth.headers["Content-Range"]) == (wrong, "bytes 0-298999/300000")
    assert (whole.status, whole.body) == (200, DATA)
    assert (flipped.body[0] ^ 0xFF, flipped.body[1:]) == (other[0], other[1:])
    hub.fail("model.gguf", FlipInRange(), Replace(b"x" * 2000), Html(), LongLength(by=7))
    assert fetch(hub).body == DATA
    assert fetch(hub, "1500-").body == b"x" * 500
    assert fetch(hub).headers["Content-Type"].startswith("text/html")
    with pytest.raises(http.client.IncompleteRead) as caught:
        fetch(hub)
    assert (caught.value.partial, caught.value.expected) == (DATA, 7)


def test_expire_ends_one_url_for_good(hub):
    hub.fail("model.gguf", Expire())
    url = signed(hub)
    assert [ask(url).status, ask(url).status, fetch(hub).status] == [403, 403, 200]


def test_faults_on_the_head_and_the_redirect(hub):
    hub.fail("model.gguf", Status(500), Header("X-Linked-Size", "7"), Drop(), on="head")
    hub.fail("model.gguf", Status(502), on="resolve")
    url = hub.endpoint + FILE
    assert ask(url, "HEAD").status == 500
    assert ask(url, "HEAD").headers["X-Linked-Size"] == "7"
    with pytest.raises(http.client.RemoteDisconnected):
        ask(url, "HEAD")
    assert [ask(url, "HEAD").status, ask(url).status, ask(url).status] == [302, 502, 302]


def test_faults_on_the_api(hub):
    url = f"{hub.endpoint}/api/models/o/n"
    hub.fail_api(Status(503), Html())
    assert ask(f"{hub.endpoint}/api/agent-harnesses").status == 404
    assert ask(url).status == 503
    assert b"<html>" in ask(url).body
    assert json.loads(ask(url).body)["id"] == "o/n"
    hub.slow_api(0.2)
    start = time.monotonic()
    assert ask(url).status == 200
    assert time.monotonic() - start >= 0.2


def test_a_portal_everywhere(hub):
    url = signed(hub)
    hub.everywhere = Html()
    for address in (url, hub.endpoint + FILE, f"{hub.endpoint}/api/models/o/n"):
        got = ask(address)
        assert (got.status, got.body[:9]) == (200, b"<!DOCTYPE")
    hub.everywhere = None
    assert ask(url).body == DATA


# The throttle, the log, the end.


@pytest.mark.parametrize(("rate", "n_bytes"), [(20e6, 10_000_000), (100e6, 40_000_000)])
def test_the_throttle_is_accurate(hub, tmp_path, rate, n_bytes):
    hub.add("o/n", {"model.gguf": pseudo_random_file(tmp_path / "a.gguf", n_bytes)})
    url = signed(hub)
    hub.rate = rate
    start = time.monotonic()
    assert len(ask(url).body) == n_bytes
    # A busy machine may make it slower, nothing may make it faster.
    assert 0.98 < (time.monotonic() - start) / (n_bytes / rate) < 1.25


def test_the_line_is_shared(hub):
    hub.rate = 2e6
    start = time.monotonic()
    clients = [threading.Thread(target=fetch, args=(hub,)) for _ in range(2)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    assert 0.98 < (time.monotonic() - start) / (2 * len(DATA) / 2e6) < 1.5


def test_the_log_tells_all_in_order(hub):
    ask(fetch_url := signed(hub), Range="bytes=299990-", Authorization="Bearer leaked")
    ask(f"{hub.endpoint}/api/models/o/n?blobs=true")
    first, second, third = hub.log
    assert (first.origin, first.method, first.path, first.status, first.file) == ("hub", "GET", FILE, 302, "model.gguf")
    assert (second.origin, second.range, second.status, second.n_sent) == ("cdn", "bytes=299990-", 206, 10)
    assert second.authorization == "Bearer leaked"
    assert second.query == urlsplit(fetch_url).query
    assert (third.path, third.query, third.file) == ("/api/models/o/n", "blobs=true", None)
    assert hub.bytes_sent("model.gguf") == 10


def test_bytes_under_way_are_counted_and_a_client_that_leaves_is_noticed(hub):
    hub.rate = 1e6
    parts = urlsplit(signed(hub))
    with socket.create_connection((parts.hostname, parts.port), timeout=5) as connection:
        connection.sendall(f"GET {parts.path}?{parts.query} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert connection.recv(1 << 16)
        time.sleep(0.05)
        assert 0 < hub.bytes_sent("model.gguf") < len(DATA)
    assert hub.wait_idle()
    assert hub.bytes_sent("model.gguf") < len(DATA)


def test_it_ends_at_once_whatever_is_under_way():
    with Hub() as hub:
        hub.add("o/n", {"model.gguf": DATA})
        url = signed(hub)
        hub.rate = 1000
        parts = urlsplit(url)
        with socket.create_connection((parts.hostname, parts.port), timeout=5) as connection:
            connection.sendall(f"GET {parts.path}?{parts.query} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            start = time.monotonic()
            hub.close()
            assert time.monotonic() - start < 1
        assert not [t for t in threading.enumerate() if t is not threading.current_thread() and t.daemon]
        with pytest.raises(ConnectionRefusedError):
            ask(url)


def test_it_runs_as_a_program(tmp_path):
    path = tmp_path / "model.gguf"
    path.write_bytes(DATA)
    command = [sys.executable, "-m", "tests.hub.server", "o/n", str(path), "--rate", "5e6"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            endpoint = process.stdout.readline().strip()
            assert ask(ask(endpoint + FILE).headers["Location"]).body == DATA
        finally:
            process.kill()
