"""Code is found in an answer wherever a model puts it, and comes out as it was meant."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamachat.chat.code import code_blocks, code_spans, has_open_fence


@pytest.mark.parametrize(
    ("markdown", "blocks"),
    [
        ("no code, `x` apart", ()),
        ("```python\nprint(1)\n```\n", ("print(1)",)),
        ("a\n~~~\n```\n~~~\nb", ("```",)),
        ("````\n```\ninner\n```\n````", ("```\ninner\n```",)),
        ("```\na\n`````", ("a",)),  # a longer fence closes, too
        ("```\na\n``\n```", ("a\n``",)),
        ("```\na\n```python\nb\n```", ("a\n```python\nb",)),  # a closing fence names no language
        ("```a`b\ntext", ()),  # inline code, not a fence
        ("~~~a`b~\ncode\n~~~", ("code",)),
        ("``` \n\n x\n\n```\n", ("\n x\n",)),
        ("```\n```", ("",)),
        ("```\r\na\r\n```\r\n", ("a\r",)),
        ("one\n```\na\n```\ntwo\n```\nb\n```\n", ("a", "b")),
        ("say ```\nx", ()),  # in the middle of a line
    ],
)
def test_fences_are_commonmarks(markdown, blocks):
    assert code_blocks(markdown) == blocks


@pytest.mark.parametrize(
    ("markdown", "blocks"),
    [
        ("1. Do:\n\n   ```sh\n   ls\n     -l\n   ```\n2. Done", ("ls\n  -l",)),
        ("- ```\n  a\n  ```\n- b", ("a",)),
        ("- one\n    - two\n\n      ```\n      a\n      ```\n", ("a",)),
        ("10. x\n\n\t```\n\ta\n\t\tb\n\t```\n", ("a\n\tb",)),
        ("- x\n\n   ```\nless indented\n   ```\n", ("less indented",)),
        ("> ```\n> a\n>   b\n>\n> ```\n> text", ("a\n  b\n",)),
        ("> > ```\n> > a\n> > ```", ("a",)),
        ("> - ```\n>   a\n>   ```", ("a",)),
        ("> ```\n> a\nthe quote has ended\n\n```\nb\n```", ("a", "b")),
        ("> ```\n> > a > b\n> ```", ("> a > b",)),
        ("    ```\n    shown, not meant\n    ```\n", ()),
        ("- x\n\ntext\n\n    ```\n    after the list\n", ()),
    ],
)
def test_lists_and_quotes_around_a_block_are_taken_off(markdown, blocks):
    assert code_blocks(markdown) == blocks


def test_a_block_that_is_not_closed_ends_with_the_text():
    assert code_blocks("```\na\nb") == ("a\nb",)
    assert code_blocks("```\na\n") == ("a",)
    assert code_blocks("```") == ("",)


@pytest.mark.parametrize(
    ("text", "is_open"),
    [
        ("```", True),
        ("```\ncode\n", True),
        ("```\ncode\n```", False),
        ("~~~\n```", True),
        ("```\n    ```", True),
        ("````\n```\n", True),
        ("> ```\n> a\n\nafter", False),
        ("plain", False),
        ("", False),
    ],
)
def test_a_draft_knows_whether_a_fence_is_open(text, is_open):
    assert has_open_fence(text) is is_open


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("a `b` c", ["`b`"]),
        ("``a ` b`` `c`", ["``a ` b``", "`c`"]),
        ("`a\nb`", ["`a\nb`"]),
        ("`a\n\nb`", []),  # a paragraph's end
        ("a ` b", []),
        ("`a`\n```\nx `\n```\n`b`", ["`a`", "```\nx `\n```\n", "`b`"]),
        ("x\n```\nopen `", ["```\nopen `"]),
    ],
)
def test_code_in_a_line_and_in_fences_is_found_with_its_place(text, code):
    assert [text[start:end] for start, end in code_spans(text)] == code


@given(st.text(alphabet="`~> -1.\n\ta", max_size=60))
def test_any_text_gives_places_in_order_within_it(text):
    edges = [edge for span in code_spans(text) for edge in span]
    assert edges == sorted(edges)
    assert all(0 <= edge <= len(text) for edge in edges)


@given(st.text(alphabet="`~>-\n ab", max_size=40), st.sampled_from("`~"))
def test_code_in_a_fence_longer_than_any_in_it_comes_back_whole(code, mark):
    fence = mark * 41
    assert code_blocks(f"{fence}\n{code}\n{fence}\n") == (code,)
