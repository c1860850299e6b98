"""Llama 2's format as something that can be got wrong on purpose.

`Framing()` is Meta's own (tests/formats/meta.py says the same in another way, and a test compares the two);
each of FAULTS is one mistake that real programs make. The test model was taught the difference.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from tests.formats.meta import Tokenizer
from tests.model.dialogs import Dialog

CONFUSED = "I do not understand."  # the answer to a dialog with a fault


@dataclass(frozen=True, slots=True)
class Framing:
    """What stands around contents. `n_bos` counts the tokens before the first exchange, `n_next_bos` before others."""

    n_bos: int = 1
    n_next_bos: int = 1
    n_eos: int = 1
    opening: str = "[INST] "
    closing: str = " [/INST]"
    before_answer: str = " "
    after_answer: str = " "
    before_system: str = "<<SYS>>\n"
    after_system: str = "\n<</SYS>>\n\n"

    def blocks(self, dialog: Dialog, tokenizer: Tokenizer) -> Iterator[tuple[list[int], list[int]]]:
        """Token ids of each exchange: up to where its answer begins, and of the answer with its end."""
        system = "" if dialog.system is None else f"{self.before_system}{dialog.system}{self.after_system}"
        for index, (question, answer) in enumerate(dialog.exchanges):
            n_bos = self.n_next_bos if index else self.n_bos
            text = f"{self.opening}{system}{question}{self.closing}"
            prompt = tokenizer.encode(text)
            whole = tokenizer.encode(f"{text}{self.before_answer}{answer}{self.after_answer}")
            if whole[: len(prompt)] != prompt:
                raise ValueError(f"a piece reaches across {self.closing!r} in {text!r}")
            yield [tokenizer.bos_id()] * n_bos + prompt, whole[len(prompt) :] + [tokenizer.eos_id()] * self.n_eos
            system = ""

    def prompt(self, dialog: Dialog, tokenizer: Tokenizer) -> list[int]:
        """The token ids of a dialog up to where its last answer begins."""
        *finished, (question, _) = self.blocks(dialog, tokenizer)
        return [token for block in finished for ids in block for token in ids] + question


@dataclass(frozen=True, slots=True)
class Fault:
    """A framing with a mistake in it, which shows from the first exchange, from the second, or with a system prompt."""

    framing: Framing
    from_exchange: int = 1
    needs_system: bool = False

    def shows_in(self, dialog: Dialog) -> bool:
        """Whether the last answer of the dialog comes after the mistake."""
        return len(dialog.exchanges) >= self.from_exchange and (dialog.system is not None or not self.needs_system)


def _first(**wrong: str | int) -> Fault:
    return Fault(replace(Framing(), **wrong))


def _second(**wrong: str | int) -> Fault:
    return Fault(replace(Framing(), **wrong), from_exchange=2)


def _system(**wrong: str | int) -> Fault:
    return Fault(replace(Framing(), **wrong), needs_system=True)


FAULTS = {
    "no system markers": _system(before_system="", after_system="\n\n"),
    "one newline too few after the system prompt": _system(after_system="\n<</SYS>>\n"),
    "no newline after the system prompt": _system(after_system="\n<</SYS>> "),
    "no newline at the head of the system prompt": _system(before_system="<<SYS>> "),
    "no BOS": _first(n_bos=0, n_next_bos=0),
    "no BOS between turns": _second(n_next_bos=0),
    "no EOS between turns": _second(n_eos=0),
    "no BOS and no EOS between turns": _second(n_next_bos=0, n_eos=0),
    "a doubled BOS": _first(n_bos=2),
    "a doubled BOS between turns": _second(n_next_bos=2),
    "a doubled EOS": _second(n_eos=2),
    "no space before the question": _first(opening="[INST]"),
    "no space after the question": _first(closing="[/INST]"),
    "no space before the answer": _second(before_answer=""),
    "no space after the answer": _second(after_answer=""),
    "a second space before the question": _first(opening="[INST]  "),
    "a second space after the question": _first(closing="  [/INST]"),
    "no markers": _first(opening="", closing=""),
}


def faults_of(dialog: Dialog) -> Sequence[str]:
    """The faults that can show in this dialog."""
    return [name for name, fault in FAULTS.items() if fault.shows_in(dialog)]
