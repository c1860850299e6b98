"""Bytes to text to answer: however the input is cut, the same comes out."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from llamachat.engine.text import AnswerText, StopFilter, Utf8Decoder

ANY_TEXT = st.text(alphabet=st.characters(codec="utf-8"), max_size=60)


def cut(data, points):
    """`data` in pieces, cut at the given places."""
    edges = sorted({0, len(data), *(point % (len(data) + 1) for point in points)})
    return [data[start:end] for start, end in pairwise(edges)]


@given(ANY_TEXT, st.lists(st.integers(0, 1000)))
def test_text_survives_any_cut_of_its_bytes(text, points):
    decoder = Utf8Decoder()
    assert "".join(decoder.feed(piece) for piece in cut(text.encode(), points)) + decoder.flush() == text


def test_half_a_character_at_the_end_is_not_said():
    decoder = Utf8Decoder()
    assert decoder.feed("é".encode()[:1]) == ""
    assert not decoder.is_complete
    assert decoder.flush() == ""


def test_bytes_that_are_no_utf8_become_replacement_characters():
    assert Utf8Decoder().feed(b"a\xffb") == "a\N{REPLACEMENT CHARACTER}b"


def until_stop(text, stops):
    """What comes before the stop string that is complete first."""
    ends = [(text.find(stop) + len(stop), text.find(stop)) for stop in stops if stop in text]
    return text[: min(ends)[1]] if ends else text


@given(
    st.text(alphabet="abc\n", max_size=40),
    st.lists(st.text(alphabet="abc\n", min_size=1, max_size=4), max_size=3),
    st.lists(st.integers(0, 1000)),
)
def test_a_stop_string_never_leaks_however_the_text_is_cut(text, stops, points):
    stop_filter = StopFilter(stops)
    came = "".join(stop_filter.feed(piece) for piece in cut(text, points))
    came += "" if stop_filter.stopped else stop_filter.flush()
    assert came == until_stop(text, stops)
    assert stop_filter.stopped == any(stop in text for stop in stops)


def test_what_could_begin_a_stop_string_is_held_back_and_then_given():
    stop_filter = StopFilter(["\nUser:"])
    assert stop_filter.feed("Hello\nUs") == "Hello"
    assert stop_filter.feed("e it") == "\nUse it"


def test_an_empty_stop_string_stops_nothing():
    assert StopFilter([""]).feed("text") == "text"


def test_the_tokenizers_own_leading_space_is_dropped_once():
    answer = AnswerText((), drops_space=True)
    assert answer.feed(1, b"  Hello") + answer.feed(2, b" you") == " Hello you"


def test_an_empty_first_piece_does_not_use_up_the_leading_space():
    answer = AnswerText((), drops_space=True)
    assert answer.feed(1, b"") + answer.feed(2, b" Hi") == "Hi"


def test_ids_of_half_a_character_are_left_out_so_that_ids_and_text_agree():
    answer = AnswerText((), drops_space=False)
    first, second = "é".encode()[:1], "é".encode()[1:]
    text = (
        answer.feed(1, b"a") + answer.feed(2, first) + answer.feed(3, second) + answer.feed(4, first) + answer.flush()
    )
    assert (text, answer.ids, answer.n_tokens) == ("aé", (1, 2, 3), 4)


def test_an_answer_cut_by_a_stop_string_has_no_ids():
    answer = AnswerText(("END",), drops_space=False)
    assert answer.feed(1, b"say E") + answer.feed(2, b"ND more") == "say "
    assert answer.stopped
    assert answer.ids is None
    assert answer.flush() == ""


def test_held_back_text_comes_out_at_the_end_with_its_ids():
    answer = AnswerText(("END",), drops_space=False)
    assert answer.feed(1, b"the EN") + answer.flush() == "the EN"
    assert answer.ids == (1,)
