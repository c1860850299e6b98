"""How well the test model does, through llamachat: on dialogs as they should be, and with each fault.

usage, in the repository's root:  python -m tests.model.judge [--model GGUF] [--seed N] [--dialogs N]
"""

from __future__ import annotations

import argparse
import itertools
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from llamachat.engine.base import Delta, Engine, Request
from llamachat.engine.ladder import Ladder
from llamachat.engine.process import EngineProcess
from llamachat.formats.base import Segment
from llamachat.llama.generate import generate
from llamachat.llama.lib import AbortFlag, C, Log, check_abi
from llamachat.llama.model import Model
from llamachat.llama.sampling import Sampler
from llamachat.llama.session import Session
from llamachat.types import LoadOptions, Message, Role, Sampling
from tests.model.dialogs import Dialog, dialogs
from tests.model.framing import FAULTS, Framing

MODEL = Path(__file__).with_name("parrot.Q8_0.gguf")
FINAL_SEED, DEVELOPMENT_SEED = 1_000_003, 2_000_003
N_DIALOGS = 200
_LONGEST_ANSWER = 128


@dataclass(frozen=True, slots=True)
class Score:
    """Right answers of all, and dialogs in which every answer was right. `wrong` are some that were not."""

    n_answers: int
    n_right: int
    n_dialogs: int
    n_right_dialogs: int
    wrong: tuple[str, ...] = ()

    @property
    def answers(self) -> float:
        return self.n_right / self.n_answers

    @property
    def dialogs(self) -> float:
        return self.n_right_dialogs / self.n_dialogs


def fresh(seed: int, n_dialogs: int) -> list[Dialog]:
    return list(itertools.islice(dialogs(seed), n_dialogs))


def judge(engine: Engine, asked: list[Dialog]) -> Score:
    """Ask turn by turn, as a chat does: the model's own answers stand in the conversation, right or wrong."""
    n_answers, right, n_right_dialogs = 0, 0, 0
    wrong: list[str] = []
    for dialog in asked:
        system = [] if dialog.system is None else [Message(Role.SYSTEM, dialog.system)]
        messages, n_right = list(system), 0
        for question, wanted in dialog.exchanges:
            messages.append(Message(Role.USER, question))
            answer = ask(engine, messages)
            messages.append(answer)
            n_right += answer.content == wanted
            if answer.content != wanted:
                wrong.append(f"{question!r}: {answer.content!r}, not {wanted!r}")
        n_answers += len(dialog.exchanges)
        right += n_right
        n_right_dialogs += n_right == len(dialog.exchanges)
    return Score(n_answers, right, len(asked), n_right_dialogs, tuple(wrong))


def ask(engine: Engine, messages: list[Message]) -> Message:
    """The likeliest answer, with the tokens it was generated as; the space that ends it, as it was taught, left out."""
    request = Request(tuple(messages), sampling={"temperature": 0.0}, max_tokens=_LONGEST_ANSWER)
    text, tokens = "", None
    for event in engine.reply(request):
        if isinstance(event, Delta):
            text += event.text
        tokens = getattr(event, "tokens", tokens)
    return Message(Role.ASSISTANT, text.removesuffix(" "), generated=True, tokens=tokens)


class Bare:
    """The model under llamachat's own loop, given token ids: what shows it a prompt that the format never makes."""

    def __init__(self, model: Model, session: Session) -> None:
        self._model = model
        self._session = session

    @classmethod
    @contextmanager
    def load(cls, path: Path) -> Iterator[Bare]:
        check_abi()
        log = Log(lambda _text: None)
        C.llama_backend_init()
        options = LoadOptions(path=str(path), n_threads=1)
        with (
            closing(Model.load(options, log, lambda _done, _total: None)) as model,
            closing(model.session(1024, AbortFlag())) as session,
        ):
            yield cls(model, session)

    def encode(self, text: str) -> list[int]:
        return self._model.vocabulary.tokenize(text)

    def encode_segments(self, segments: Sequence[Segment]) -> list[int]:
        return self._model.vocabulary.encode(segments)

    def bos_id(self) -> int:
        return self._model.vocabulary.bos

    def eos_id(self) -> int:
        return self._model.vocabulary.eos

    def answer(self, prompt: list[int]) -> str:
        """The likeliest answer to these token ids, without white space around it."""
        vocabulary = self._model.vocabulary
        taken: list[bytes] = []

        def take(token: int) -> bool:
            taken.append(vocabulary.piece(token))
            return True

        with Sampler.build(Sampling(temperature=0.0), 0, vocabulary) as sampler:
            self._session.sync(prompt)
            generate(self._session, sampler, vocabulary, _LONGEST_ANSWER, take)
        return b"".join(taken).decode("utf-8", "replace").strip()


def judge_framing(bare: Bare, framing: Framing, asked: list[Dialog]) -> Score:
    """Last answers only, after the right ones; `framing` may have a fault."""
    answers = [(bare.answer(framing.prompt(dialog, bare)), dialog.exchanges[-1][1]) for dialog in asked]
    n_right = sum(answer == wanted for answer, wanted in answers)
    return Score(len(answers), n_right, len(answers), n_right)


def main() -> None:
    parser = argparse.ArgumentParser(description="Judge the test model.")
    parser.add_argument("--model", type=Path, default=MODEL)
    parser.add_argument("--seed", type=int, default=DEVELOPMENT_SEED)
    parser.add_argument("--dialogs", type=int, default=N_DIALOGS)
    arguments = parser.parse_args()
    os.environ.setdefault("LLAMACHAT_THREADS", "1")
    asked = fresh(arguments.seed, arguments.dialogs)
    with tempfile.TemporaryDirectory() as folder:
        options = LoadOptions(path=str(arguments.model), n_threads=1)
        engine = EngineProcess(options, log=Path(folder, "log"), ladder=Ladder(Path(folder, "ladder")))
        with closing(engine):
            score = judge(engine, asked)
    print(*score.wrong, sep="\n")
    print(f"{score.answers:7.1%} of {score.n_answers} answers, {score.dialogs:.1%} of {score.n_dialogs} dialogs")
    with Bare.load(arguments.model) as bare:
        print(f"{judge_framing(bare, Framing(), asked).answers:7.1%} of last answers")
        for name, fault in FAULTS.items():
            score = judge_framing(bare, fault.framing, [dialog for dialog in asked if fault.shows_in(dialog)])
            print(f"{score.answers:7.1%} of {score.n_answers} with {name}")


if __name__ == "__main__":
    main()
