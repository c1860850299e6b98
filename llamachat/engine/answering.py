"""One Reply under way: its prompt evaluated, its answers said, alone or together, and what they have cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress

from llamachat.engine.protocol import Done, Frame, PrefillProgress, Reply, TextDelta
from llamachat.engine.ready import Ready
from llamachat.engine.text import AnswerText
from llamachat.engine.turns import Turn
from llamachat.llama.candidates import generate_together
from llamachat.llama.generate import generate, one_by_one
from llamachat.llama.sampling import Sampler
from llamachat.llama.session import Aborted
from llamachat.llama.speculative import Drafting
from llamachat.types import AnswerTokens, FinishReason, Timings, Usage

_FLUSH_SECONDS = 0.02  # text goes out this often at most: each frame wakes the terminal, which takes a core away

Send = Callable[[Frame], None]


def reply(frame: Reply, ready: Ready, send: Send, turn: Turn) -> None:
    """Send all answers of a Reply: one for each seed, in one batch where the model's memory allows that.

    An abort ends those that go on, with what they have said. What they take does not count the turns of others.
    """
    started = turn.clock()
    _, tokens = ready.prompt(frame.messages, open_answer=frame.open_answer, raw_tags=frame.raw_tags)
    answers = [_Answer(frame, index, ready, send, turn, len(tokens), started) for index in range(len(frame.seeds))]
    at_a_time = max(1, ready.session.most_branches)
    with suppress(Aborted):
        for first in range(0, len(answers), at_a_time):
            _answer(frame, ready, send, turn, tokens, answers[first : first + at_a_time])
    for answer in answers:
        if not answer.has_ended:
            answer.end(FinishReason.INTERRUPTED)
    if ready.snapshots and frame.owner is not None and answers[0].has_begun:
        ready.snapshots.sent(frame.owner)


def _answer(
    frame: Reply, ready: Ready, send: Send, turn: Turn, tokens: Sequence[int], answers: Sequence[_Answer]
) -> None:
    """Evaluate the prompt, and generate these answers. Raises Aborted."""

    def report(done: int, total: int) -> None:
        turn.share()
        send(PrefillProgress(frame.id, done, total))

    session, vocabulary = ready.session, ready.model.vocabulary
    n_reused = ready.evaluate(tokens, exact=frame.exact, shift=frame.shift, on_progress=report, clock=turn.clock)
    with ExitStack() as stack:
        samplers = []
        for answer in answers:
            answer.begin(n_reused)
            samplers.append(stack.enter_context(Sampler.build(frame.sampling, answer.seed, vocabulary)))
            samplers[-1].see(tokens)
        if len(answers) == 1:
            drafting = answers[0].drafting = _drafting(frame, ready)
            steps = drafting.steps if drafting else one_by_one
            answers[0].end(generate(session, samplers[0], vocabulary, frame.max_tokens, answers[0].take, steps))
            return
        generate_together(
            session,
            samplers,
            vocabulary,
            frame.max_tokens,
            lambda index, token: answers[index].take(token),
            lambda index, reason: answers[index].end(reason),
        )


def _drafting(frame: Reply, ready: Ready) -> Drafting | None:
    """What guesses the tokens of an answer that is alone; not with a seed, whose promise hangs on batches' sizes."""
    may_guess = frame.speculate and not frame.exact and len(frame.seeds) == 1
    return ready.speculation.begin() if may_guess and ready.speculation else None


class _Answer:
    """One answer: its text on the way out, and its end."""

    def __init__(
        self, frame: Reply, index: int, ready: Ready, send: Send, turn: Turn, n_prompt: int, started: float
    ) -> None:
        self.seed = frame.seeds[index]
        self.has_ended = False
        self.drafting: Drafting | None = None
        self._id, self._index = frame.id, index
        self._ready = ready
        self._send = send
        self._turn = turn
        self._n_prompt = n_prompt
        self._started = started
        self._n_reused = 0
        self._prefilled: float | None = None
        self._first_token: float | None = None
        self._unsent, self._sent = "", 0.0
        drops_space = ready.model.vocabulary.is_sentencepiece and not frame.open_answer
        self._text = AnswerText((*frame.stops, *ready.format.stops), drops_space=drops_space)

    @property
    def has_begun(self) -> bool:
        """Whether its prompt has been evaluated."""
        return self._prefilled is not None

    def begin(self, n_reused: int) -> None:
        """The prompt has been evaluated, but for so many tokens that were in the cache."""
        self._n_reused = n_reused
        self._prefilled = self._turn.clock()

    def take(self, token: int) -> bool:
        """One more token; False when a stop string ends the answer."""
        self._unsent += self._text.feed(token, self._ready.model.vocabulary.piece(token))
        now = self._turn.clock()
        self._first_token = self._first_token or now
        if now - self._sent >= _FLUSH_SECONDS:
            self._flush()
            self._turn.share()
        return not self._text.stopped

    def end(self, reason: FinishReason) -> None:
        """Send the rest of the text, and the frame that closes the answer."""
        self.has_ended = True
        ended = self._turn.clock()
        self._unsent += self._text.flush()
        self._flush()
        ids = self._text.ids
        prefilled = self._prefilled or ended
        self._send(
            Done(
                self._id,
                reason,
                None if ids is None else AnswerTokens(self._ready.vocabulary_print, ids),
                Usage(self._n_prompt, self._n_reused, self._text.n_tokens),
                Timings(
                    prefill=prefilled - self._started,
                    first_token=self._first_token and self._first_token - self._started,
                    decode=ended - prefilled,
                ),
                self._ready.context(self._n_prompt + self._text.n_tokens),
                self._index,
                self.drafting.drafted if self.drafting else None,
            )
        )

    def _flush(self) -> None:
        if self._unsent:
            self._send(TextDelta(self._id, self._unsent, self._index))
            self._unsent, self._sent = "", self._turn.clock()
