"""A program that is nothing but the prompt and its keyboard, for tests on a terminal: `python typist.py HISTORY`.

Each message is printed as `got N lines, M characters: TEXT`. `answer` stands for an answer: it takes until Ctrl-C, or
until the file that it names is there.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from llamachat.environment import Environment
from llamachat.ui.completion import ChatCompleter
from llamachat.ui.external_editor import edit_text
from llamachat.ui.history import History
from llamachat.ui.keyboard import Keyboard, open_keyboard
from llamachat.ui.prompt import Prompt


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def answer(until: Path) -> None:
    say("an answer begins")
    try:
        while not until.exists():
            time.sleep(0.01)
    except KeyboardInterrupt:
        say("interrupted")
    say("the answer ends")


def chat(prompt: Prompt, keyboard: Keyboard) -> None:
    while True:
        try:
            text = prompt.read().text
        except KeyboardInterrupt:
            say("ctrl-c")
            continue
        if text.startswith("answer "):
            answer(Path(text.removeprefix("answer ")))
        elif text == "ask":
            say(f"chose {prompt.choose('Sure? [y/N]', 'ny')}")
        elif text == "background":
            say(f"it is {keyboard.background}")
        elif text == "fault":
            raise ValueError("a fault")
        else:
            shown = text if len(text) < 60 else f"{text[:20]}…{text[-20:]}"
            lines = text.count("\n") + 1
            say(f"got {lines} lines, {len(text)} characters: {shown!r}")


def main() -> None:
    environment = Environment.of_process()
    time.sleep(float(environment.variables.get("LATE", "0")))
    with open_keyboard(environment) as keyboard:

        def edit(text: str) -> str:
            with keyboard.lent():
                return edit_text(text, environment)

        prompt = Prompt(
            keyboard,
            History(Path(sys.argv[1])),
            edit=edit,
            say=say,
            toolbar=lambda: [("", f"toolbar {prompt.hint}")],
            completer=ChatCompleter(lambda: [("help", "this page")], lambda _name, _rest: ()),
            plain=environment.wants_plain,
        )
        keyboard.on_background = prompt.redraw
        try:
            chat(prompt, keyboard)
        except EOFError:
            say("bye")


main()
