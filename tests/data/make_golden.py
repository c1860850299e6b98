"""Makes golden_llama2.json: the token ids that Meta's reference gives these dialogs with Llama 2's own vocabulary.

That vocabulary is Meta's and not part of this project; the ids are facts about it. Each case also has the texts
that the reference hands to the tokenizer, so that they can be compared without it.

usage, in the repository's root:  python tests/data/make_golden.py ../shared/tools/llama2_reference.py
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import sentencepiece

OUT = Path(__file__).resolve().parent / "golden_llama2.json"
BRIEF = "Always answer briefly."
CASES = {
    "one word": ("Hello",),
    "a question": ("Why is the sky blue?",),
    "an exchange": ("What is the capital of France?", "Paris.", "And of Italy?"),
    "three exchanges": ("a", "b", "c", "d", "e", "f", "g"),
    "a system prompt": (BRIEF, "Who are you?"),
    "a system prompt and an exchange": (BRIEF, "Who are you?", "A program.", "Since when?"),
    "an empty system prompt": ("", "Hello"),
    "a blank system prompt": (" \n", "Hello"),
    "white space around a system prompt": ("  Be kind.\n\n", "Hello"),
    "a question with white space around": ("\n  Hello  \t\n",),
    "a question with white space around, after a system prompt": (BRIEF, "  Hello \n"),
    "a blank question": (" \n ",),
    "a blank question after a system prompt": (BRIEF, " \n "),
    "an empty question": ("",),
    "an empty answer": ("Say nothing.", "", "Thank you."),
    "a blank answer": ("Say nothing.", " \n", "Thank you."),
    "an answer with white space around": ("Hi", "\n\n Hello!  \n", "Bye"),
    "spaces inside": ("a  b   c    d          e",),
    "newlines inside": ("one\ntwo\n\nthree\r\nfour\rfive",),
    "tabs and code": ("def f(x):\n\treturn x + 1\n\n    # four\n        # eight",),
    "unicode white space at the ends": ("\u00a0\u2003Hello\u3000\x85", "\ufeffHi\u200b", "\x1cBye\x1f"),
    "control characters": ("a\0b\x07c\x1bd",),
    "a typed end of sequence": ("What does </s> mean? And <s>, and <unk>?", "They are <s>tokens</s>.", "</s>"),
    "typed byte tokens": ("<0x0A><0x00> 0x0A",),
    "lower one eighth blocks": ("▁ ▁▁ a▁b ▁c", "▁", "▁▁"),
    "emoji": ("🙂 👩‍👩‍👧 🇫🇷 ☀️", "👍🏽", "🫠"),
    "combining marks": ("e\u0301 é n\u0303 ñ Å",),
    "other scripts": ("Καλημέρα κόσμε. Добрый вечер.", "你好，世界。こんにちは。", "שלום مرحبا नमस्ते"),
    "numbers": ("3.14159 1,234,567 0x1F 2024-02-29 +44 20 7946 0958",),
    "punctuation": ("«¿?» “quoted” ‘so’ — … [x] {y} (z) | \\ / ~ ` ^ @ # $ % & *",),
    "JSON": ('{"a": [1, 2.5, null, true], "b": {"c": "d\\n"}}',),
    "the tags as text": ("[INST] a [/INST] <<SYS>> b <</SYS>>", "[/INST]", "[INST]"),
    "almost tags": ("[ INST ] [inst] <<SYS> <</SYS>", "[/INST", "INST]"),
    "private and last characters": ("\ue000 \uffff \ufdd0 \U0010ffff",),
}
WITH_SYSTEM = {about for about in CASES if "system prompt" in about}


class Recorder:
    """The tokenizer, remembering what it was given."""

    def __init__(self, tokenizer: sentencepiece.SentencePieceProcessor) -> None:
        self.texts: list[str] = []
        self.bos_id = tokenizer.bos_id
        self.eos_id = tokenizer.eos_id
        self._encode = tokenizer.encode

    def encode(self, text: str) -> list[int]:
        self.texts.append(text)
        return self._encode(text)


def load_reference(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("llama2_reference", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def dialog(about: str) -> list[tuple[str, str]]:
    roles = ["user", "assistant"] * len(CASES[about])
    if about in WITH_SYSTEM:
        roles.insert(0, "system")
    return list(zip(roles, CASES[about], strict=False))


def case(about: str, reference: ModuleType, tokenizer: sentencepiece.SentencePieceProcessor) -> dict[str, object]:
    recorder = Recorder(tokenizer)
    turns = dialog(about)
    ids = reference.encode_dialog([{"role": role, "content": content} for role, content in turns], recorder)
    return {"about": about, "dialog": turns, "texts": recorder.texts, "ids": ids}


def main() -> None:
    reference = load_reference(Path(sys.argv[1]))
    tokenizer = sentencepiece.SentencePieceProcessor(model_file=str(reference.TOKENIZER))
    head = {
        "command": "python tests/data/make_golden.py ../shared/tools/llama2_reference.py",
        "sentencepiece": sentencepiece.__version__,
        "tokenizer_sha256": hashlib.sha256(reference.TOKENIZER.read_bytes()).hexdigest(),
    }
    lines = [json.dumps(case(about, reference, tokenizer)) for about in CASES]
    body = ",\n".join(f"  {line}" for line in lines)
    OUT.write_text(json.dumps(head, indent=1)[:-2] + f',\n "cases": [\n{body}\n ]\n}}\n', encoding="utf-8")


if __name__ == "__main__":
    main()
