"""An engine in this process that answers by script, for what needs no process of its own."""

from __future__ import annotations

from collections.abc import Iterator

from llamachat.engine.base import Delta, Event, Finished, Loading, Rendered, Request, Token
from llamachat.types import AnswerTokens, ContextUse, FinishReason, ModelInfo, Sampling, Timings, Usage

INFO = ModelInfo(
    name="scripted",
    path="scripted.gguf",
    format="plain",
    architecture="llama",
    quantisation="F16",
    n_params=1,
    size_bytes=1,
    n_ctx=512,
    n_ctx_train=512,
    n_threads=1,
    n_gpu_layers=0,
    flash_attention=False,
    vocabulary="scripted",
    build="scripted",
    devices=("CPU",),
    sampling=Sampling(),
)

Step = str | Exception | FinishReason


class ScriptedEngine:
    """`ScriptedEngine(["Hello, ", "you."], ...)`: each answer is a list of steps.

    A text is a delta, an exception is raised, a reason ends the answer. A token is a word. A request for several
    answers takes as many lists.
    """

    def __init__(self, *answers: list[Step]) -> None:
        self.on_change = None
        self.name, self.path = "scripted", None
        self.info: ModelInfo | None = INFO
        self.failure = None
        self.is_resting = False
        self.loading = Loading(0, 0)
        self.requests: list[Request] = []
        self.prefilled: list[Request] = []
        self.closed = False
        self._answers = list(answers)

    def start(self) -> None:
        pass

    def wait_until_loaded(self):
        return iter(())

    def reply(self, request: Request) -> Iterator[Event]:
        """Of several answers each takes a step in turn; an exception is the end of all."""
        self.requests.append(request)
        answers = [_Answer(index, self._answers.pop(0)) for index in range(request.n)]
        n_prompt = sum(self.count(message.content) for message in request.messages)
        while answers:
            for answer in list(answers):
                if (delta := answer.step()) is not None:
                    yield delta
                    continue
                answers.remove(answer)
                n_said = self.count(answer.said)
                tokens = AnswerTokens("scripted", tuple(range(n_said)))
                usage, timings = Usage(n_prompt, 0, n_said), Timings(prefill=0.5, decode=0.5)
                context = ContextUse(512, n_prompt + n_said)
                yield Finished(answer.reason, 7 + answer.index, tokens, usage, timings, context, answer.index)

    def render(self, request: Request) -> Rendered:
        text = "".join(f"<{message.role}>{message.content}" for message in request.messages)
        pieces = tuple(
            piece
            for message in request.messages
            for piece in (Token(1, f"<{message.role}>", is_control=True), *self.tokens(message.content))
        )
        return Rendered(text, pieces, ContextUse(512, len(pieces)))

    def measure(self, prompts) -> tuple[int, ...]:
        return tuple(sum(1 + self.count(message.content) for message in prompt) for prompt in prompts)

    def tokens(self, text: str) -> tuple[Token, ...]:
        return tuple(Token(len(word), word) for word in text.split())

    def count(self, text: str) -> int:
        return len(text.split())

    def prefill(self, request: Request) -> None:
        self.prefilled.append(request)

    def interrupt(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True


class _Answer:
    """One answer under way."""

    def __init__(self, index: int, steps: list[Step]) -> None:
        self.index = index
        self.said = ""
        self.reason = FinishReason.STOP
        self._steps = iter(steps)

    def step(self) -> Delta | None:
        """The next piece; None at the end."""
        for step in self._steps:
            if isinstance(step, FinishReason):
                self.reason = step
            elif isinstance(step, str):
                self.said += step
                return Delta(step, self.index)
            else:
                raise step
        return None
