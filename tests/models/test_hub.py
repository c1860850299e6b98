"""What the Hub says, and what is said when it refuses or cannot be asked: at once, with what to do next."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from llamachat.errors import DownloadError, ModelError
from llamachat.models.hub import Hub as OurHub
from llamachat.models.wire import Proxies
from tests.hub import Drop, Header, Html, Hub, Stall, Status, TooManyRequests

DATA = b"GGUF and more"


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Hub() as hub:
        hub.add("Owner/Llama-2-7B-Chat-GGUF", {"a.Q4_K_M.gguf": DATA, "README.md": b"r"}, license="llama2", downloads=9)
        hub.add("Owner/gated", {"a.gguf": DATA}, gated="manual")
        hub.add("Owner/private", {"a.gguf": DATA}, private=True)
        hub.tokens.add("hf_mine")
        yield hub


@pytest.fixture
def ask(hub, tmp_path):
    """A Hub of ours with these variables; the endpoint is the stand-in's unless they say otherwise."""

    def make(**variables: str) -> OurHub:
        found = OurHub.of({"HF_ENDPOINT": hub.endpoint, "HF_HOME": str(tmp_path / "home"), **variables})
        return replace(found, patience=0.5)

    return make


@pytest.fixture
def closed_port() -> int:
    """One that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def refused(hub: OurHub, repo: str, file: str = "a.gguf", revision: str | None = None) -> tuple[str, str]:
    """What a look-up says that ends in no time, and what to do next."""
    start = time.monotonic()
    with pytest.raises((DownloadError, ModelError)) as caught:
        hub.look_up(repo, file, revision)
    assert time.monotonic() - start < 2
    return caught.value.message, caught.value.hint


# What there is.


def test_the_files_of_a_repository_with_their_sizes_and_its_licence(ask):
    listing = ask().listing("Owner/Llama-2-7B-Chat-GGUF")
    assert listing.gguf == ["a.Q4_K_M.gguf"]
    assert dict(listing.files) == {"a.Q4_K_M.gguf": len(DATA), "README.md": 1}
    assert listing.licence == "llama2"
    assert ask().listing("Owner/Llama-2-7B-Chat-GGUF", listing.commit) == listing


def test_a_file_at_its_commit(ask, hub):
    remote = ask().look_up("Owner/Llama-2-7B-Chat-GGUF", "a.Q4_K_M.gguf")
    assert (remote.n_bytes, remote.sha256) == (len(DATA), hub.file(remote.repo, remote.file).sha256)
    assert remote.commit == ask().listing(remote.repo).commit


def test_the_files_of_a_gated_repository_are_public(ask):
    assert ask().listing("Owner/gated").gguf == ["a.gguf"]


def test_only_these_addresses_are_asked(ask, hub):
    ask().look_up("Owner/Llama-2-7B-Chat-GGUF", "a.Q4_K_M.gguf")
    ask().listing("Owner/Llama-2-7B-Chat-GGUF")
    assert [(request.method, request.path) for request in hub.log] == [
        ("HEAD", "/Owner/Llama-2-7B-Chat-GGUF/resolve/main/a.Q4_K_M.gguf"),
        ("GET", "/api/models/Owner/Llama-2-7B-Chat-GGUF"),
    ]


def test_a_repository_with_a_new_name_is_found_under_the_old(ask, hub):
    moved = {"Location": "/Owner/Llama-2-7B-Chat-GGUF/resolve/main/a.Q4_K_M.gguf"}
    hub.fail("old.gguf", Status(307, moved), on="head")
    assert (
        ask().look_up("Owner/old", "old.gguf").sha256 == hub.file("Owner/Llama-2-7B-Chat-GGUF", "a.Q4_K_M.gguf").sha256
    )


# What there is not, or not for us.


def test_a_gated_repository_says_what_to_accept_and_where(ask, hub):
    said, hint = refused(ask(), "Owner/gated")
    assert "wants its conditions accepted" in said
    assert f"{hub.endpoint}/Owner/gated" in hint
    assert "hf auth login" in hint
    said, hint = refused(ask(HF_TOKEN="hf_mine"), "Owner/gated")
    assert "your account has no access" in said
    assert f"{hub.endpoint}/Owner/gated" in hint


@pytest.mark.parametrize("repo", ["Owner/Lama-2-7B-Chat-GGUF", "Ovner/Llama-2-7B-Chat-GGUF", "owner/llama-2-7b-chat"])
@pytest.mark.parametrize("token", ["", "hf_mine"])
def test_a_missing_repository_says_the_nearest(ask, repo, token):
    said, hint = refused(ask(HF_TOKEN=token), repo)
    assert repo in said
    assert hint == "Did you mean Owner/Llama-2-7B-Chat-GGUF?"
    with pytest.raises(ModelError, match="Did you mean"):
        ask(HF_TOKEN=token).listing(repo)


def test_a_private_repository_may_want_a_login(ask):
    said, hint = refused(ask(), "Owner/private")
    assert "or it is private" in said
    assert "hf auth login" in hint


@pytest.mark.parametrize(
    "fault", [Stall(), Html(), Status(500), Drop(), TooManyRequests()], ids=lambda fault: repr(fault)[:12]
)
def test_a_search_that_fails_is_no_hint_and_no_error(ask, hub, fault):
    hub.fail_api(fault, always=True)
    said, hint = refused(ask(), "Owner/nothing")
    assert "no repository Owner/nothing" in said
    assert "hf auth login" in hint


def test_a_missing_file_and_a_missing_revision(ask):
    assert refused(ask(), "Owner/Llama-2-7B-Chat-GGUF", "b.gguf")[0] == "Owner/Llama-2-7B-Chat-GGUF has no file b.gguf."
    assert "no such revision" in refused(ask(), "Owner/Llama-2-7B-Chat-GGUF", "a.Q4_K_M.gguf", "v9")[0]
    with pytest.raises(ModelError, match="no such revision"):
        ask().listing("Owner/Llama-2-7B-Chat-GGUF", "v9")


@pytest.mark.parametrize(
    ("repo", "file", "revision"),
    [("../etc", "a", None), ("o", "a", None), ("o/n", "../../a", None), ("o/n", "/a", None), ("o/n", "a", "../x")],
)
def test_a_name_that_would_leave_the_cache_is_not_asked_for(ask, hub, repo, file, revision):
    assert "cannot be" in refused(ask(), repo, file, revision)[0]
    assert hub.log == []


@pytest.mark.parametrize("name", ["X-Repo-Commit", "X-Linked-Etag"])
def test_an_answer_that_would_leave_the_cache_is_none_of_the_hubs(ask, hub, name):
    hub.fail("a.Q4_K_M.gguf", Header(name, '"../../x"'), on="head")
    assert "did not answer as the Hub does" in refused(ask(), "Owner/Llama-2-7B-Chat-GGUF", "a.Q4_K_M.gguf")[0]


def test_a_refusal_that_nobody_knows_is_passed_on(ask, hub):
    headers = {"X-Error-Message": "This repository is under review."}
    hub.fail("a.Q4_K_M.gguf", Status(403, headers), on="head")
    said, hint = refused(ask(), "Owner/Llama-2-7B-Chat-GGUF", "a.Q4_K_M.gguf")
    assert "403: This repository is under review." in said
    assert "/Owner/Llama-2-7B-Chat-GGUF" in hint


# No way there.


def test_offline_by_variable_is_said_and_nothing_is_asked(ask, hub):
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        said, _ = refused(ask(**{name: "1"}), "Owner/gated")
        assert "HF_HUB_OFFLINE is set" in said
    assert hub.log == []


def test_without_a_network_it_is_said_at_once(ask, closed_port):
    said, hint = refused(ask(HF_ENDPOINT=f"http://127.0.0.1:{closed_port}"), "Owner/gated")
    assert said == f"127.0.0.1:{closed_port} cannot be reached."
    assert "connection" in hint


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
@pytest.mark.parametrize("scheme", ["http://", ""])
def test_a_proxy_that_is_down_is_named(ask, hub, closed_port, name, scheme):
    said, hint = refused(ask(**{name: f"{scheme}user:secret@127.0.0.1:{closed_port}"}), "Owner/gated")
    assert said.endswith(f"cannot be reached through the proxy in {name}.")
    assert "secret" not in said + hint
    assert hub.log == []


def test_a_socks_proxy_without_its_package_is_named(ask):
    said, hint = refused(ask(ALL_PROXY="socks5://127.0.0.1:1"), "Owner/gated")
    assert "ALL_PROXY names a SOCKS proxy" in said
    assert hint == "pip install socksio"


@pytest.mark.parametrize("proxy", ["gopher://x", "http://x:port"])
def test_a_proxy_that_is_none_is_named(ask, proxy):
    assert "HTTPS_PROXY names a proxy that is none" in refused(ask(HTTPS_PROXY=proxy), "Owner/gated")[0]


def test_certificates_that_cannot_be_read_are_said(ask, monkeypatch, tmp_path):
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    assert "SSL_CERT_FILE cannot be read" in refused(ask(), "Owner/gated")[0]


@pytest.mark.parametrize("hosts", ["127.0.0.1", "example.org, 127.0.0.1", "*", "::1,127.0.0.1"])
def test_no_proxy_is_heeded(ask, closed_port, hosts):
    ours = ask(HTTP_PROXY=f"http://127.0.0.1:{closed_port}", NO_PROXY=hosts)
    assert ours.listing("Owner/gated").gguf == ["a.gguf"]


def test_the_process_own_variables_change_nothing(ask, closed_port, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{closed_port}")
    assert ask().listing("Owner/gated").gguf == ["a.gguf"]


@pytest.mark.parametrize(
    ("url", "variable"),
    [
        ("https://hub.example.org/x", "HTTPS_PROXY"),
        ("http://hub.example.org/x", "all_proxy"),
        ("https://a.example.com", ""),
        ("https://example.com:443", ""),
        ("https://notexample.com", "HTTPS_PROXY"),
        ("https://a.example.net", ""),
    ],
)
def test_which_variable_counts_for_an_address(url, variable):
    proxies = Proxies.of({"HTTPS_PROXY": "http://p", "all_proxy": "http://q", "NO_PROXY": "example.com,.example.net"})
    assert proxies.variable_for(url) == variable


def test_a_server_that_is_silent_is_given_up(ask, hub):
    hub.fail_api(Stall(), always=True)
    hub.fail("a.gguf", Stall(), on="head", always=True)
    assert "sent nothing for 0.5 seconds" in refused(ask(), "Owner/gated")[0]
    with pytest.raises(DownloadError, match=r"sent nothing for 0\.5 seconds"):
        ask().listing("Owner/gated")


def test_a_sign_in_page_everywhere_is_recognised(ask, hub):
    hub.everywhere = Html()
    said, hint = refused(ask(), "Owner/gated")
    assert "did not answer as the Hub does" in said
    assert "sign-in page" in hint
    with pytest.raises(DownloadError, match="sign-in page"):
        ask().listing("Owner/gated")


def test_a_sign_in_page_on_another_host_never_sees_the_token(ask, hub):
    hub.fail("a.gguf", Status(302, {"Location": f"{hub.cdn}/login"}), on="head")
    hub.fail_api(Status(302, {"Location": f"{hub.cdn}/login"}))
    ours = ask(HF_TOKEN="hf_mine")
    assert "sign-in page" in refused(ours, "Owner/gated")[1]
    with pytest.raises(DownloadError, match="sign-in page"):
        ours.listing("Owner/gated")
    assert {request.origin for request in hub.log} == {"hub"}


def test_a_server_that_stumbles_for_long_is_given_up(ask, hub):
    hub.fail_api(Status(503), always=True)
    with pytest.raises(DownloadError, match="answered with 503"):
        ask().listing("Owner/gated")
    assert len(hub.log) == 3


# The variables.


def test_the_token_is_the_variables_or_the_last_logins(ask, tmp_path):
    assert ask().token is None
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "token").write_text("hf_file\n")
    assert ask().token == "hf_file"
    assert ask(HF_HUB_DISABLE_IMPLICIT_TOKEN="1").token is None
    assert ask(HF_TOKEN="hf_variable").token == "hf_variable"
    assert "hf_variable" not in repr(ask(HF_TOKEN="hf_variable"))


def test_the_cache_is_where_the_hubs_tools_have_it(tmp_path):
    assert OurHub.of({"HF_HOME": "/a"}).cache == Path("/a/hub")
    assert OurHub.of({"HF_HOME": "/a", "HF_HUB_CACHE": "/b"}).cache == Path("/b")
    assert OurHub.of({"XDG_CACHE_HOME": "/c"}).cache == Path("/c/huggingface/hub")


def test_nothing_is_imported_before_something_is_asked():
    code = (
        "import sys; from llamachat.models.download import Downloader; from llamachat.models.hub import Hub; Hub.of({})"
    )
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; print(*sys.modules)"], capture_output=True, text=True, check=True
    )
    assert not set(done.stdout.split()) & {"huggingface_hub", "httpx2", "filelock", "ssl"}
