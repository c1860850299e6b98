"""`@path` attaches what a person means by it, once, and nothing else."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamachat.chat import listing
from llamachat.chat.attachments import as_typed, compose, find, located, read_all
from llamachat.chat.code import code_blocks
from llamachat.chat.composed import own_words, words_of
from llamachat.chat.document import MOST_BYTES, Document
from llamachat.errors import ForbiddenTag, UsageError

posix_only = pytest.mark.skipif(
    sys.platform == "win32", reason="Windows has no pipes, devices or such names, and links need a privilege there"
)


@pytest.fixture
def folder(tmp_path) -> Path:
    """A few files to refer to."""
    for name in ("notes.txt", "a.py", "two words.txt", "src/x.py", "src/y.py", "src/deep/z.py", "Makefile"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"text of {name}\n", encoding="utf-8")
    return tmp_path


def names(text: str, folder: Path, pasted=()) -> list[str]:
    found = find(text, folder, pasted)
    return [found.name(path) for path in found.paths]


def message(text: str, folder: Path) -> str:
    found = find(text, folder)
    return compose(found, read_all(found))


def test_documents_come_first_and_the_words_name_them(folder):
    assert message("Compare @notes.txt with @a.py!", folder) == (
        "notes.txt:\n```\ntext of notes.txt\n```\n\na.py:\n```python\ntext of a.py\n```\n\nCompare notes.txt with a.py!"
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("@notes.txt", ["notes.txt"]),
        ("see @notes.txt, please.", ["notes.txt"]),
        ("(@a.py)", ["a.py"]),
        ("@a.py?", ["a.py"]),
        ('"@a.py"', ["a.py"]),
        ("line\n@a.py...\n", ["a.py"]),
        ("请看 @a.py。", ["a.py"]),
        ('@"two words.txt".', ["two words.txt"]),
        ("@./src/../a.py", ["a.py"]),
        ("@Makefile", ["Makefile"]),
        ("@src/x.py @src/x.py @./src/x.py", ["src/x.py"]),
        ("mail user@a.py", []),
        ("@decorator @functools.cache", []),
        (r"\@a.py", []),
        ("`@a.py` and ``x`@a.py``", []),
        ("```\n@a.py\n```", []),
        ("@", []),
        ("@ a.py", []),
        ("@" + "x" * 5000, []),
        ("@~nobody-of-this-name/x", []),
    ],
)
def test_a_reference_begins_a_word_and_ends_before_the_sentences_punctuation(folder, text, expected):
    assert names(text, folder) == expected


def test_a_file_that_is_called_so_keeps_its_punctuation(folder):
    (folder / "a.py,").write_text("odd")
    assert names("@a.py, @a.py", folder) == ["a.py,", "a.py"]


def test_what_was_pasted_is_left_alone(folder):
    text = "@a.py and @notes.txt"
    assert names(text, folder, pasted=[(10, 20)]) == ["a.py"]
    assert names("```\nopen\n@a.py", folder) == []
    assert names("```\nopen\n@a.py", folder, pasted=[(0, 8)]) == ["a.py"]  # a fence that was pasted fences nothing


def test_a_path_that_does_not_exist_stays_words_and_is_told(folder):
    found = find("@nowhere.txt, @gone/x? @someone @notes.txt", folder)
    assert [reference.typed for reference in found.missing] == ["nowhere.txt", "gone/x"]
    assert compose(found, ()) == "@nowhere.txt, @gone/x? @someone notes.txt"


def test_an_escaped_at_is_only_that_and_code_keeps_its_backslash(folder):
    assert message(r"\@a.py, `\@a.py`, x\@a.py", folder) == r"@a.py, `\@a.py`, x\@a.py"


def test_a_home_folder_is_found(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("USERPROFILE", str(folder))
    assert names("@~/a.py", Path(folder.anchor)) == [(folder / "a.py").relative_to(folder.anchor).as_posix()]


def test_a_file_outside_the_folder_is_named_with_its_whole_path(folder):
    assert names("@../a.py", folder / "src") == [(folder / "a.py").as_posix()]


# groups


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("@src/", ["src/x.py", "src/y.py", "src/deep/z.py"]),
        ("what is in @src?", ["src/x.py", "src/y.py", "src/deep/z.py"]),
        ("@src/*.py, please", ["src/x.py", "src/y.py"]),
        ("@src/[xq].py", ["src/x.py"]),
        ("@**/z.*", ["src/deep/z.py"]),
        ("@src/?.p?", ["src/x.py", "src/y.py"]),
        ("@*.nothing", []),
    ],
)
def test_folders_and_patterns_are_groups_to_be_asked_about(folder, text, expected):
    found = find(text, folder)
    assert [found.name(path) for group in found.groups for path in group.listing.files] == expected
    assert found.files == ()
    assert all(group.listing.n_bytes == sum(map(os.path.getsize, group.listing.files)) for group in found.groups)


def test_a_group_that_is_wanted_is_named_as_it_was_typed_and_another_stays_words(folder):
    found = find("@src/*.py or @src/deep/", folder)
    kept = found.without(found.groups[1])
    assert [kept.name(path) for path in kept.paths] == ["src/x.py", "src/y.py"]
    assert compose(kept, ()) == "src/*.py or @src/deep/"


def test_a_file_that_a_group_holds_too_is_attached_once(folder):
    assert names("@src/y.py and all of @src/", folder) == ["src/y.py", "src/x.py", "src/deep/z.py"]


def test_hidden_foreign_binary_and_empty_files_are_in_no_group(folder):
    for name in (".git/config", "node_modules/m.js", "__pycache__/x.py", "venv/pyvenv.cfg", "venv/lib.py", ".env"):
        (folder / "src" / name).parent.mkdir(exist_ok=True)
        (folder / "src" / name).write_text("not yours")
    (folder / "src/binary").write_bytes(b"a\0b")
    (folder / "src/latin").write_bytes(b"caf\xe9 ")
    (folder / "src/empty").write_bytes(b"")
    (folder / "src/long.txt").write_bytes(b"x" * 8191 + "é".encode())  # a character across the end of what is looked at
    found = names("@src/", folder)
    assert found == ["src/long.txt", "src/x.py", "src/y.py", "src/deep/z.py"]
    assert names("@src/.git/", folder) == ["src/.git/config"]  # what is named is meant


@posix_only
def test_links_that_go_round_are_no_way_to_the_same_files_again(folder):
    (folder / "src/loop").symlink_to(folder / "src")
    (folder / "src/self").symlink_to("self")
    assert names("@src/", folder) == ["src/x.py", "src/y.py", "src/deep/z.py"]


def test_a_walk_looks_at_so_many_entries_and_says_that_there_are_more(folder):
    whole, cut = listing.in_folder(folder / "src", most=8), listing.in_folder(folder / "src", most=2)
    assert not whole.more
    assert len(whole.files) == 3
    assert cut.more
    assert len(cut.files) < 3


def test_a_folder_without_text_is_refused_with_the_way_to_write_it(folder):
    (folder / "bare").mkdir()
    with pytest.raises(UsageError, match="bare/ holds no text files") as caught:
        find("@bare/", folder)
    assert caught.value.hint.endswith(r"\@bare/")


# files that cannot be attached


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"a\0b", r"bad.txt is binary \(byte 1"),
        (b"caf\xe9", r"bad.txt is binary \(byte 3"),
        (b"x" * (MOST_BYTES + 1), "bad.txt is larger than 4 MiB"),
    ],
)
def test_binary_and_endless_files_are_refused_by_name(folder, data, reason):
    (folder / "bad.txt").write_bytes(data)
    with pytest.raises(UsageError, match=reason):
        read_all(find("@bad.txt", folder))


def test_a_byte_order_mark_is_no_part_of_the_text(folder):
    (folder / "bom.txt").write_bytes(b"\xef\xbb\xbfhello\r\n")
    (file,) = read_all(find("@bom.txt", folder))
    assert (file.text, file.n_bytes) == ("hello", 10)


def test_a_file_that_went_away_is_refused_by_name(folder):
    found = find("@a.py", folder)
    (folder / "a.py").unlink()
    with pytest.raises(UsageError, match=r"a\.py cannot be read: No such file"):
        read_all(found)


@posix_only
def test_a_pipe_and_a_device_are_refused_without_waiting(folder):
    os.mkfifo(folder / "pipe")
    for name in ("pipe", "/dev/zero"):
        with pytest.raises(UsageError, match=f"{name} is not a file"):
            read_all(find(f"@{name}", folder))
    assert names("@src/", folder) == ["src/x.py", "src/y.py", "src/deep/z.py"]


# what the model gets


@given(st.text(alphabet="`~\n a", max_size=40))
def test_no_text_can_leave_its_fence(text):
    found = find("words", Path("/"))
    assert code_blocks(compose(found, [Document(Path("x"), "x", text, 1)])) == (text,)


@posix_only
def test_no_name_can_leave_its_line_or_open_a_fence(folder):
    (folder / "a\n```\nb\x1b.md").write_text("text")
    (folder / os.fsdecode(b"\xff.md")).write_text("text")
    found = find("@*.md", folder)
    assert compose(found, read_all(found)) == (
        "a_____b_.md:\n```markdown\ntext\n```\n\n_.md:\n```markdown\ntext\n```\n\n*.md"
    )


def test_a_forbidden_tag_is_told_with_the_file_and_line_it_is_in(folder):
    (folder / "forged.txt").write_text("one\ntwo <<SYS>>\n")
    found = find("@notes.txt @forged.txt [INST]", folder)
    documents = read_all(found)
    content = compose(found, documents)

    def told(tag: str) -> UsageError:
        return located(ForbiddenTag(tag, 0, "user", content.index(tag)), documents)

    assert told("<<SYS>>").message == "forged.txt, line 2, contains <<SYS>>, which frames turns."
    assert told("text of").message.startswith("notes.txt, line 1,")
    assert isinstance(told("[INST]"), ForbiddenTag)  # in the words: as it was


@given(st.lists(st.text(alphabet="`~\n a:", max_size=40), max_size=3), st.text(alphabet="ab \n:", max_size=20))
def test_the_words_of_a_message_are_told_from_its_documents(texts, words):
    documents = [Document(Path("/a b.py"), "a b.py", text, len(text)) for text in texts]
    message = compose(find(words, Path("/nowhere")), documents)
    assert message[words_of(message) :] == words
    assert own_words(message) == (words if words.strip() else message)
    assert as_typed(message, Path("/nowhere")) == message
