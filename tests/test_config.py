"""The configuration file: read with its lines, changed without its comments being lost."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from llamachat import config
from llamachat.errors import StorageError, UsageError

on_posix = pytest.mark.skipif(sys.platform == "win32", reason="modes and links of a POSIX file system")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "config" / "config.toml"


def write(path, text: str):
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_without_a_file_nothing_is_chosen(path):
    assert config.read(path).values == {}


def test_values_are_read_with_their_types(path):
    write(path, '\ufeff# mine\ntemperature = 1\npreset = "concise"\nstop = ["a", "b"]\nplain = true\ngpu_layers = 9\n')
    layer = config.read(path)
    assert layer.values == {"temperature": 1.0, "preset": "concise", "stop": ("a", "b"), "plain": True, "gpu_layers": 9}
    assert layer.place == str(path)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("top_k = 1\ntemprature = 0.3\n", 2, "Did you mean temperature"),
        ("\n\n  top-p = 0.3\n", 3, "Did you mean top_p"),
        ('# x\ntemperature = "hot"\n', 2, "a number from 0 to 100, not 'hot'"),
        ("seed = 1.5", 1, "a whole number from 0 to 4294967294, not 1.5"),
        ("top_k = 1\n[temperature]\nx = 1\n", 2, "a number from 0 to 100"),
        ("top_k = 1\n[sampling]\ntemperature = 1\n", 2, "no setting 'sampling'"),
        ('"kv_type" = "q3"', 1, "f16 or q8_0, not 'q3'"),
        ("top_k = 1\ntop_p = \n", 2, "line 2"),
        ("top_k = 1\ntop_k = 2\n", 2, "config.toml"),
        ("seed = 0x" + "f" * 5000, 1, "a int of that size"),
    ],
)
def test_a_mistake_is_named_with_its_line_what_was_expected_and_the_next_command(path, text, line, words):
    write(path, text)
    with pytest.raises(UsageError) as caught:
        config.read(path)
    assert str(path) in caught.value.message
    assert f"line {line}" in caught.value.message
    assert words in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize("text", ["seed = " + "9" * 5000, "stop = " + "[" * 3000, "stop = " + "{a=" * 3000])
def test_what_is_too_much_for_the_parser_is_a_usage_error(path, text):
    write(path, text)
    with pytest.raises(UsageError, match=r"config\.toml"):
        config.read(path)
    with pytest.raises(UsageError, match=r"config\.toml"):
        config.set_value(path, "seed", 1)


def test_line_ends_and_a_byte_order_mark_of_windows_are_kept(path):
    path.parent.mkdir()
    path.write_bytes(b"# mine\r\nseed = 1\r\n")
    config.set_value(path, "seed", 2)
    assert path.read_bytes() == b"# mine\r\nseed = 2\r\n"


def test_many_changes_at_once_all_count(path):
    keys = ["top_k", "seed", "max_tokens", "threads", "ctx_size", "mirostat", "repeat_last_n", "dry_allowed_length"]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: config.set_value(path, key, 1), keys))
    assert set(config.read(path).values) == set(keys)


def test_bytes_that_are_no_text_are_named_with_their_line(path):
    path.parent.mkdir()
    path.write_bytes(b"top_k = 1\n# \xff\n")
    with pytest.raises(UsageError, match="line 2: this is not UTF-8"):
        config.read(path)


def test_a_change_keeps_comments_blank_lines_and_order(path):
    text = "# Mine.\n\ntemperature = 0.3  # calm\n\n# The model.\nmodel = 'a.gguf'\n"
    write(path, text)
    config.set_value(path, "temperature", 0.7)
    assert path.read_text() == text.replace("0.3", "0.7")
    config.set_value(path, "stop", ("a", "b"))
    assert path.read_text() == text.replace("0.3", "0.7") + 'stop = ["a", "b"]\n'
    assert config.unset(path, "stop")
    assert config.unset(path, "temperature")
    assert "# The model." in path.read_text()
    assert config.read(path).values == {"model": "a.gguf"}
    assert not config.unset(path, "temperature")


def test_what_is_written_is_read_back(path):
    values = {
        "temperature": 0.25,
        "seed": 4294967294,
        "system": 'Say "hi"\nor \\ not — 🙂',
        "stop": ("\n", "]"),
        "plain": False,
        "gpu_layers": "all",
    }
    for key, value in values.items():
        config.set_value(path, key, value)
    assert config.read(path).values == values
    assert path.read_text().startswith("# What llamachat uses")


@on_posix
def test_what_is_written_is_its_owners_alone(path):
    config.set_value(path, "seed", 1)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_a_file_that_is_no_toml_is_not_touched(path):
    write(path, "temperature = = 1\n")
    with pytest.raises(UsageError, match="config edit"):
        config.set_value(path, "seed", 1)
    assert path.read_text() == "temperature = = 1\n"


@pytest.mark.parametrize("text", ["temperature = = 1\n", "stop = [", "seed = 1\nseed = 2\n"])
def test_who_reads_and_who_changes_a_file_that_is_no_toml_get_the_same_error(path, text):
    write(path, text)
    with pytest.raises(UsageError) as reading:
        config.read(path)
    with pytest.raises(UsageError) as changing:
        config.set_value(path, "seed", 1)
    assert str(changing.value) == str(reading.value)


def test_a_folder_that_cannot_be_written_is_a_storage_error_and_leaves_nothing(tmp_path):
    (tmp_path / "config").write_text("a file where the folder should be")
    with pytest.raises(StorageError, match="config"):
        config.set_value(tmp_path / "config" / "config.toml", "seed", 1)


@on_posix
def test_a_link_to_a_file_kept_elsewhere_stays_one(path, tmp_path):
    kept = write(tmp_path / "dotfiles" / "llamachat.toml", "seed = 1\n")
    path.parent.mkdir()
    path.symlink_to(kept)
    config.set_value(path, "seed", 2)
    assert path.is_symlink()
    assert kept.read_text() == "seed = 2\n"
    assert [file.name for file in kept.parent.iterdir() if file.suffix == ".toml"] == ["llamachat.toml"]


def test_a_key_with_a_dot_stands_in_a_table_and_goes_with_it(tmp_path):
    path = tmp_path / "config.toml"
    config.set_value(path, "sessions.save", value=False)
    config.set_value(path, "temperature", 0.5)
    assert config.read(path).values == {"sessions.save": False, "temperature": 0.5}
    assert "[sessions]" in path.read_text()
    assert config.unset(path, "sessions.save")
    assert not config.unset(path, "sessions.save")
    assert config.read(path).values == {"temperature": 0.5}
    assert "[sessions]" not in path.read_text()
    path.write_text("[sessions]\n\nsave = 3\n")
    with pytest.raises(UsageError, match=r"config\.toml, line 3: sessions\.save takes true or false, not 3"):
        config.read(path)
