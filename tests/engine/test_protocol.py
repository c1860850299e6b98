"""Frames on a pipe: whole ones arrive as they were, anything else is an error."""

from __future__ import annotations

import io
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamachat.engine.base import Token
from llamachat.engine.pipe import VERSION, FrameError, FrameReader, pack
from llamachat.engine.protocol import (
    Cancel,
    Done,
    Down,
    Failed,
    Load,
    Measure,
    MeasureDone,
    Overflow,
    Prefill,
    Render,
    RenderDone,
    Reply,
    Stay,
    TagPlace,
    TextDelta,
    Tokenize,
    TokenizeDone,
    Up,
    Waiting,
)
from llamachat.types import (
    AnswerTokens,
    ContextUse,
    FinishReason,
    LoadOptions,
    Message,
    Role,
    Sampling,
    Timings,
    Usage,
)

TOKENS = AnswerTokens("v", (1, 2, 3))
MESSAGES = (Message(Role.SYSTEM, "s"), Message(Role.ASSISTANT, "é\0", generated=True, tokens=TOKENS))
DOWN = [
    Load(LoadOptions(path="m.gguf", n_ctx=512, sampling=Sampling(temperature=0.6))),
    Reply(1, MESSAGES, Sampling(logit_bias=((5, -1.0),)), (7, 8), True, None, ("a", "b"), True, False, True),
    Render(2, MESSAGES, False, True),
    Tokenize(3, "héllo", only_count=True),
    Prefill(3, MESSAGES, exact=False, shift=True),
    Measure(4, (MESSAGES, MESSAGES[:1])),
    Cancel(1),
    Stay(60.0, "/a/place"),
]
UP = [
    TextDelta(1, "héllo"),
    TextDelta(1, "of the second", 1),
    Done(1, FinishReason.LENGTH, TOKENS, Usage(1, 2, 3), Timings(first_token=None), ContextUse(10, 2), 1),
    RenderDone(1, "<s>h", (Token(1, "<s>", is_control=True), Token(5, "h")), ContextUse(10, 2)),
    MeasureDone(1, (3, 4)),
    Waiting(1, 0.2),
    TokenizeDone(1, 2, (Token(5, "h"), Token(195, "\N{REPLACEMENT CHARACTER}"))),
    Failed(1, 4, "too long", overflow=Overflow(10, 5)),
    Failed(1, 2, "a tag", tag=TagPlace("[INST]", 0, "user", 3)),
]


def reader(data: bytes, kind=Down, step: int = 1 << 20) -> FrameReader:
    stream = io.BytesIO(data)
    return FrameReader(lambda n: stream.read(min(n, step)), kind)


@pytest.mark.parametrize("frame", DOWN, ids=lambda frame: type(frame).__name__)
def test_a_frame_down_arrives_as_it_was_sent(frame):
    assert reader(pack(frame)).next() == frame


@pytest.mark.parametrize("frame", UP, ids=lambda frame: type(frame).__name__)
def test_a_frame_up_arrives_as_it_was_sent(frame):
    assert reader(pack(frame), Up).next() == frame


@given(st.integers(1, 7))
def test_frames_arrive_one_by_one_however_the_pipe_cuts_them(step):
    frames = reader(b"".join(map(pack, DOWN)), step=step)
    assert [frames.next() for _ in DOWN] == DOWN
    assert frames.next() is None


def test_the_end_of_the_pipe_between_frames_is_no_error():
    assert reader(b"").next() is None


@given(st.integers(1, len(pack(DOWN[1])) - 1))
def test_half_a_frame_is_an_error(length):
    with pytest.raises(FrameError):
        reader(pack(DOWN[1])[:length]).next()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"Segmentation fault", "expected a frame"),
        (struct.pack("<2sBBI", b"lc", VERSION + 1, 0, 0), f"version {VERSION + 1}"),
        (struct.pack("<2sBBI", b"lc", VERSION, 0, 2**32 - 1), "bytes"),
        (struct.pack("<2sBBI", b"lc", VERSION, 0, 1) + b"\xc1", "unreadable"),
        (pack(TextDelta(1, "up")), "unreadable"),
        (pack(Reply(1, MESSAGES, Sampling(), (), True, None, (), False, False, False)), "unreadable"),
    ],
    ids=["text", "version", "length", "body", "wrong direction", "no seed"],
)
def test_what_is_no_frame_of_this_direction_is_an_error_that_says_why(data, reason):
    with pytest.raises(FrameError, match=reason):
        reader(data).next()
