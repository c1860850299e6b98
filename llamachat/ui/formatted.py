"""An answer as a terminal shows it: Markdown formatted, and thoughts folded."""

from __future__ import annotations

from collections.abc import Callable

from llamachat.environment import Environment
from llamachat.ui.answer import Harmless, Rendering
from llamachat.ui.markdown import Markdown
from llamachat.ui.status import Status
from llamachat.ui.theme import Look, Theme
from llamachat.ui.thoughts import Piece, Thoughts


def make_rendering(
    environment: Environment, theme: Theme, status: Status, *, raw: bool, hint: str, opens_thought: Callable[[], bool]
) -> Rendering:
    """How an answer is shown on this terminal. `hint` says where thoughts can be read; `opens_thought` is asked at the
    first word whether that is a thought's.
    """
    if raw:
        return Harmless()
    return Formatted(
        theme,
        lambda: environment.columns,
        on_thought=lambda n_words: status.show(f"thinking… {n_words:,} words"),
        hint=hint,
        opens_thought=opens_thought,
    )


class Formatted:
    """Markdown as a terminal shows it; what the model thought before it answered is folded into a line.

    `on_thought` is told how many words it has thought so far; `hint` says where they can be read. `opens_thought` is
    asked at the first word.
    """

    def __init__(
        self,
        theme: Theme,
        width: Callable[[], int],
        *,
        on_thought: Callable[[int], None],
        hint: str,
        opens_thought: Callable[[], bool] = lambda: False,
    ) -> None:
        self._theme = theme
        self._markdown = Markdown(theme, width)
        self._thoughts: Thoughts | None = None
        self._opens_thought = opens_thought
        self._on_thought = on_thought
        self._hint = hint
        self._thinks = False
        self._n_words = 0
        self._is_inside_word = False

    def feed(self, text: str) -> str:
        if not text:
            return ""
        self._thoughts = self._thoughts or Thoughts(is_open=self._opens_thought())
        return "".join(self._show(piece) for piece in self._thoughts.feed(text))

    def flush(self) -> str:
        rest = "".join(self._show(piece) for piece in self._thoughts.flush()) if self._thoughts else ""
        return rest + self._fold() + self._markdown.flush()

    def _show(self, piece: Piece) -> str:
        if not piece.is_thought:
            return self._fold() + self._markdown.feed(piece.text)
        self._thinks = True
        self._count(piece.text)
        self._on_thought(self._n_words)
        return ""

    def _count(self, text: str) -> None:
        """Count words whatever the pieces."""
        self._n_words += len(text.split()) - (self._is_inside_word and not text[:1].isspace() and bool(text))
        self._is_inside_word = bool(text) and not text[-1].isspace()

    def _fold(self) -> str:
        """The line that stands for the thoughts, once they have ended."""
        if not self._thinks:
            return ""
        self._thinks = False
        return self._theme.paint(f"[{self._n_words:,} words of thought; {self._hint}]", Look.THOUGHT) + "\n\n"
