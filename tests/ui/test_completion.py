"""What Tab offers."""

from __future__ import annotations

import os
import sys

import pytest
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document

from llamachat.ui.completion import ChatCompleter, path_candidates

COMMANDS = [("new", "start over"), ("preset", "change the preset"), ("press", "x")]


def complete(text: str) -> dict[str, str]:
    """What the draft becomes with each candidate, and what the menu says of it."""
    completer = ChatCompleter(lambda: COMMANDS, lambda name, rest: [f"{name} one", f"{name} two"])
    found = completer.get_completions(Document(text), CompleteEvent(completion_requested=True))
    return {
        text[: len(text) + item.start_position] + item.text: f"{item.display_text} {item.display_meta_text}".strip()
        for item in found
    }


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("notes.txt", "novel.md", "a b.txt", ".hidden", "src/main.py", "my dir/x.py", "über.txt"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("x")
    return tmp_path


def test_commands_at_the_start_of_the_message_with_what_they_do():
    assert complete("/pre") == {"/preset": "/preset change the preset", "/press": "/press x"}
    assert set(complete("/")) == {"/new", "/preset", "/press"}
    assert complete("say /pre") == complete("//pre") == complete("a\n/pre") == complete("pre") == {}


def test_arguments_after_a_command():
    assert set(complete("/set ")) == {"/set set one", "/set set two"}
    assert set(complete("/set set t")) == {"/set set two"}


def test_files_after_an_at(folder):
    assert complete("see @no") == {"see @notes.txt": "notes.txt", "see @novel.md": "novel.md"}
    assert complete("see @s") == {"see @src/": "src/"}
    assert complete("@src/m") == {"@src/main.py": "main.py"}
    assert complete("mail me@no") == {}
    assert complete("@nothing") == complete("@nowhere/x") == complete("@~nobody/x") == {}
    assert complete("@ü") == {"@über.txt": "über.txt"}


def test_hidden_files_only_when_asked_for(folder):
    assert not any("hidden" in text for text in complete("@"))
    assert complete("@.h") == {"@.hidden": ".hidden"}


def test_names_with_spaces_are_quoted_and_a_folders_quotes_stay_open(folder):
    assert complete("@a") == {'@"a b.txt"': "a b.txt"}
    assert complete('@"a b') == {'@"a b.txt"': "a b.txt"}
    assert complete("@m") == {'@"my dir/': "my dir/"}
    assert complete('@"my dir/') == {'@"my dir/x.py"': "x.py"}


def test_the_home_folder_stays_a_tilde(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("USERPROFILE", str(folder))
    assert complete("@~/nov") == {"@~/novel.md": "novel.md"}


@pytest.mark.skipif(sys.platform == "win32", reason="no such names there")
def test_a_name_that_would_act_on_the_terminal_is_shown_harmless_and_not_inserted(folder):
    (folder / "evil\x1b[2J").write_text("x")
    (folder / 'quo"te').write_text("x")
    assert complete("@ev") == {"@ev": "evil␛[2J cannot be written here"}
    assert complete("@quo") == {"@quo": 'quo"te cannot be written here'}
    (folder / os.fsdecode(b"byte\xff")).write_text("x")
    assert complete("@byte") == {"@byte": "byte� cannot be written here"}


def test_of_very_many_files_the_common_beginning_or_the_first_by_name(folder):
    for number in range(1500):
        (folder / f"photo-{number:04}").touch()
    assert path_candidates("ph") == ["photo-"]
    shown = path_candidates("photo-")
    assert (len(shown), shown[0], shown[-1]) == (1000, "photo-0000", "photo-1499")
    assert path_candidates("photo-14")[-1] == "photo-1499"


def test_nothing_is_looked_up_while_typing(folder):
    completer = ChatCompleter(lambda: COMMANDS, lambda name, rest: [])
    assert list(completer.get_completions(Document("/n"), CompleteEvent(text_inserted=True))) == []
