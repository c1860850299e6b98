"""Several connections for a large file: faster where each is slow, and right whatever happens to one of them."""

from __future__ import annotations

import hashlib
import random
import time
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import pytest

from llamachat.errors import DownloadError
from llamachat.models.ahead import Plan
from llamachat.models.hub import Hub as Client
from llamachat.models.transfer import Transfer
from tests.hub import Drop, Flip, Hub, IgnoreRange, Reset, Stall, Status, TooManyRequests, WrongRange

MiB = 1 << 20
DATA = random.Random(7).randbytes(16 * MiB)
SHA256 = hashlib.sha256(DATA).hexdigest()
PLAN = Plan(threshold=4 * MiB, segment=MiB, n_connections=4)


@dataclass
class Told:
    moves: list[int] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    stop_at: int | None = None
    pauses: list[float] = field(default_factory=list)
    times: list[float] = field(default_factory=list)

    def moved(self, done: int, total: int) -> None:
        self.moves.append(done)
        self.times.append(time.monotonic())
        if self.stop_at is not None and done >= self.stop_at:
            raise KeyboardInterrupt

    def checking(self, done: int, total: int) -> None:
        pass

    def note(self, text: str) -> None:
        self.notes.append(text)

    def pause(self, seconds: float, why: str) -> None:
        if seconds > 1:
            self.pauses.append(seconds)
        time.sleep(min(seconds, 0.02))


@pytest.fixture
def hub():
    with Hub() as hub:
        hub.add("o/n", {"model.gguf": DATA})
        yield hub


@pytest.fixture
def transfer(hub, tmp_path):
    """`transfer()` is one run's; each goes on with the same partial file."""

    def make(told: Told | None = None, **options) -> Transfer:
        client = Client(hub.endpoint, None, tmp_path)
        file = client.look_up("o/n", "model.gguf")
        options = {"ahead": PLAN, "pause": 0.01, "patience": 1.0, **options}
        return Transfer(client, file, tmp_path / "partial", told or Told(), **options)

    return make


def assert_right(folder: Path) -> None:
    assert hashlib.sha256((folder / "partial").read_bytes()).hexdigest() == SHA256
    assert [path.name for path in folder.glob("partial*")] == ["partial"]


def test_where_each_connection_is_slow_several_are_faster(hub, transfer, tmp_path):
    hub.rate_each = 4e6
    told = Told()
    began = time.monotonic()
    transfer(told).run()
    several = time.monotonic() - began
    assert_right(tmp_path)
    assert several < 0.6 * len(DATA) / 4e6
    assert told.moves == sorted(told.moves)
    assert told.moves[-1] == len(DATA)
    assert hub.bytes_sent("model.gguf") <= 1.05 * len(DATA)


def test_where_they_share_a_line_it_goes_back_to_one(hub, transfer, tmp_path):
    hub.rate = 8e6
    transfer().run()
    assert_right(tmp_path)
    assert hub.ranges("model.gguf")[-1].endswith(("-", str(len(DATA) - 1)))
    assert hub.bytes_sent("model.gguf") <= 1.1 * len(DATA)


def test_a_small_file_comes_over_one_connection(hub, transfer, tmp_path):
    transfer(ahead=replace(PLAN, threshold=len(DATA) + 1)).run()
    assert_right(tmp_path)
    assert hub.ranges("model.gguf") == [None]


FAULTS = [Drop(at=300_000), Reset(at=300_000), Status(503), Stall(at=300_000), WrongRange(), IgnoreRange()]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)
@pytest.mark.parametrize("attempt", [1, 3])
def test_whatever_happens_to_one_connection_the_file_is_right(hub, transfer, tmp_path, fault, attempt):
    hub.rate_each = 20e6
    hub.fail("model.gguf", *([None] * attempt), fault)
    transfer().run()
    assert_right(tmp_path)


def test_a_flipped_byte_is_noticed_and_all_is_fetched_once_more(hub, transfer, tmp_path):
    hub.fail("model.gguf", *[Flip(9 * MiB + 5)] * 12)  # of the fifteen answers that the file takes at first
    told = Told()
    transfer(told).run()
    assert_right(tmp_path)
    assert any("once more" in note for note in told.notes)


def test_what_is_always_wrong_is_not_left_behind(hub, transfer, tmp_path):
    hub.fail("model.gguf", Flip(9 * MiB), always=True)
    with pytest.raises(DownloadError):
        transfer().run()
    assert (tmp_path / "partial").stat().st_size == 0
    assert [path.name for path in tmp_path.glob("partial*")] == ["partial"]


def test_ctrl_c_leaves_what_the_next_run_uses(hub, transfer, tmp_path):
    hub.rate_each = 4e6
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        transfer(Told(stop_at=8 * MiB)).run()
    assert time.monotonic() - began < 6
    partial = (tmp_path / "partial").read_bytes()
    assert DATA.startswith(partial)
    sides = [path for path in tmp_path.glob("partial.*") if path.stat().st_size]
    assert sides
    for side in sides:
        start = int(side.suffix[1:])
        assert DATA[start:].startswith(side.read_bytes())
    time.sleep(1.1)  # until no connection of the first run writes
    transfer().run()
    assert_right(tmp_path)
    assert hub.bytes_sent("model.gguf") <= 1.15 * len(DATA)


def test_a_segment_that_a_kill_left_half_taken_is_used_from_where_it_is(hub, transfer, tmp_path):
    run = transfer()
    (tmp_path / "partial").write_bytes(DATA[: 2 * MiB + 1000])
    (tmp_path / f"partial.{SHA256[:8]}.{2 * MiB}").write_bytes(DATA[2 * MiB : 3 * MiB])
    run.run()
    assert_right(tmp_path)
    assert hub.bytes_sent("model.gguf") <= len(DATA) - 3 * MiB + 200_000


def test_a_segment_that_is_too_long_is_used_as_far_as_it_goes(hub, transfer, tmp_path):
    (tmp_path / f"partial.{SHA256[:8]}.0").write_bytes(DATA[: 2 * MiB])
    transfer().run()
    assert_right(tmp_path)


def test_a_429_to_one_connection_is_waited_for_once(hub, transfer, tmp_path):
    hub.rate_each = 20e6
    hub.fail("model.gguf", None, None, TooManyRequests(retry_after=7))
    told = Told()
    transfer(told).run()
    assert_right(tmp_path)
    assert told.pauses == [7]


def test_there_is_news_while_segments_come_slowly(hub, transfer, tmp_path):
    hub.rate_each = 1.5e6
    told = Told(stop_at=12 * MiB)
    with pytest.raises(KeyboardInterrupt):
        transfer(told).run()
    assert max(after - before for before, after in pairwise(told.times)) < 1.0


def test_without_room_for_the_segments_it_is_one_connection(hub, transfer, tmp_path, monkeypatch):
    from llamachat.models import ahead

    monkeypatch.setattr(ahead.shutil, "disk_usage", lambda _: ahead.shutil._ntuple_diskusage(0, 0, len(DATA)))
    transfer().run()
    assert_right(tmp_path)
    assert hub.ranges("model.gguf") == [None]
