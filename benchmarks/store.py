"""`python -m benchmarks.store`: what keeping everything costs. Medians; the files lie in the current folder."""

from __future__ import annotations

import itertools
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.report import Row
from benchmarks.startup import until_prompt
from llamachat.chat.conversation import State, Turn
from llamachat.chat.transcript import Entry, Session, Transcript
from llamachat.store.sessions import Store
from llamachat.types import Message, Role

ENGLISH = 30_000  # words, used as often as their ranks say (Zipf)
SYLLABLES = [chr(code) for code in range(0xAC00, 0xD7A4, 23)]
PER_SESSION = 20
WORDS_PER_MESSAGE = 80
SEARCHES = {
    "a rare word": "w20011",
    "a usual word": "w150",
    "the commonest word": "w0",
    "two common words": "w1 w3",
    "a phrase": '"w0 w2"',
    "a beginning": "w15*",
    "code": "foo_bar",
    "two syllables": "가갗",
    "one syllable": "가",
    "nothing": "xyzzy",
}


class Texts:
    """Messages as long as usual ones; one in four is Korean, one in fifty has code in it."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self._words = [f"w{rank}" for rank in range(ENGLISH)]
        self._weights = list(itertools.accumulate(1 / (rank + 1) for rank in range(ENGLISH)))

    def text(self) -> str:
        n_words = self._chance.randint(WORDS_PER_MESSAGE // 2, WORDS_PER_MESSAGE * 3 // 2)
        if self._chance.random() < 0.25:
            return " ".join("".join(self._chance.choices(SYLLABLES, k=3)) for _ in range(n_words // 2))
        code = "\n    foo_bar(std::vector<int>)" if self._chance.random() < 0.02 else ""
        return " ".join(self._chance.choices(self._words, cum_weights=self._weights, k=n_words)) + code

    def transcript(self) -> Transcript:
        now = datetime.now(UTC)
        roles = itertools.cycle((Role.USER, Role.ASSISTANT))
        turns = [
            Turn(number, number - 1 or None, Message(next(roles), self.text())) for number in range(1, PER_SESSION + 1)
        ]
        entries = tuple(Entry(turn, now, now) for turn in turns)
        return Transcript(Session("", "a chat", now, now, leaf=PER_SESSION), entries)


def filled(path: Path, n_messages: int) -> float:
    """Seconds that it took to import so many messages."""
    texts = Texts(n_messages)
    began = time.perf_counter()
    with Store(path) as store:
        for _ in range(n_messages // PER_SESSION):
            store.take_in([texts.transcript()])
    return time.perf_counter() - began


def milliseconds(work: Callable[[], object], rounds: int) -> str:
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        times.append(1000 * (time.perf_counter() - began))
    return f"{statistics.median(times):8.2f} ms   (slowest of {rounds}: {max(times):.2f})"


def opened_and_closed(path: Path) -> None:
    Store(path).close()


def process(path: Path) -> None:
    """What a program pays: the import, opening, the latest chat."""
    code = f"from pathlib import Path; from llamachat.store.sessions import Store; Store(Path({str(path)!r})).latest()"
    subprocess.run([sys.executable, "-c", code], check=True)


def searches(path: Path) -> None:
    with Store(path) as store:
        for what, words in SEARCHES.items():
            n_hits = len(store.search(words))
            print(f"search, {what:20} {milliseconds(lambda words=words: store.search(words), 15)}   {n_hits} hits")


def writes(path: Path) -> None:
    with Store(path) as store:
        session = store.create("writes").id
        question = Message(Role.USER, Texts(1).text())
        text = " ".join(Texts(seed).text() for seed in range(8))
        print(f"add a user's message, synced   {milliseconds(lambda: store.add(session, None, question), 200)}")
        reply = store.add(session, None, Message(Role.ASSISTANT, "", generated=True), State.STREAMING)
        print(f"grow an answer of {len(text):,} chars {milliseconds(lambda: store.grow(reply, text), 200)}")
        whole = Message(Role.ASSISTANT, text, generated=True)
        print(f"finish it, synced              {milliseconds(lambda: store.finish(reply, whole, State.COMPLETE), 50)}")
        print(f"list all                       {milliseconds(store.sessions, 9)}")
        print(f"load 20 messages               {milliseconds(lambda: store.load(store.sessions(2)[1].id), 9)}")
        victims = iter([each.id for each in store.sessions()[-5:]])
        print(f"remove a session               {milliseconds(lambda: store.remove([next(victims)]), 5)}")


def measure(rounds: int) -> list[Row]:
    """The bars: a search in many messages, and the start of a chat that goes on."""
    with tempfile.TemporaryDirectory(dir=".") as folder:
        path = Path(folder) / "many.db"
        filled(path, 100_000)
        with Store(path) as store:
            medians = {what: _median(lambda words=words: store.search(words), 15) for what, words in SEARCHES.items()}
        slowest = max(medians, key=medians.__getitem__)
        small, large = (_home(Path(folder) / str(n), n) for n in (PER_SESSION, 10_000))
        ratios, seconds = [], []
        for _ in range(rounds):
            mine = until_prompt("-c", home=large)
            ratios.append(mine / until_prompt("-c", home=small))
            seconds.append(mine)
    return [
        Row("search in 100,000 messages, the slowest kind, ms", "-", medians[slowest], "<=", 50, slowest),
        Row(
            "llamachat -c to the prompt, 10,000 messages",
            f"{PER_SESSION} messages",
            statistics.median(ratios),
            "<=",
            1.2,
            f"{1000 * statistics.median(seconds):.0f} ms",
        ),
    ]


def _median(work: Callable[[], object], rounds: int) -> float:
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        times.append(1000 * (time.perf_counter() - began))
    return statistics.median(times)


def _home(folder: Path, n_messages: int) -> Path:
    """A home with so many messages in it."""
    path = folder / "data" / "sessions.db"
    path.parent.mkdir(parents=True)
    filled(path, n_messages)
    return folder


def main() -> None:
    with tempfile.TemporaryDirectory(dir=".") as folder:
        for n_messages in (0, 10_000, 100_000):
            path = Path(folder) / f"{n_messages}.db"
            seconds = filled(path, n_messages)
            print(f"{n_messages:,} messages: imported in {seconds:.1f} s, {path.stat().st_size / 1e6:.1f} MB")
            print(f"open and close                 {milliseconds(lambda path=path: opened_and_closed(path), 21)}")
            print(f"a process that opens it        {milliseconds(lambda path=path: process(path), 11)}")
        searches(path)
        writes(path)


if __name__ == "__main__":
    main()
