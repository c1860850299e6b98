"""Whatever happens on the way, the file is right or it is not there, and no byte is fetched twice."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import random
import signal
import subprocess
import sys
import time
from collections import namedtuple
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import pytest

from llamachat.errors import DownloadError, ExitCode, StorageError
from llamachat.models import transfer
from llamachat.models.download import Downloader
from llamachat.models.hub import Hub as OurHub
from llamachat.models.hub import RemoteFile
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
MiB = 1 << 20
DATA = b"GGUF" + random.Random(2).randbytes(3 * MiB - 4)
OTHER = b"GGUF" + random.Random(3).randbytes(3 * MiB - 4)
RESUMED = f"bytes={MiB}-"
MARGIN = 64 * MiB  # of the disk, that stays free

Usage = namedtuple("Usage", "total used free")


@dataclass
class Told:
    """Progress that remembers, waits for nothing, and can do what a user does at a moment."""

    moved_at: list[tuple[float, int]] = field(default_factory=list)  # seconds, bytes
    checked: list[int] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)
    on_move: Callable[[int], object] = lambda done: None
    on_note: Callable[[str], object] = lambda text: None
    on_pause: Callable[[], object] = lambda: None

    def moved(self, done: int, total: int) -> None:
        self.moved_at.append((time.monotonic(), done))
        self.on_move(done)

    def checking(self, done: int, total: int) -> None:
        self.checked.append(done)

    def note(self, text: str) -> None:
        self.notes.append(text)
        self.on_note(text)

    def pause(self, seconds: float, why: str) -> None:
        self.pauses.append(seconds)
        self.on_pause()


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


@dataclass
class Desk:
    """A Hub with one file, and a downloader beside it."""

    hub: Hub
    cache: Path
    told: Told
    downloader: Downloader

    @property
    def remote(self) -> RemoteFile:
        return self.downloader.look_up("o/n", "model.gguf")

    @property
    def folder(self) -> Path:
        return self.cache / "models--o--n"

    @property
    def partial(self) -> Path:
        return self.folder / "blobs" / f"{hashlib.sha256(DATA).hexdigest()}.incomplete"

    def fetch(self) -> Path:
        return self.downloader.fetch(self.remote)

    def leave(self, data: bytes) -> None:
        """As an earlier run, that was ended somehow, has left it."""
        self.partial.parent.mkdir(parents=True)
        self.partial.write_bytes(data)

    def ranges(self) -> list[str | None]:
        return self.hub.ranges("model.gguf")

    def assert_right(self, data: bytes = DATA) -> None:
        found = self.downloader.hub.cached("o/n", "model.gguf")
        assert found is not None
        assert hashlib.sha256(found.read_bytes()).digest() == hashlib.sha256(data).digest()
        assert self.files() >= {found.resolve()}
        assert not self.partial.exists()

    def assert_absent(self, kept: bytes = b"") -> None:
        """Nothing but the start of the file, if there is any."""
        assert self.downloader.hub.cached("o/n", "model.gguf") is None
        assert self.files() == ({self.partial} if kept else set())
        assert not kept or self.partial.read_bytes() == kept

    def files(self) -> set[Path]:
        """All there is besides locks."""
        return {path for path in self.cache.rglob("*") if path.is_file() and path.suffix != ".lock"}

    def assert_fails(self, says: str) -> DownloadError:
        with pytest.raises(DownloadError, match=says) as caught:
            self.fetch()
        assert caught.value.code == ExitCode.DOWNLOAD
        return caught.value


@pytest.fixture
def desk(tmp_path) -> Iterator[Desk]:
    with Hub() as hub:
        hub.add("o/n", {"model.gguf": DATA})
        cache, told = tmp_path / "hub", Told()
        ours = OurHub(hub.endpoint, None, cache, patience=2)
        yield Desk(hub, cache, told, Downloader(ours, tmp_path / "joined", told, patience=0.4))


# Right at once.


def test_a_file_is_fetched_once_and_found_by_the_hubs_own_tools(desk):
    from huggingface_hub import hf_hub_download, try_to_load_from_cache

    path = desk.fetch()
    desk.assert_right()
    assert desk.fetch() == path
    assert desk.ranges() == [None]
    assert desk.hub.bytes_sent("model.gguf") == len(DATA)
    assert path.is_symlink()
    assert not path.readlink().is_absolute()
    assert (desk.folder / "refs" / "main").read_text() == desk.remote.commit
    assert try_to_load_from_cache("o/n", "model.gguf", cache_dir=desk.cache) == str(path)
    assert hf_hub_download("o/n", "model.gguf", cache_dir=desk.cache, local_files_only=True) == str(path)


def test_what_another_tool_fetched_is_not_fetched_again(desk):
    remote = desk.remote
    (desk.folder / "blobs").mkdir(parents=True)
    (desk.folder / "blobs" / remote.etag).write_bytes(DATA)
    desk.downloader.fetch(remote)
    desk.assert_right()
    assert desk.ranges() == []


def test_without_links_the_snapshot_holds_the_file_itself(desk, monkeypatch):
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "no developer mode")

    monkeypatch.setattr(Path, "symlink_to", refuse)
    path = desk.fetch()
    assert desk.fetch() == path
    desk.assert_right()
    assert desk.ranges() == [None]
    assert not path.is_symlink()
    assert list((desk.folder / "blobs").iterdir()) == []


def test_a_small_file_that_git_keeps_is_verified_by_gits_name_for_it(desk):
    desk.hub.add("o/n", {"model.gguf": DATA, "README.md": b"# A model\n"})
    path = desk.downloader.fetch(desk.downloader.look_up("o/n", "README.md"))
    assert path.read_bytes() == b"# A model\n"
    desk.hub.add("o/m", {"README.md": b"# Another\n"})
    desk.hub.fail("README.md", Flip(3), always=True)
    with pytest.raises(DownloadError, match="wrong content"):
        desk.downloader.fetch(desk.downloader.look_up("o/m", "README.md"))


def test_a_revision_is_kept_under_its_name_and_a_commit_under_none(desk):
    commit = desk.remote.commit
    desk.downloader.fetch(desk.downloader.look_up("o/n", "model.gguf", commit))
    assert not (desk.folder / "refs").exists()
    assert desk.downloader.hub.cached("o/n", "model.gguf", commit) is not None


def test_a_known_hash_that_is_not_the_hubs_ends_it_before_the_first_byte(desk):
    with pytest.raises(DownloadError, match="another file"):
        desk.downloader.fetch(desk.remote, "0" * 64)
    desk.assert_absent()
    assert desk.ranges() == []


def test_news_comes_at_least_once_a_second_while_bytes_flow(desk):
    desk.hub.rate = 2e6
    desk.fetch()
    times = [seconds for seconds, _ in desk.told.moved_at]
    assert times[-1] - times[0] > 1
    assert max(later - earlier for earlier, later in pairwise(times)) < 1
    assert desk.told.moved_at[-1][1] == len(DATA)


# Over in a moment: tried again, resumed.

OVER_SOON = {
    "a reset": ([Reset(at=MiB)], [None, RESUMED]),
    "a reset at the start": ([Reset()], [None, None]),
    "a drop": ([Drop(at=MiB)], [None, RESUMED]),
    "a stall": ([Stall(at=MiB)], [None, RESUMED]),
    "500": ([Status(500)], [None, None]),
    "503 in the resume": ([Drop(at=MiB), Status(503), Status(503)], [None, RESUMED, RESUMED, RESUMED]),
    "an expired address": ([Drop(at=MiB), Expire()], [None, RESUMED, RESUMED]),
    "a sign-in page": ([Html()], [None, None]),
    "a sign-in page in the resume": ([Drop(at=MiB), Html()], [None, RESUMED, RESUMED]),
    "an honest 206 of another part": ([Drop(at=MiB), WrongRange(honest=True)], [None, RESUMED, RESUMED]),
    "a range ignored": ([Drop(at=MiB), IgnoreRange()], [None, RESUMED]),
    "a short body": ([ShortBody(1000)], [None, f"bytes={len(DATA) - 1000}-"]),
    "a length that promises more": ([LongLength(1000)], [None]),
}


@pytest.mark.parametrize("case", OVER_SOON)
def test_a_fault_that_passes_costs_no_byte_twice(desk, case):
    faults, ranges = OVER_SOON[case]
    desk.hub.fail("model.gguf", *faults)
    desk.fetch()
    desk.assert_right()
    assert desk.ranges() == ranges
    again = {"a range ignored": MiB, "an honest 206 of another part": 2 * MiB}
    assert desk.hub.bytes_sent("model.gguf") <= len(DATA) + again.get(case, 1000)


@pytest.mark.parametrize(("size", "every"), [(24 * MiB, 5 * MiB), (2 * MiB, 100 << 10)])
def test_any_byte_is_progress_however_often_the_connection_drops(desk, tmp_path, size, every):
    desk.hub.add("o/n", {"model.gguf": pseudo_random_file(tmp_path / "model.gguf", size)})
    desk.hub.fail("model.gguf", Drop(at=every), always=True)
    desk.fetch()
    desk.assert_right((tmp_path / "model.gguf").read_bytes())
    assert desk.hub.bytes_sent("model.gguf") == size
    assert len(desk.ranges()) == -(-size // every)


def test_a_question_is_asked_again_when_the_server_stumbles(desk):
    desk.hub.fail("model.gguf", Status(503), Drop(), on="head")
    desk.hub.fail("model.gguf", Status(502), on="resolve")
    desk.hub.fail_api(Status(500))
    assert desk.downloader.listing("o/n").gguf == ["model.gguf"]
    desk.fetch()
    desk.assert_right()


# It does not pass.

PERSISTENT = {
    "a reset": (Reset(), "connection to .* broke"),
    "a drop": (Drop(), "connection to .* broke"),
    "500": (Status(500), "answered with 500"),
    "a stall": (Stall(), "sent nothing for 0.4 seconds"),
    "an expired address": (Expire(), "signed address was refused with 403"),
    "a sign-in page": (Html(), "a page came instead"),
    "a page as bytes": ((Html(), Header("Content-Type", "application/octet-stream")), "a page came instead"),
}


@pytest.mark.parametrize("case", PERSISTENT)
def test_a_fault_that_stays_has_its_own_line_and_keeps_what_came(desk, case):
    fault, says = PERSISTENT[case]
    desk.hub.fail("model.gguf", fault, always=True)
    assert "kept" not in desk.assert_fails(says).hint
    desk.assert_absent()
    assert desk.told.pauses == [1, 2, 4, 8, 16]
    desk.hub.fail("model.gguf", Drop(at=MiB), *[fault] * 6)
    assert "kept" in desk.assert_fails(says).hint
    desk.assert_absent(kept=DATA[:MiB])
    desk.fetch()
    desk.assert_right()
    assert desk.ranges()[-1] == RESUMED


def test_a_server_that_only_sends_other_parts_is_given_up(desk):
    desk.hub.fail("model.gguf", Drop(at=MiB), *[WrongRange(honest=True)] * 6)
    desk.assert_fails("another part of the file")
    desk.assert_absent(kept=DATA[:MiB])


def test_a_file_of_another_length_is_not_glued_to_what_came(desk):
    desk.hub.fail("model.gguf", Drop(at=MiB), *[Replace(OTHER + b"more")] * 6)
    desk.assert_fails("another part of the file")
    desk.assert_absent(kept=DATA[:MiB])


# Wrong bytes: noticed, fetched once more.

WRONG_ONCE = {
    "a byte": ([Flip(2 * MiB)], [None, None]),
    "the first byte": ([Flip(0)], [None, None]),
    "a byte of the resumed part": ([Drop(at=MiB), FlipInRange()], [None, RESUMED, None]),
    "a 206 that lies": ([Drop(at=MiB), WrongRange()], [None, RESUMED, None]),
    "another file meanwhile": ([Drop(at=MiB), Replace(OTHER)], [None, RESUMED, None]),
}


@pytest.mark.parametrize("case", WRONG_ONCE)
def test_wrong_bytes_are_noticed_and_fetched_once_more(desk, case):
    faults, ranges = WRONG_ONCE[case]
    desk.hub.fail("model.gguf", *faults)
    desk.fetch()
    desk.assert_right()
    assert desk.ranges() == ranges
    assert "fetched once more" in " ".join(desk.told.notes)


@pytest.mark.parametrize("case", WRONG_ONCE)
def test_bytes_that_stay_wrong_leave_no_file(desk, case):
    faults, ranges = WRONG_ONCE[case]
    desk.hub.fail("model.gguf", *faults, always=True)
    desk.assert_fails("wrong content")
    desk.assert_absent()
    assert desk.ranges() == ranges[:-1] * 2


def test_a_wrong_size_from_the_hub_leaves_no_file(desk):
    with pytest.raises(DownloadError, match="wrong content"):
        desk.downloader.fetch(replace(desk.remote, n_bytes=1000))
    desk.assert_absent()


def test_an_upload_meanwhile_changes_nothing_for_the_commit_that_is_fetched(desk):
    remote = desk.remote
    desk.told.on_pause = lambda: desk.hub.add("o/n", {"model.gguf": OTHER})
    desk.hub.fail("model.gguf", Drop(at=1000))
    desk.downloader.fetch(remote)
    assert desk.ranges() == [None, "bytes=1000-"]
    desk.assert_right()
    desk.fetch()
    desk.assert_right(OTHER)


# What an earlier run left.


def test_a_partial_file_is_gone_on_with(desk):
    desk.leave(DATA[:MiB])
    desk.fetch()
    desk.assert_right()
    assert desk.ranges() == [RESUMED]
    assert desk.told.checked[-1] == MiB


def test_a_partial_file_that_is_whole_needs_no_byte(desk):
    desk.leave(DATA)
    desk.fetch()
    desk.assert_right()
    assert desk.ranges() == []


def test_a_partial_file_longer_than_the_file_is_dropped(desk):
    desk.leave(DATA + b"more")
    desk.fetch()
    desk.assert_right()
    assert desk.ranges() == [None]


def test_a_partial_file_that_is_wrong_costs_one_download_more(desk):
    desk.leave(OTHER[:MiB])
    desk.fetch()
    desk.assert_right()
    assert desk.ranges() == [RESUMED, None]


def test_a_truncated_file_in_the_cache_is_fetched_again(desk):
    path = desk.fetch()
    path.resolve().write_bytes(DATA[:100])
    desk.fetch()
    desk.assert_right()


# The Hub wants us to wait.


def test_a_wait_is_as_long_as_asked_but_not_longer_than_five_minutes(desk):
    desk.hub.fail("model.gguf", TooManyRequests(2), TooManyRequests(600))
    desk.fetch()
    desk.assert_right()
    assert desk.told.pauses == [2, 300]


def test_after_a_few_waits_it_is_given_up(desk):
    desk.hub.fail("model.gguf", TooManyRequests(600), always=True)
    desk.assert_fails("asks to wait for 600 seconds")
    desk.assert_absent()
    assert desk.told.pauses == [300, 300]


def test_a_question_waits_as_well(desk):
    desk.hub.fail("model.gguf", TooManyRequests(7), on="head")
    assert desk.remote.n_bytes == len(DATA)
    assert desk.told.pauses == [7]


def test_ctrl_c_ends_a_wait_and_keeps_what_came(desk):
    desk.told.on_pause = interrupt
    desk.hub.fail("model.gguf", Drop(at=MiB), TooManyRequests(600))
    with pytest.raises(KeyboardInterrupt):
        desk.fetch()
    desk.assert_absent(kept=DATA[:MiB])


def test_ctrl_c_between_bytes_keeps_what_came(desk):
    desk.hub.rate = 4e6
    desk.told.on_move = lambda done: interrupt() if done > MiB else None
    with pytest.raises(KeyboardInterrupt):
        desk.fetch()
    kept = desk.partial.read_bytes()
    assert MiB < len(kept) < len(DATA)
    desk.assert_absent(kept=DATA[: len(kept)])
    desk.told.on_move = lambda done: None
    desk.fetch()
    desk.assert_right()
    assert desk.ranges() == [None, f"bytes={len(kept)}-"]


# The disk.


def test_a_disk_that_is_too_small_is_refused_before_the_first_byte(desk, monkeypatch):
    monkeypatch.setattr(transfer.shutil, "disk_usage", lambda path: Usage(0, 0, 3_210_000_000))
    with pytest.raises(StorageError, match=r"4,081 MB .* 3,210 MB free") as caught:
        desk.downloader.fetch(replace(desk.remote, n_bytes=4_081_004_224))
    assert caught.value.code == ExitCode.STORAGE
    desk.assert_absent()
    assert desk.ranges() == []


def test_what_is_there_already_needs_no_room(desk, monkeypatch):
    desk.leave(DATA[:MiB])
    monkeypatch.setattr(transfer.shutil, "disk_usage", lambda path: Usage(0, 0, 2 * MiB + MARGIN - 1))
    with pytest.raises(StorageError):
        desk.fetch()
    monkeypatch.setattr(transfer.shutil, "disk_usage", lambda path: Usage(0, 0, 2 * MiB + MARGIN))
    desk.fetch()
    desk.assert_right()


class FullDisk(io.FileIO):
    """A file on a disk with room for a MiB."""

    def write(self, data) -> int:
        if self.tell() + len(data) > MiB:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(data)


def test_a_disk_that_fills_up_keeps_what_came(desk, monkeypatch):
    real = Path.open

    def full(path: Path, mode: str = "r", buffering: int = -1, **options):
        if mode == "ab":
            return io.BufferedWriter(FullDisk(path, "ab"), buffering)
        return real(path, mode, buffering, **options)

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(StorageError, match="is full"):
        desk.fetch()
    monkeypatch.undo()
    kept = desk.partial.read_bytes()
    assert 0 < len(kept) <= MiB
    desk.assert_absent(kept=DATA[: len(kept)])
    desk.fetch()
    desk.assert_right()
    assert desk.ranges() == [None, f"bytes={len(kept)}-"]


def test_a_cache_that_cannot_be_written_is_said(desk):
    desk.cache.write_text("a file where a folder should be")
    with pytest.raises(StorageError, match="cannot be written"):
        desk.fetch()


# Tokens.


def test_no_token_goes_to_another_host(desk):
    desk.hub.add("o/n", {"model.gguf": DATA}, gated=True)
    desk.hub.tokens.add("hf_good")
    desk.hub.grants["o/n"].add("hf_good")
    desk.downloader.hub = replace(desk.downloader.hub, token="hf_good")
    desk.hub.fail("model.gguf", Drop(at=MiB))
    desk.fetch()
    desk.assert_right()
    seen = {origin: {r.authorization for r in desk.hub.log if r.origin == origin} for origin in ("hub", "cdn")}
    assert seen == {"hub": {"Bearer hf_good"}, "cdn": {None}}


def test_an_expired_token_is_left_away_for_a_public_file(desk):
    desk.downloader.hub = replace(desk.downloader.hub, token="hf_old")
    desk.fetch()
    desk.assert_right()
    assert len([note for note in desk.told.notes if "without it" in note]) == 1


def test_a_token_that_expires_meanwhile_is_left_away_too(desk):
    desk.hub.tokens.add("hf_old")
    desk.downloader.hub = replace(desk.downloader.hub, token="hf_old")
    remote = desk.remote
    desk.hub.tokens.clear()
    desk.downloader.fetch(remote)
    desk.assert_right()
    assert "without it" in desk.told.notes[0]


def test_access_that_is_lost_meanwhile_is_said_at_once(desk):
    remote = desk.remote
    desk.hub.add("o/n", {"model.gguf": DATA}, gated=True)
    with pytest.raises(DownloadError, match="wants its conditions accepted"):
        desk.downloader.fetch(remote)
    desk.assert_absent()
    assert desk.told.pauses == []


# Raw halves.


@pytest.fixture
def halves(desk, tmp_path) -> list[RemoteFile]:
    files = {}
    for letter, part in (("a", DATA[: 2 * MiB]), ("b", DATA[2 * MiB :])):
        files[f"m.gguf-split-{letter}"] = path = tmp_path / letter
        path.write_bytes(part)
    desk.hub.add("o/halves", files)
    return [desk.downloader.look_up("o/halves", name) for name in files]


def joined(desk: Desk) -> list[Path]:
    return [path for path in desk.downloader.joined.rglob("*") if path.is_file()]


def test_halves_are_joined_with_never_more_than_one_copy_on_the_disk(desk, halves):
    sizes = []
    desk.told.on_move = lambda done: sizes.append(sum(path.stat().st_size for path in joined(desk)))
    path = desk.downloader.fetch_joined(halves, "m.gguf")
    assert path.read_bytes() == DATA
    assert max(sizes) <= len(DATA)
    assert joined(desk) == [path]
    assert desk.files() == set()
    assert desk.downloader.fetch_joined(halves, "m.gguf") == path
    assert [desk.hub.ranges(part.file) for part in halves] == [[None], [None]]


def test_the_second_half_is_gone_on_with(desk, halves):
    desk.told.on_pause = interrupt
    desk.hub.fail(halves[1].file, Drop(at=1000))
    with pytest.raises(KeyboardInterrupt):
        desk.downloader.fetch_joined(halves, "m.gguf")
    assert [path.read_bytes() for path in joined(desk)] == [DATA[: 2 * MiB + 1000]]
    assert desk.downloader.fetch_joined(halves, "m.gguf").read_bytes() == DATA
    assert [desk.hub.ranges(part.file) for part in halves] == [[None], [None, "bytes=1000-"]]


def test_a_second_half_that_stays_wrong_keeps_the_first(desk, halves):
    desk.hub.fail(halves[1].file, Flip(7), always=True)
    with pytest.raises(DownloadError, match="wrong content"):
        desk.downloader.fetch_joined(halves, "m.gguf")
    assert [path.read_bytes() for path in joined(desk)] == [DATA[: 2 * MiB]]
    desk.hub.fail(halves[1].file)
    assert desk.downloader.fetch_joined(halves, "m.gguf").read_bytes() == DATA
    assert desk.hub.ranges(halves[0].file) == [None]


def test_a_wrong_first_half_is_noticed_before_the_second_is_asked_for(desk, halves):
    desk.hub.fail(halves[0].file, Flip(7), always=True)
    with pytest.raises(DownloadError, match="wrong content"):
        desk.downloader.fetch_joined(halves, "m.gguf")
    assert joined(desk) == []
    assert desk.hub.ranges(halves[1].file) == []


# Other processes, and their ends.


def start(desk: Desk, repo: str = "o/n") -> subprocess.Popen[str]:
    """The same download in a process of its own."""
    command = [sys.executable, "-m", "tests.models.fetch", desk.hub.endpoint, str(desk.cache), repo, "model.gguf"]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def kill_after(desk: Desk, process: subprocess.Popen[str], n_bytes: int) -> None:
    """kill -9 once the Hub has sent so many bytes in all."""
    while desk.hub.bytes_sent("model.gguf") < n_bytes:
        assert process.poll() is None
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert desk.hub.wait_idle()


def wait_for_bytes(desk: Desk, process: subprocess.Popen) -> None:
    """Until the process fetches. The line is slow for as long as another one needs to start."""
    desk.hub.rate = 1e5
    while not desk.ranges():
        assert process.poll() is None
        time.sleep(0.01)


def test_two_processes_make_one_download(desk):
    with start(desk) as first:
        wait_for_bytes(desk, first)
        with start(desk) as second:
            assert "waiting for it" in second.stdout.readline()
            desk.hub.rate = None
            said = [process.communicate(timeout=30)[0] for process in (first, second)]
    desk.assert_right()
    assert desk.ranges() == [None]
    assert desk.hub.bytes_sent("model.gguf") == len(DATA)
    assert all("model.gguf" in text for text in said)


def test_what_another_tool_fetches_meanwhile_is_waited_for(desk):
    code = f"import huggingface_hub as h; h.hf_hub_download('o/n', 'model.gguf', cache_dir={str(desk.cache)!r})"
    variables = {"HF_ENDPOINT": desk.hub.endpoint, "HF_HUB_DISABLE_XET": "1", "NO_PROXY": "*"}
    with subprocess.Popen(
        [sys.executable, "-c", code], env={**os.environ, **variables}, stderr=subprocess.PIPE
    ) as tool:
        wait_for_bytes(desk, tool)
        desk.told.on_note = lambda text: setattr(desk.hub, "rate", None)
        desk.fetch()
        tool.communicate()
    desk.assert_right()
    assert desk.ranges() == [None]
    assert "waiting for it" in desk.told.notes[0]


def test_when_one_process_is_killed_the_one_that_waits_goes_on_from_there(desk):
    with start(desk) as first:
        wait_for_bytes(desk, first)
        with start(desk) as second:
            assert "waiting for it" in second.stdout.readline()
            desk.hub.rate = 4e6
            kill_after(desk, first, MiB)
            second.communicate(timeout=30)
    desk.assert_right()
    assert len(desk.ranges()) == 2
    assert desk.hub.bytes_sent("model.gguf") < 1.1 * len(DATA) + (256 << 10)


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of memory is read from /proc, which Linux alone has")
def test_kill_9_at_random_moments_costs_less_than_a_tenth_and_memory_stays_small(desk, tmp_path):
    size = 60_000_000
    desk.hub.add("o/n", {"model.gguf": pseudo_random_file(tmp_path / "model.gguf", size)})
    desk.hub.rate = 20e6
    for moment in sorted(random.Random(6).sample(range(size), 6)):
        with start(desk) as process:
            kill_after(desk, process, max(moment, desk.hub.bytes_sent("model.gguf") + 1))
    with start(desk) as process:
        said = process.communicate(timeout=30)[0]
    desk.assert_right((tmp_path / "model.gguf").read_bytes())
    assert desk.hub.bytes_sent("model.gguf") <= 1.1 * size
    assert int(said.split("VmHWM:")[1].split()[0]) < 120_000  # kB
