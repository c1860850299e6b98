"""What is found by what."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamachat.errors import UsageError
from llamachat.store.index import Index
from llamachat.store.sessions import Store
from llamachat.store.words import expression, index_text, phrases, words_of
from tests.store.conftest import talk


def found(store: Store, search: str) -> list[str]:
    """What was found, with [brackets] around what matches."""
    return [
        "".join(f"[{text}]" if matches else text for text, matches in hit.snippet.pieces())
        for hit in store.search(search)
    ]


@pytest.mark.parametrize(
    ("text", "search", "shown"),
    [
        ("The quick brown fox", "QUICK", "The [quick] brown fox"),
        ("The quick brown fox", "fox quick", "The [quick] brown [fox]"),
        ("The quick brown fox", "bro*", "The quick [brown] fox"),
        ("The quick brown fox", '"quick brown"', "The [quick brown] fox"),
        ("The quick brown fox", '"quick bro"*', "The [quick brown] fox"),
        ("The quick brown fox", '"brown fox', "The quick [brown fox]"),
        ("Eine Größe, cafe\u0301", "grosse CAFÉ", "Eine [Größe], [cafe\u0301]"),
        ("라마를 좋아해요", "라마", "[라마]를 좋아해요"),
        ("나는 라마를", "마를", "나는 라[마를]"),
        ("나는 라마를", "를", "나는 라마[를]"),
        ("나는 라마를", "나", "[나는] 라마를"),
        ("GPU를 씁니다", "gpu를", "[GPU를] 씁니다"),
        ("GPU를 씁니다", "씁니다", "GPU를 [씁니다]"),
        (unicodedata.normalize("NFD", "라마를"), "라마", f"[{unicodedata.normalize('NFD', '라마를')}]"),
        ("東京タワーへ行く", "タワー", "東京[タワー]へ行く"),
        ("私は東京へ", "京", "私は東[京へ]"),
        ("ภาษาไทย", "ไทย", "ภาษา[ไทย]"),
        ("नमस्ते दुनिया", "दुनिया", "नमस्ते [दुनिया]"),
        ("Привет, мир", "МИР", "Привет, [мир]"),
        ("set foo_bar = 1", "foo_bar", "set [foo_bar] = 1"),
        ("set foo_bar = 1", "bar", "set foo_[bar] = 1"),
        ("std::vector<int> v", "std::vector", "[std::vector]<int> v"),
        ("x = a.b(c)", "a.b()", "x = [a.b](c)"),
        ("Python 3.11.7", "3.11", "Python [3.11].7"),
        ("é\nsecond\tline", "line", "é second [line]"),
    ],
)
def test_it_is_found_and_shown(store, text, search, shown):
    talk(store, text, "something else 코끼리 elephant")
    assert found(store, search) == [shown]


@pytest.mark.parametrize(
    ("text", "search"),
    [
        ("foo and bar", '"foo bar"'),
        ("foo", "foo bar"),
        ("foobar", "bar"),
        ("foobar", "foo"),
        ("마라", "라마"),
        ("라 마", "라마"),
        ("나마 라를", "라마를"),
        ("vector std", "std::vector"),
    ],
)
def test_it_is_not_found(store, text, search):
    talk(store, text)
    assert found(store, search) == []


def test_a_long_text_is_cut_around_the_match(store):
    talk(store, f"{'before ' * 500}needle{' after' * 500}")
    (shown,) = found(store, "needle")
    assert shown.startswith("…before")
    assert "[needle] after" in shown
    assert shown.endswith("after…")
    assert len(shown) < 110


def test_what_says_it_more_and_shorter_comes_first(store):
    talk(store, "llama " + "and other animals " * 20, "llama llama llama")
    assert [hit.snippet.text[:11] for hit in store.search("llama")] == ["llama llama", "llama and o"]
    assert len(store.search("llama", 1)) == 1


def test_a_hit_says_where_it_is(store):
    session = talk(store, "one?", "here")
    (hit,) = store.search("here")
    assert (hit.session, hit.title, hit.role) == (session, "one?", "assistant")
    assert hit.turn == store.load(session).session.leaf


@pytest.mark.parametrize("search", ["", "  ", '"', "**", "()!", "\u0301"])
def test_a_search_without_a_word_is_a_mistake(store, search):
    with pytest.raises(UsageError, match="no word"):
        store.search(search)


@given(search=st.text(st.sampled_from("ab\"*^:-+()OR NEAR라é\0\n'{}")))
def test_nothing_that_is_typed_is_an_error_of_the_search(search):
    with Store(None) as store:
        talk(store, "a b OR NEAR 라 é")
        if phrases(search):
            store.search(search)


@given(text=st.text(), cut=st.data())
def test_every_part_of_a_word_run_is_found_in_its_text(text, cut):
    words = list(words_of(text))
    assert all(0 <= word.start < word.end <= len(text) and word.text for word in words)
    if words:
        first = cut.draw(st.integers(0, len(words) - 1))
        last = cut.draw(st.integers(first, len(words) - 1))
        part = text[words[first].start : words[last].end]
        with Store(None) as store:
            talk(store, text)
            if (wanted := phrases(f'"{part}"')) and '"' not in part:
                assert len(wanted) == 1
                assert len(store.search(f'"{part}"')) == 1


def test_ascii_goes_into_the_index_as_it_is():
    assert index_text("Foo_Bar(1)") == "Foo_Bar(1)"
    assert expression(phrases("Foo_Bar(1) x*")) == '"foo bar 1" AND "x"*'


def test_without_fts5_all_is_kept_and_search_says_why_until_there_is_one(path):
    with Store(path, index=Index(is_usable=False)) as store:
        session = talk(store, "one?", "here")
        gone = talk(store, "there")
        with pytest.raises(UsageError, match="FTS5"):
            store.search("here")
        store.remove([gone])
    with Store(path) as store:
        assert [hit.session for hit in store.search("here")] == [session]
        assert store.search("there") == []
