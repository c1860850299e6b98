"""Conversations from files: ours, OpenAI's, ChatGPT's, and mistakes in them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamachat.chat.conversation import State, Turn
from llamachat.chat.export import as_json
from llamachat.chat.imports import read
from llamachat.chat.transcript import Entry, Session, Transcript
from llamachat.errors import UsageError
from llamachat.types import Message, Role

NOW = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture
def take(tmp_path):
    """The conversations in a file with this in it."""

    def call(content: object) -> list[Transcript]:
        path = tmp_path / "chats.json"
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
        return read(path, NOW)

    return call


def said(transcript: Transcript) -> list[tuple[str, str]]:
    return [(str(each.turn.message.role), each.turn.message.content) for each in transcript.branch]


@st.composite
def transcripts(draw) -> Transcript:
    entries: list[Entry] = []
    for number in range(1, draw(st.integers(1, 8)) + 1):
        parents = [None, *(entry.turn.number for entry in entries)]
        role = draw(st.sampled_from([Role.USER, Role.ASSISTANT]))
        message = Message(role, draw(st.text()), generated=draw(st.booleans()))
        turn = Turn(number * 3, draw(st.sampled_from(parents)), message, draw(st.sampled_from(State)))
        made = draw(st.none() | st.dictionaries(st.text(), st.integers() | st.text(), max_size=3))
        entries.append(Entry(turn, NOW, NOW, draw(st.none() | st.integers(0, 99)), made, draw(st.booleans())))
    leaf = draw(st.sampled_from([None, *(entry.turn.number for entry in entries)]))
    texts = st.none() | st.text()
    head = Session("", draw(st.text()), NOW, NOW, draw(texts), draw(texts), draw(texts), draw(st.booleans()), leaf)
    return Transcript(replace(head, n_messages=len(entries)), tuple(entries))


@given(transcript=transcripts())
def test_what_we_export_comes_back_whole(tmp_path_factory, transcript):
    path = tmp_path_factory.mktemp("ours") / "chat.json"
    path.write_text(as_json(transcript), encoding="utf-8")
    assert read(path) == [transcript]


def test_openais_messages_with_instructions_parts_and_tools(take):
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "developer", "content": "Be kind."},
        {
            "role": "user",
            "content": [{"type": "text", "text": "What is"}, {"type": "image_url"}, {"type": "text", "text": "this?"}],
        },
        {"role": "assistant", "content": None, "tool_calls": []},
        {"role": "tool", "content": "42"},
        {"role": "assistant", "content": "A llama."},
        {"role": "assistant", "content": "A small one."},
    ]
    for content in (messages, {"messages": messages}, [{"messages": messages}]):
        (transcript,) = take(content)
        assert said(transcript) == [("user", "What is\n\nthis?"), ("assistant", "A llama.\n\nA small one.")]
        assert transcript.session.system == "Be brief.\n\nBe kind."
        assert transcript.session.title == "What is"
        assert not transcript.branch[1].turn.message.generated


def node(parent: str | None, role: str = "", *parts: object, **more: object) -> dict[str, object]:
    content = {"content_type": "text", "parts": list(parts)}
    message = {"author": {"role": role}, "content": content, "create_time": 1767323045.5, "metadata": {}, **more}
    return {"parent": parent, "children": [], "message": message if role else None}


CHATGPT = {
    "title": "Animals",
    "create_time": 1767323045.5,
    "update_time": 1767323050.0,
    "current_node": "e",
    "mapping": {
        "root": node(None),
        "hidden": node("root", "system", ""),
        "memory": node("hidden", "user", "who I am", metadata={"is_visually_hidden_from_conversation": True}),
        "a": node("memory", "user", "Which?", {"asset_pointer": "picture"}),
        "b": node("a", "assistant", "A cat."),
        "c": node("a", "assistant", "Let me look.", metadata={"model_slug": "gpt-4"}),
        "tool": node("c", "tool", "results"),
        "d": node("tool", "assistant", "A llama."),
        "e": node("d", "user", "Sure?"),
        "edited": node("d", "user", "Really?"),
        "empty": node("e", "assistant", ""),
    },
}


def test_chatgpts_export_keeps_its_branches_and_leaves_out_what_it_hides(take):
    (transcript,) = take([CHATGPT])
    assert said(transcript) == [("user", "Which?"), ("assistant", "Let me look.\n\nA llama."), ("user", "Sure?")]
    by_text = {entry.turn.message.content: entry.turn for entry in transcript.entries}
    assert set(by_text) == {"Which?", "A cat.", "Let me look.\n\nA llama.", "Sure?", "Really?"}
    assert by_text["A cat."].parent == by_text["Which?"].number
    assert by_text["Really?"].parent == by_text["Sure?"].parent
    head = transcript.session
    assert (head.title, head.model) == ("Animals", None)
    assert head.created == datetime(2026, 1, 2, 3, 4, 5, 500_000, tzinfo=UTC)


def test_one_conversation_of_chatgpts_alone_and_one_whose_end_was_left_out(take):
    (transcript,) = take({**CHATGPT, "current_node": "empty"})
    assert said(transcript)[-1] == ("user", "Sure?")
    (transcript,) = take([{**CHATGPT, "current_node": None, "title": None}, {**CHATGPT, "mapping": {}}])
    assert transcript.session.title == "Which?"


def test_what_chatgpt_left_empty_is_left_out(take):
    nothing = {"parent": "a", "message": {"author": None, "content": None, "metadata": None}}
    partless = {"parent": "a", "message": {"author": {"role": "user"}, "content": {"parts": None}, "metadata": None}}
    mapping = {**CHATGPT["mapping"], "null": None, "nobody": nothing, "partless": partless}
    assert take([{**CHATGPT, "mapping": mapping}]) == take([CHATGPT])


@pytest.mark.parametrize("number", ["7" * 5000, "Infinity", "-Infinity", "NaN", "1e999"])
def test_a_number_that_is_none_is_left_out(take, number):
    written = json.dumps(ours(turn={"made": {"seed": 77}, "tokens": 77, "created": 77})).replace("77", number).encode()
    (transcript,) = take(written)
    entry = transcript.entries[0]
    assert (entry.made, entry.n_tokens, entry.created) == ({"seed": None}, None, NOW)
    json.loads(as_json(transcript), parse_constant=pytest.fail)


def test_a_number_that_is_too_large_for_a_count_is_a_mistake(take):
    with pytest.raises(UsageError, match="tokens: this should be a whole number"):
        take(ours(turn={"tokens": 10**20}))


def test_a_long_chat_is_no_problem(take):
    mapping = {str(n): node(str(n - 1) if n else None, ("user", "assistant")[n % 2], f"text {n}") for n in range(5000)}
    (transcript,) = take([{**CHATGPT, "mapping": mapping, "current_node": "4999"}])
    assert len(transcript.branch) == 5000


def ours(**changes: object) -> dict[str, object]:
    turn = {"id": 1, "parent": None, "role": "user", "content": "hi", "state": "complete"}
    head = {"version": 1, "title": "t", "turns": [{**turn, **changes.pop("turn", {})}], "leaf": 1}
    return {"llamachat": {**head, **changes}}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "line 1, column 1: this is not JSON"),
        (b'[{"role": "user",\n "content": }]', "line 2, column 13: this is not JSON"),
        (b'"\xff"', "not UTF-8"),
        (b"[" * 100_000, "nested too deeply"),
        ([], "there is no conversation in it"),
        ({}, "this should be a conversation"),
        ("text", "this should be a conversation"),
        ([1], "[0]: this should be a conversation"),
        ([{"role": "user"}, {"role": "narrator", "content": "x"}], "[1].role: a narrator message cannot stand here"),
        ([{"role": "user", "content": 1}], "[0].content: this should be text"),
        ({"messages": [{"role": 1, "content": "x"}]}, "messages[0].role: this should be text"),
        (
            {"messages": [{"role": "user", "content": "x"}, {"role": "system", "content": "y"}]},
            "messages[1].role: a system",
        ),
        ({"messages": {}}, "messages: this should be a list"),
        ([{"mapping": []}], "[0].mapping: this should be an object"),
        ([{"mapping": {"a": {"message": {"author": "me"}}}}], "[0].mapping.a.message.author: this should be an object"),
        ({"mapping": {}, "create_time": "yesterday"}, "create_time: this should be a time"),
        (ours(version=2), "newer llamachat"),
        (ours(version=None), "llamachat.version: this should be a whole number"),
        (ours(leaf=7), "llamachat.leaf: there is no turn 7"),
        (ours(turn={"parent": 1}), "llamachat.turns[0].parent: no turn 1 comes before it"),
        (ours(turn={"id": True}), "llamachat.turns[0].id: this should be a whole number"),
        (ours(turn={"id": 1 << 70}), "llamachat.turns[0].id: this should be a whole number"),
        (ours(turn={"role": "system"}), "llamachat.turns[0].role: a system"),
        (ours(turn={"state": "asleep"}), "llamachat.turns[0].state: this should be one of complete"),
        (ours(turn={"created": 1e300}), "llamachat.turns[0].created: this should be a time"),
    ],
)
def test_a_mistake_is_one_line_that_names_the_place(take, content, words):
    with pytest.raises(UsageError) as caught:
        take(content)
    assert words in caught.value.message
    assert "chats.json" in caught.value.message
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_said():
    with pytest.raises(UsageError, match=r"no-such-file\.json cannot be read"):
        read(Path("no-such-file.json"))


@given(
    content=st.recursive(
        st.none() | st.integers() | st.text(max_size=3),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "messages",
                        "mapping",
                        "role",
                        "content",
                        "llamachat",
                        "turns",
                        "version",
                        "author",
                        "message",
                        "parent",
                    ]
                ),
                inner,
                max_size=4,
            )
        ),
    )
)
def test_whatever_is_in_a_file_is_a_conversation_or_a_mistake(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("any") / "any.json"
    path.write_text(json.dumps(content))
    try:
        found = read(path)
    except UsageError:
        return
    assert all(transcript.branch or transcript.session.leaf is None for transcript in found)
