"""`llamachat sessions`."""

from __future__ import annotations

import json
import os
import re
import stat
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from llamachat.chat.conversation import State
from llamachat.store.sessions import Store
from llamachat.ui.history import History
from tests.conftest import Result
from tests.disks import fill
from tests.store.conftest import answer, said, talk, user

LONG_AGO = datetime.now(UTC) - timedelta(days=40)


@pytest.fixture
def sessions(run) -> Callable[..., Result]:
    def call(*arguments: str, **options) -> Result:
        return run("sessions", *arguments, **options)

    return call


@pytest.fixture
def file(tmp_path) -> Path:
    return tmp_path / "home" / "data" / "sessions.db"


@pytest.fixture
def kept(file) -> dict[str, str]:
    """Sessions by what they are: an old chat, a one-shot, and a chat with a branch, a pin and an answer cut short."""
    with Store(file, clock=lambda: LONG_AGO) as store:
        old = talk(store, "An old\x1b[31m question", "An old answer", model="llama-2-7b-chat")
    with Store(file) as store:
        one_shot = talk(store, "Why is the sky blue?", "Rayleigh scattering.", model="parrot", one_shot=True)
        chat = talk(store, "라마를 좋아해?", "Yes.", model="parrot", preset="brief", system="Be brief.")
        question = store.load(chat).branch[0].turn.number
        store.set_pinned(question, pinned=True)
        reply = store.add(chat, question, answer(""), State.STREAMING)
        store.finish(reply, answer("Very mu"), State.INTERRUPTED, {"seed": 7}, 3)
    return {"old": old, "one_shot": one_shot, "chat": chat}


def ids(result: Result) -> list[str]:
    return [session["id"] for session in json.loads(result.out)]


def test_without_sessions_it_is_said_how_to_begin_one(sessions):
    assert "llamachat" in sessions().out
    assert json.loads(sessions("list", "--json").out) == []


def test_all_are_listed_the_newest_first(sessions, kept):
    listed = json.loads(sessions("list", "--json").out)
    assert [session["id"] for session in listed] == [kept["chat"], kept["one_shot"], kept["old"]]
    assert listed[1] | {"created": 0, "updated": 0} == {
        "id": kept["one_shot"],
        "title": "Why is the sky blue?",
        "created": 0,
        "updated": 0,
        "model": "parrot",
        "preset": None,
        "n_messages": 2,
        "one_shot": True,
    }
    assert datetime.fromisoformat(listed[2]["created"]) - LONG_AGO < timedelta(seconds=1)
    assert sessions().out == sessions("list").out


def test_the_table_fits_a_terminal_and_cannot_act_on_it(sessions, kept, file):
    with Store(file) as store:
        talk(
            store, "질문이 아주 길어서 제목이 표의 칸에 들어가지 않습니다 그래서", model="a-model-with-a-very-long-name"
        )
    out = sessions(terminal=True, COLUMNS="80").out
    assert "\x1b" not in out
    lines = out.splitlines()
    assert len(lines) == 5
    assert all(len(line) <= 80 for line in lines)
    assert "1×" in next(line for line in lines if "sky" in line)
    assert sum("1×" in line for line in lines) == 1
    assert "one-shot" in sessions().out


def test_a_session_is_shown_with_what_made_its_answers(sessions, kept):
    shown = json.loads(sessions("show", kept["chat"][:9], "--json").out)
    assert {key: shown[key] for key in ("id", "title", "preset", "n_messages")} == {
        "id": kept["chat"],
        "title": "라마를 좋아해?",
        "preset": "brief",
        "n_messages": 3,
    }
    question, reply = shown["messages"]
    assert (question["role"], question["content"], question["parent"]) == ("user", "라마를 좋아해?", None)
    assert (question["state"], question["pinned"], question["made"]) == ("complete", True, None)
    assert (reply["parent"], reply["state"], reply["tokens"]) == (question["id"], "interrupted", 3)
    assert reply["made"] == {"seed": 7}
    assert datetime.fromisoformat(reply["created"]).tzinfo is not None
    text = sessions("show", kept["chat"]).out
    assert text.endswith("Assistant:\nVery mu\n\n(interrupted)\n")


def test_what_was_said_cannot_act_on_a_terminal(sessions, kept):
    assert "\x1b" in sessions("show", kept["old"]).out
    assert "\x1b" not in sessions("show", kept["old"], terminal=True).out
    hits = sessions("search", "question", terminal=True).out
    assert re.findall(r"\x1b\[\d*m", hits) == ["\x1b[1m", "\x1b[0m"]
    assert "\x1b" not in sessions("search", "question", terminal=True, NO_COLOR="1").out


def test_messages_are_found(sessions, kept):
    (hit,) = json.loads(sessions("search", "라마", "--json").out)
    assert (hit["session"], hit["role"], hit["title"]) == (kept["chat"], "user", "라마를 좋아해?")
    assert [hit["snippet"][start:end] for start, end in hit["matches"]] == ["라마"]
    assert sessions("search", "rayleigh", "scatter*").out.splitlines()[0].startswith(kept["one_shot"])
    assert json.loads(sessions("search", "old", "-n", "1", "--json").out)[0]["session"] == kept["old"]
    nothing = sessions("search", "xyzzy")
    assert (nothing.code, nothing.out) == (0, "Nothing was found.\n")


def test_a_session_gets_another_title(sessions, kept):
    assert sessions("rename", kept["chat"], "About", "llamas\n").code == 0
    assert json.loads(sessions("show", kept["chat"], "--json").out)["title"] == "About llamas"


def test_sessions_are_removed_when_the_user_says_yes(sessions, kept, file):
    assert sessions("remove", kept["old"]).code == 2
    assert sessions("remove", kept["old"], terminal=True, stdin=b"n\n").code == 130
    assert len(ids(sessions("list", "--json"))) == 3
    result = sessions("remove", kept["old"], kept["one_shot"], terminal=True, stdin=b"y\n")
    assert result.out == "2 sessions removed.\n"
    assert ids(sessions("list", "--json")) == [kept["chat"]]
    assert b"Rayleigh" not in b"".join(each.read_bytes() for each in file.parent.iterdir())


def test_old_sessions_are_removed_at_once(sessions, kept):
    assert "no session older" in sessions("remove", "--older-than", "8w", "-y").out
    assert sessions("remove", "--older-than", "30d", "--yes").out == "1 session removed.\n"
    assert kept["old"] not in ids(sessions("list", "--json"))


@pytest.mark.parametrize(
    ("form", "words"), [("md", "## You"), ("json", '"messages"'), ("txt", "You:"), ("html", "<!doctype html>")]
)
def test_a_session_is_exported(sessions, kept, tmp_path, form, words):
    out = sessions("export", kept["chat"], "--format", form).out
    assert words in out
    target = tmp_path / f"chat.{form}"
    assert sessions("export", kept["chat"], "-o", str(target)).out == f"{target}\n"
    assert target.read_text(encoding="utf-8") == out
    refused = sessions("export", kept["old"], "-o", str(target))
    assert (refused.code, target.read_text(encoding="utf-8")) == (2, out)
    assert sessions("export", kept["old"], "-o", str(target), "--force").code == 0
    assert target.read_text(encoding="utf-8") != out


def test_what_was_exported_is_imported(sessions, kept, tmp_path):
    target = tmp_path / "chat.json"
    sessions("export", kept["chat"], "-o", str(target))
    other = tmp_path / "other.json"
    other.write_text('[{"role": "user", "content": "Hello!"}]')
    result = sessions("import", str(target), str(other))
    first, second = (line.split()[0] for line in result.out.splitlines())
    assert json.loads(sessions("show", second, "--json").out)["title"] == "Hello!"
    one, two = (json.loads(sessions("show", name, "--json").out) for name in (kept["chat"], first))
    assert [message["content"] for message in one["messages"]] == [message["content"] for message in two["messages"]]
    assert (two["n_messages"], two["title"]) == (3, one["title"])
    assert one["id"] != two["id"]


def test_of_files_with_a_mistake_none_is_imported(sessions, kept, tmp_path):
    for name, content in (("good.json", '[{"role": "user", "content": "Hello!"}]'), ("bad.json", '[{"role": 1}]')):
        (tmp_path / name).write_text(content)
    result = sessions("import", str(tmp_path / "good.json"), str(tmp_path / "bad.json"))
    assert result.code == 2
    assert "bad.json: [0].role" in result.err
    assert len(ids(sessions("list", "--json"))) == 3


def test_an_import_may_say_anything_of_models_presets_titles_and_what_answers_saw(sessions, tmp_path):
    turns = [
        {"id": 10, "parent": None, "role": "user", "content": "one?", "state": "complete"},
        {"id": 20, "parent": 10, "role": "assistant", "content": "1", "state": "complete"},
    ]
    turns[1]["made"] = {"turns": [10, 30, "x", [1]], "seed": 7, "note": "\ud800"}
    head = {"version": 1, "title": "t" * 200_000, "model": "a\ud800b", "preset": "\udfff", "leaf": 20}
    (tmp_path / "odd.json").write_text(json.dumps({"llamachat": {**head, "turns": turns}}))
    result = sessions("import", str(tmp_path / "odd.json"))
    assert (result.code, result.err) == (0, "")
    (listed,) = json.loads(sessions("list", "--json").out)
    assert listed["model"] == "a?b"
    assert max(map(len, sessions("list").out.splitlines())) < 150
    question, answer_ = json.loads(sessions("show", listed["id"], "--json").out)["messages"]
    assert answer_["made"]["turns"] == [question["id"], None, None, None]


@pytest.mark.skipif(sys.platform == "win32", reason="the test makes a named pipe, which Windows lacks")
def test_an_export_goes_into_a_pipe_and_does_not_replace_it(sessions, kept, tmp_path):
    pipe = tmp_path / "chat.txt"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    for force in ([], ["--force"]):
        assert sessions("export", kept["one_shot"], "-o", str(pipe), *force) == Result(0, "", "")
        assert b"Rayleigh scattering." in os.read(reader, 10_000)
        assert stat.S_ISFIFO(pipe.stat().st_mode)
    os.close(reader)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the test writes to /dev/full, which is Linux's")
def test_an_export_goes_into_a_device_and_does_not_replace_it(sessions, kept):
    assert sessions("export", kept["one_shot"], "-o", "/dev/null", "--format", "txt", "--force").code == 0
    assert Path("/dev/null").is_char_device()
    result = sessions("export", kept["one_shot"], "-o", "/dev/full", "--format", "txt", "--force")
    assert (result.code, result.err.count("\n")) == (9, 1)
    assert Path("/dev/full").is_char_device()


def test_an_export_does_not_go_onto_a_disk(sessions, kept, tmp_path):
    disk = tmp_path / "disk"
    try:
        os.mknod(disk, 0o600 | stat.S_IFBLK, os.makedev(7, 250))
    except (OSError, AttributeError) as error:
        pytest.skip(f"the test makes a block device: {error}")
    result = sessions("export", kept["one_shot"], "-o", str(disk), "--format", "txt", "--force")
    assert (result.code, result.out, result.err.count("\n")) == (9, "", 1)
    assert f"{disk} is a disk" in result.err


def test_an_export_through_a_link_keeps_the_link(sessions, kept, tmp_path):
    target, link = tmp_path / "target.txt", tmp_path / "link.txt"
    target.write_text("old")
    link.symlink_to(target)
    assert sessions("export", kept["one_shot"], "-o", str(link)).code == 2
    assert sessions("export", kept["one_shot"], "-o", str(link), "--force").code == 0
    assert link.is_symlink()
    assert "Rayleigh" in target.read_text()


def test_what_was_typed_in_a_removed_session_leaves_the_history_too(sessions, kept, file, tmp_path):
    history = tmp_path / "home" / "state" / "history"
    typed = [
        "Why is the sky blue?",
        "An old\x1b[31m question",
        "/tree",
        '"""\nIn a block\n"""',
        "Yes?",
        "What is @a.txt?",
    ]
    for text in typed:
        History(history).record(text)
    with Store(file) as store:
        document = "a.txt:\n```txt\nwords\n```\n\nWhat is a.txt?"
        gone = talk(store, "In a block", "Yes.", "Yes?", "Yes.", document, "Words.")
        talk(store, "Yes?", "No.")
    running = History(history)
    assert len(running.load_history_strings()) == 6
    assert sessions("remove", gone, kept["old"], "--yes").code == 0
    assert running.load_history_strings() == ["Yes?", "/tree", "Why is the sky blue?"]
    History(history).record("next")
    assert running.load_history_strings()[0] == "next"
    assert b"block" not in history.read_bytes()
    assert history.stat().st_mode & 0o077 == 0


def test_copies_of_damaged_files_are_named_when_something_is_removed(sessions, kept, file):
    copy = file.with_name("sessions.db.damaged-20260101-000000")
    copy.write_bytes(b"Rayleigh")
    result = sessions("remove", kept["one_shot"], "--yes")
    assert result.out == "1 session removed.\n"
    assert str(copy) in result.err
    assert result.err.count("\n") == 1


def test_sessions_are_removed_from_a_full_disk_with_what_was_typed(run, small_disk):
    home = small_disk / "home"
    with Store(home / "data" / "sessions.db") as store:
        gone = talk(store, "a secret question", "a secret answer")
        stays = talk(store, "Hello", "Hi")
    for text in ("a secret question", "Hello"):
        History(home / "state" / "history").record(text)
    fill(small_disk)
    result = run("sessions", "remove", gone, "--yes", LLAMACHAT_HOME=str(home))
    assert (result.code, result.out, result.err) == (0, "1 session removed.\n", "")
    assert ids(run("sessions", "list", "--json", LLAMACHAT_HOME=str(home))) == [stays]
    everything = b"".join(each.read_bytes() for each in home.rglob("*") if each.is_file())
    assert b"secret" not in everything
    assert b"+Hello" in everything


def test_an_import_that_does_not_fit_is_exit_code_9_and_leaves_nothing(run, small_disk, tmp_path):
    home = {"LLAMACHAT_HOME": str(small_disk / "home")}
    words = " ".join(f"word{number}" for number in range(100_000))
    chats = [{"messages": [{"role": "user", "content": text}]} for text in ("Hello", words, words, words)]
    (tmp_path / "chats.json").write_text(json.dumps(chats))
    result = run("sessions", "import", str(tmp_path / "chats.json"), **home)
    assert (result.code, result.out, result.err.count("\n")) == (9, "", 1)
    assert "Nothing was imported" in result.err
    assert ids(run("sessions", "list", "--json", **home)) == []


def test_a_session_whose_model_is_gone_says_how_to_go_on(run, sessions, kept, parrot):
    for arguments in ((), ("-m", "no-such-model")):
        result = run("--resume", kept["old"], *arguments, "And on?")
        assert (result.code, result.err.count("\n")) == (3, 1)
        assert (f"llamachat --resume {kept['old']} -m OTHER" in result.err) is not bool(arguments)
    assert run("--resume", kept["old"], "-m", str(parrot), "My name is Ada.").code == 0


@pytest.mark.parametrize(
    ("code", "arguments"),
    [(2, ["[INST] hello"]), (4, ["hello " * 600, "--ctx-size", "512"]), (3, ["hello", "-m", "BROKEN"])],
)
def test_a_question_that_is_refused_is_no_session(run, sessions, parrot, tmp_path, code, arguments):
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(parrot.read_bytes()[:-100_000])
    arguments = [str(broken) if each == "BROKEN" else each for each in arguments]
    assert run("-m", str(parrot), *arguments).code == code
    assert ids(sessions("list", "--json")) == []
    assert run("-m", str(parrot), "My name is Ada.", "-t", "0").code == 0
    (session,) = ids(sessions("list", "--json"))
    assert run("--resume", session, *arguments).code == code
    assert len(json.loads(sessions("show", session, "--json").out)["messages"]) == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["show", "zzz"], "sessions list"),
        (["show", "1"], "3 sessions begin with '1'"),
        (["rename", "1", " "], "the title is empty"),
        (["remove"], "--older-than 30d"),
        (["remove", "--older-than", "soon"], "'soon' is no age"),
        (["remove", "--older-than", "99999y"], "nothing is that old"),
        (["export", "1", "-o", "."], "is a folder"),
        (["search", "++"], "no word"),
        (["search", "\udcff"], "not UTF-8"),
        (["export", "1", "--format", "pdf"], "md, json, txt, html"),
        (["export", "1", "-o", "x.pdf"], "no format 'pdf'"),
        (["import", "no-such-file"], "cannot be read"),
        (["lisst"], "no such command"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(sessions, kept, arguments, words):
    result = sessions(*arguments)
    assert result.code == 2
    assert words in result.err
    assert result.err.count("\n") == 1


def test_a_damaged_file_is_mended_in_a_line_beside_the_answer(sessions, kept, file):
    with file.open("r+b") as opened:
        opened.write(b"x" * 100)
    result = sessions("list", "--json")
    assert sorted(ids(result)) == sorted(kept.values())
    assert re.fullmatch(r"llamachat: .*was damaged.*damaged-\d+-\d+\.\n", result.err)


def test_a_newer_schema_is_exit_code_9(sessions, file):
    import sqlite3

    with Store(file) as store:
        store.add(store.create("x").id, None, user("x"))
    connection = sqlite3.connect(file)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    result = sessions()
    assert result.code == 9
    assert "schema 99" in result.err


@pytest.mark.parametrize("arguments", [("--no-save",), ()])
def test_a_pinned_exchange_stays_when_a_one_shot_goes_on_with_a_chat(run, sessions, file, parrot, arguments):
    others = [text for n in range(30) for text in (f"Repeat: boat {n} of all.", f"boat {n} of all.")]
    with Store(file) as store:
        chat = talk(store, "My name is Ada.", "Hello, Ada.", *others, model="parrot")
        store.set_pinned(store.load(chat).branch[0].turn.number, pinned=True)
        before = said(store, chat)
    goes_on = ("-c", "-m", str(parrot), "-t", "0", "--ctx-size", "512", "--json", *arguments, "What is my name?")
    dry = json.loads(run(*goes_on, "--dry-run").out)
    assert dry["context"]["dropped_turns"] > 10
    assert "My name is Ada." in dry["prompt"]
    assert "boat 0 " not in dry["prompt"]
    answered = json.loads(run(*goes_on).out)
    assert answered["usage"]["prompt_tokens"] == dry["n_tokens"]
    assert answered["context"]["dropped_turns"] == dry["context"]["dropped_turns"]
    with Store(file) as store:
        assert said(store, chat) == [*before, *([] if arguments else ["What is my name?", answered["text"]])]


def test_a_wrong_option_names_the_page_of_its_command(sessions):
    assert "All options: llamachat sessions search --help" in sessions("search").err
    assert "All options: llamachat sessions import --help" in sessions("import", "x", "--nope").err
    assert "All options: llamachat sessions --help" in sessions("--nope").err
