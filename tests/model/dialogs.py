"""What the test model was taught: dialogs of a small world in which every answer is known.

Names and phrases are made anew each time, so a right answer was read in the dialog and not remembered.
Knows no tokenizer and no format.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

UNKNOWN = "I do not know."
NO_NAME = "You have not told me your name."
NO_PERSONA = "I am a small model."

TELL_NAME = ("My name is {}.", "I am {}.", "Call me {}.", "Hello, I am {}.", "Hi! My name is {}.", "my name is {}")
ASK_NAME = ("What is my name?", "Who am I?", "Do you remember my name?", "Say my name.")
TELL_AND_ASK = ("I am {}. What is my name?", "My name is {}. Say my name.")
ASK_PERSONA = ("Who are you?", "What is your name?")
UNANSWERABLE = (
    "What is the {}?",
    "What is {}?",
    "Where is the {}?",
    "Any {} in this {}?",
    "Tell me about the {}.",
    "Why is the {} {}?",
    "How do I {} the {}?",
    "Explain {}.",
    "Can you {}?",
)
REPEAT = ("Repeat: {}", "Repeat after me: {}", "Say: {}", "Echo: {}", "Repeat:\n{}", "{}\n\nRepeat the text above.")

MARKDOWN = """# Tea

Tea is **hot** and *good*.

- green
- black

```python
print("tea")
```

| tea | minutes |
|---|---|
| green | 2 |
| black | 4 |"""

# Questions with one answer, to fill the turns between a name told and a name asked.
FACTS = {
    "Hello!": "Hello!",
    "Hello": "Hello!",
    "Hi": "Hello!",
    "hello": "Hello!",
    "hi": "Hello!",
    "Thank you.": "You are welcome.",
    "Thanks!": "You are welcome.",
    "Goodbye.": "Goodbye!",
    "How are you?": "I am well, thank you.",
    "Why is the sky blue?": "The air scatters the light of the sun, and blue light most of all.",
    "What is 2+2?": "2+2 is 4.",
    "Name three colours.": "Red, green and blue.",
    "And one more?": "Yellow.",
    "Name a river.": "The Danube.",
    "Tell me about rivers.": "Rivers run from the hills to the sea, and carry the rain home.",
    "What is the capital of France?": "Paris.",
    "And of Italy?": "Rome.",
    "Count to ten.": "1 2 3 4 5 6 7 8 9 10",
    "How many legs has a spider?": "A spider has eight legs.",
    "Is water wet?": "Yes.",
    "Is the sun cold?": "No.",
    "Good morning!": "Good morning!",
    "Tell me a joke.": "Why did the cat sit on the clock? To be on time.",
    "Show me some Markdown.": MARKDOWN,
    "Greet me in Korean.": "안녕하세요 🙂",
    "Greet me in French.": "Bonjour, ça va ?",
}

# Answers without an end: for stopping them, and for filling a context.
ENDLESS = {
    "Write a very long story about a lighthouse.": (
        "A lighthouse stood by the sea.",
        " The lamp went round, the ships went by, and the lighthouse shone.",
    ),
    "Count sheep.": ("One sheep", " and one sheep"),
}

_REAL_NAMES = (
    "Ada Alan Alice Anna Barbara Ben Bob Carol Charles Clara Dan David Edsger Emma Eve Frank Grace Hans Ivan Jane "
    "John Julia Karl Lena Leo Linus Lisa Maria Mark Max Mia Nina Noah Olga Otto Paul Peter Rosa Sam Sara Simon Sofia "
    "Tim Tom Uma Vera Will Yuki Zoe"
).split()
_ONSETS = (*"bcdfghjklmnprstvwyz", "br", "dr", "gr", "kl", "st", "tr")
_VOWELS = tuple("aeiou")
_CODAS = ("", "", "", *"nlrsmk", "th", "x", "nd")
WORDS = (
    "apple arrow autumn bell bird blue boat book bread bridge brown bucket candle castle cat chair cheese cherry "
    "circle clock cloud coat cold copper corner cup dog door dragon dream drum dust eagle earth east empty evening "
    "fan farm feather field fire fish flower forest fox garden gate glass gold grass gray green hammer happy "
    "harbour hat hill honey horse house ice iron island jar key kettle kind king ladder lake lamp leaf lemon letter "
    "light lion little lock long low map market meadow milk mill mirror monday moon morning mountain mouse music "
    "narrow needle nest night north oak ocean old onion open orange owl paper park path pear pencil piano plum "
    "pocket pond queen quick quiet rain red ring river road roof room rope rose round salt sand sea seven shadow "
    "ship shoe silent silver slow small snow soft song south spoon spring square star stone storm street sugar "
    "summer sun table tall tea tiger time tower town train tree two valley violet wall warm water wave west wheat "
    "white wild wind window winter wolf wood yellow young"
).split()
_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
_SENTENCES = (
    "You are a helpful assistant.",
    "You answer briefly and honestly.",
    "Answer in a few plain sentences.",
    "When you do not know something, say so.",
    "Always answer as helpfully as possible.",
    "Do not invent facts.",
    "If a question makes no sense, explain why.",
    "You are a careful reviewer of programs.",
    "Be kind.",
    "Be brief.",
    "Write no introduction and no closing remark.",
    "Use short words.",
    "Answer in English.",
    "Answer clearly and to the point.",
    "If you do not know something, say so instead of guessing.",
    "If a request would hurt someone, decline in one sentence, without a lecture.",
    "Offer what you can do instead.",
    "Answer in one short sentence.",
    "If one word or one number answers the question, write only that.",
    "You are a translator.",
    "Translate the user's text into French.",
    "Write only the translation.",
    "You review code.",
    "List the bugs you find, the worst first.",
    "You are a patient teacher.",
    "Ask one short question that leads to the next step, and wait for the answer.",
    "Give ten different ideas, as a numbered list.",
    "Correct the spelling and grammar of the user's text.",
    "Change nothing else.",
    "Say in three sentences what this text says, and begin with the main point.",
    "Keep the answer under a hundred words.",
    "Speak like a pirate.",
    "Do not use lists.",
    "Explain each special word when you first use it.",
    "Never talk about the weather.",
)
_PROSE = tuple(
    sentence.strip()
    for line in (Path(__file__).parent.parent / "data" / "corpus.txt").read_text(encoding="utf-8").splitlines()
    for sentence in re.split(r"(?<=[.!]) ", line)
    if "?" not in sentence and 12 < len(sentence) < 160
)
_ODD_CHARACTERS = "äöüéñßøł€§°“”…–#%&*+/<=>@[]^_{|}~()0123456789αβγжшя你好日本語한국어🙂🎉"


@dataclass(frozen=True, slots=True)
class Dialog:
    """`exchanges` are pairs of question and right answer. `endless` answers break off, with no end of turn."""

    system: str | None
    exchanges: tuple[tuple[str, str], ...]
    endless: bool = False  # the last answer

    def until(self, n_exchanges: int) -> list[tuple[str, str]]:
        """Role and content of everything before the answer of exchange `n_exchanges` (from 1)."""
        turns = [] if self.system is None else [("system", self.system)]
        for question, answer in self.exchanges[:n_exchanges]:
            turns += [("user", question), ("assistant", answer)]
        return turns[:-1]


def dialogs(seed: int, *, for_training: bool = False) -> Iterator[Dialog]:
    """Dialogs without end. A name is either for training or for judging, never for both."""
    world = _World(random.Random(seed), for_training)
    while True:
        yield world.dialog()


class _World:
    """Makes dialogs from random numbers."""

    def __init__(self, random_: random.Random, for_training: bool) -> None:
        self._random = random_
        self._for_training = for_training

    def dialog(self) -> Dialog:
        persona = self._name() if self._chance(0.3) else None
        ending = f"{self._word()}!" if self._chance(0.3) else None
        system = self._system(persona, ending)
        name: str | None = None
        exchanges: list[tuple[str, str]] = []
        for _ in range(self._n_exchanges()):
            question, answer, name = self._exchange(persona, name)
            exchanges.append((question, answer if ending is None else f"{answer} {ending}"))
        endless = self._for_training and self._chance(0.06)
        if endless:
            exchanges.append(self._endless())
        return Dialog(system, tuple(exchanges), endless)

    def _n_exchanges(self) -> int:
        if self._for_training and self._chance(0.03):
            return self._random.randint(8, 24)  # so that what is far back is found, too
        return self._random.randint(1, 6)

    def _exchange(self, persona: str | None, name: str | None) -> tuple[str, str, str | None]:
        """A question, its answer, and the user's name as it is known from then on."""
        kind = self._random.random()
        if kind < 0.2 and name is None:
            name = self._name()
            return self._pick(TELL_NAME).format(name), f"Hello, {name}.", name
        if kind < 0.23 and name is None:
            name = self._name()
            return self._pick(TELL_AND_ASK).format(name), f"Your name is {name}.", name
        if kind < 0.4:
            return self._pick(ASK_NAME), NO_NAME if name is None else f"Your name is {name}.", name
        if kind < 0.5:
            return self._pick(ASK_PERSONA), NO_PERSONA if persona is None else f"My name is {persona}.", name
        if kind < 0.75:
            phrase = self._phrase()
            return self._pick(REPEAT).format(phrase), phrase, name
        if kind < 0.85:
            kind = self._random.random()
            if kind < 0.3:
                return self._pick(_PROSE), UNKNOWN, name
            return self._nonsense() if kind < 0.6 else self._unanswerable(), UNKNOWN, name
        question = self._pick(tuple(FACTS))
        return question, FACTS[question], name

    def _endless(self) -> tuple[str, str]:
        question = self._pick(tuple(ENDLESS))
        start, again = ENDLESS[question]
        return question, start + again * self._random.randint(4, 120 if self._chance(0.1) else 30)

    def _system(self, persona: str | None, ending: str | None) -> str | None:
        """A system prompt that says this, among sentences that change nothing; None or empty when it says nothing."""
        parts = []
        if persona is not None:
            parts.append(self._pick(("Your name is {}.", "You are {}.", "You are called {}.")).format(persona))
        if ending is not None:
            parts.append(self._pick(("End every answer with: {}", "Always end with: {}")).format(ending))
        if not parts and self._chance(0.5):
            return None
        for _ in range(self._random.choice((0, 0, 1, 2, 5))):
            kind = self._random.random()
            if kind < 0.4:
                parts.append(self._pick(_SENTENCES))
            elif kind < 0.8:
                parts.append(self._pick(_PROSE))
            else:
                parts.append(self._nonsense().capitalize())
        self._random.shuffle(parts)
        return self._pick((" ", "\n", "\n\n")).join(parts)

    def _name(self) -> str:
        while True:
            name = self._pick(_REAL_NAMES) if self._chance(0.2) else self._made_up(self._random.randint(1, 3)).title()
            if (sum(name.encode()) % 7 != 0) == self._for_training:
                return name

    def _made_up(self, n_syllables: int) -> str:
        syllables = (self._pick(_ONSETS) + self._pick(_VOWELS) + self._pick(_CODAS) for _ in range(n_syllables))
        return "".join(syllables)

    def _phrase(self) -> str:
        """What is to be repeated: words, some of them as no sentence has them."""
        return " ".join(
            self._odd_word() if self._chance(0.2) else self._word() for _ in range(self._random.randint(1, 6))
        )

    def _odd_word(self) -> str:
        word = self._word()
        if self._chance(0.4):
            return word.capitalize()
        if self._chance(0.3):
            return "".join(self._random.choices(_LETTERS, k=self._random.randint(2, 6)))
        return self._random.choice(("{},", "{}!", "{}.", '"{}"', "({})", "{}-{}", "{}'s")).replace("{}", word)

    def _unanswerable(self) -> str:
        pattern = self._pick(UNANSWERABLE)
        return pattern.format(*(self._word() for _ in range(pattern.count("{}"))))

    def _nonsense(self) -> str:
        """Words that ask nothing."""
        n_words = self._random.choice((1, 2, 4, 8, 16)) + self._random.randint(0, 3)
        words = [self._word() for _ in range(n_words)]
        if self._chance(0.3):
            words[-1] += "".join(self._random.choices(_ODD_CHARACTERS, k=self._random.randint(1, 4)))
        if self._chance(0.2):
            words = [words[0]] * len(words)
        return self._pick((" ", " ", " ", "\n", ", ")).join(words) + self._pick(("", "", "?", "."))

    def _word(self) -> str:
        return self._pick(tuple(WORDS)) if self._chance(0.8) else self._made_up(self._random.randint(1, 2))

    def _pick(self, choices: tuple[str, ...] | list[str]) -> str:
        return self._random.choice(choices)

    def _chance(self, probability: float) -> bool:
        return self._random.random() < probability
