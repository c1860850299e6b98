"""Each element of Markdown as a terminal shows it. docs/markdown.md describes the dialect."""

from __future__ import annotations

import pytest

from llamachat.ui.markdown.delimiters import delimiter
from llamachat.ui.markdown.width import clusters, width_of
from llamachat.ui.theme import Background, theme
from tests.ui.markdown_screen import BARE, marked, plain, render

INLINE = {
    "a *b* c": "a <emphasis>b</> c",
    "a **b c** d": "a <strong>b</><strong> c</> d",
    "***a** b*": "<strong emphasis>a</><emphasis> b</>",
    "*a **b** c*": "<emphasis>a</> <strong emphasis>b</><emphasis> c</>",
    "__a b__ _c_": "<strong>a</><strong> b</> <emphasis>c</>",
    "~~a~~ ~b~": "<strike>a</> ~b~",
    "`a *b* c`": "<code>a</><code> *b*</><code> c</>",
    "`` a`b ``": "<code>a`b</>",
    "*a `*` b*": "<emphasis>a</> <emphasis code>*</><emphasis> b</>",
    "`a": "`a",
    "*a": "*a",
    "a* b*": "a* b*",
    "* a*": "<marker>•</> a*",
    "*a\nb*": "*a",
    "2*3*4 and x**2 + y**2": "2*3*4 and x**2 + y**2",
    "(a)*(b)*(c)": "(a)*(b)*(c)",
    "snake_case_name _a_b_": "snake_case_name <emphasis>a_b</>",
    "__init__ and __main__.py": "__init__ and __main__.py",
    "f(*args, **kwargs)": "f(*args, **kwargs)",
    "**강조**입니다": "<strong>강조</>입니다",
    '**"강조"**입니다': '<strong>"강조"</>입니다',
    "그는*매우*컸다": "그는<emphasis>매우</>컸다",
    "**Note:**text": "<strong>Note:</>text",
    "**a *b**": "<strong>a</><strong> *b</>",
    "\\*a\\* \\# \\\\": "*a* # \\",
    "\\(x_1\\) \\[y\\] \\alpha": "\\(x_1\\) \\[y\\] \\alpha",
    "https://a.b/_c_/d_e": "https://a.b/_c_/d_e",
    "[a](b)": "<link>a</> <url>(b)</>",
    "[a b](<c d> 't')": "<link>a</><link> b</> <url>(c</><url> d)</>",
    "[**a**](b_c(d))": "<link strong>a</> <url>(b_c(d))</>",
    "**[a](b)**": "<strong link>a</> <strong url>(b)</>",
    "[https://a.b](https://a.b)": "<link>https://a.b</>",
    "[a][b] [c]: d [1] (e)": "[a][b] [c]: d [1] (e)",
    "[`a[0]`](b)": "<link code>a[0]</> <url>(b)</>",
    "![a](b) !c ![d": "a <url>(b)</> !c ![d",
    "[![a](b)](c)": "<link>a</> <link url>(b)</> <url>(c)</>",
    "[](<>)": "[](<>)",
    "<b>a</b> &amp; <https://a.b>": "<b>a</b> &amp; <https://a.b>",
}


@pytest.mark.parametrize("source", INLINE)
def test_inline(source):
    assert marked(source, 200)[0] == INLINE[source]


def test_emphasis_has_a_thousand_characters_to_close():
    assert marked(f"*{'a' * 999}*", 2000)[0].startswith("<emphasis>")
    assert marked(f"*{'a' * 1001}* b", 2000) == [f"*{'a' * 1001}* b"]


def test_the_rule_of_three_is_commonmarks():
    opener, closer = delimiter("**", 0, "한", "글"), delimiter("*", 3, "한", "글")
    assert not opener.pairs_with(closer)


def test_headings():
    assert marked("# A `b`\n## C\n###### D #\n####### E\n#F") == [
        "<title>A</> <title code>b</>",
        "<heading>C</>",
        "<heading>D</><heading> #</>",
        "####### E",
        "#F",
    ]


def test_there_are_no_underlined_headings():
    assert plain("a\n===\nb\n---\n", 5) == ["a", "===", "b", "─────"]


def test_rules():
    assert plain("***\n- - -\n___\n--\n*-*\n", 5) == ["─────", "─────", "─────", "--", "-"]


def test_a_newline_is_a_line_break_and_blank_lines_are_one():
    assert plain("\n\na\nb  \n\n\n  \nc\n\n") == ["a", "b", "", "c"]


def test_lists_are_as_loose_as_they_are_written():
    source = "- a\n  - b\n    - c\n      - d\n\n- e\n  more of e\n\n  and more\n10. f\n    1) g\n"
    assert plain(source) == [
        "• a", "  ◦ b", "    ▪ c", "      ▪ d", "", "• e", "  more of e", "", "  and more", "10. f", "    1) g",
    ]  # fmt: skip


def test_numbers_stay_as_they_are_written_and_two_columns_nest():
    assert plain("1. a\n  - b\n1. c\n 3. d") == ["1. a", "   • b", "1. c", "3. d"]


def test_tasks():
    assert plain("- [ ] a\n- [x] b\n1. [X] c\n- [x](y)\n- [ ]\n") == ["☐ a", "☑ b", "1. ☑ c", "• x (y)", "• [ ]"]


def test_an_empty_item_has_its_marker():
    assert plain("-\n- a\n-") == ["• ", "• a", "• "]


def test_text_hangs_behind_its_marker():
    assert plain("- one two three\n  1. four five six", 10) == [
        "• one two",
        "  three",
        "  1. four",
        "     five",
        "     six",
    ]


def test_quotes():
    source = "> a\n> > b\n>\n> - c\n>   d\n>\n> ```\n> e\n> ```\nf\n> g\n\n> h"
    assert plain(source) == [
        "│ a", "│ │ b", "│", "│ • c", "│   d", "│", "│ ```", "│ e", "│ ```", "f", "│ g", "", "│ h",
    ]  # fmt: skip


def test_a_quotes_bar_is_on_every_line():
    assert plain("> one two three", 8) == ["│ one", "│ two", "│ three"]


def test_four_columns_outside_a_list_are_preformatted():
    assert plain("    a  *b*\n\tc\n- d\n\n      e *f*") == ["    a  *b*", "    c", "• d", "", "  e f"]


def test_fenced_code_is_shown_as_it_is():
    assert plain("```\n*a*  b\n\n  c\n````\n~~~ x\n```\n~~~\n") == [
        "```",
        "*a*  b",
        "",
        "  c",
        "````",
        "~~~ x",
        "```",
        "~~~",
    ]


def test_a_longer_fence_holds_a_shorter_one():
    assert plain("````markdown\n```\na\n```\n````\n*b*") == ["````markdown", "```", "a", "```", "````", "b"]


def test_a_fence_that_is_not_closed_ends_with_the_answer():
    assert plain("```\na\n\n\n") == ["```", "a"]


def test_backticks_with_text_behind_them_are_no_fence():
    assert marked("```a``` b")[0] == "<code>a</> b"


def test_code_in_a_list_may_be_indented_carelessly():
    assert plain("1. a\n   ```\nb\n     c\n   ```\n2. d") == ["1. a", "   ```", "   b", "     c", "   ```", "2. d"]


def test_a_quotes_end_ends_its_code():
    assert plain("> ```\n> a\n*b*") == ["│ ```", "│ a", "b"]


def test_tabs_in_code_are_columns():
    assert plain("```\na\tb\n\tc\n한\td\n```") == ["```", "a   b", "    c", "한  d", "```"]


def test_long_lines_of_code_are_the_terminals_to_wrap():
    assert plain(f"```\n{'a ' * 30}b\n```", 20)[1] == "a " * 30 + "b"


def test_code_has_colours():
    assert marked('```python\ndef f(x):  # y\n    return "z", 1\n```') == [
        "<fence>```python</>",
        "<keyword>def</> <name>f</>(x):  <comment># y</>",
        '    <keyword>return</> <string>"z"</>, <number>1</>',
        "<fence>```</>",
    ]


@pytest.mark.parametrize(
    ("language", "opening", "closing"),
    [("python", 'x = """', '"""'), ("java", "/**", "*/"), ("javascript", "/*", "*/"), ("html", "<!--", "-->")],
)
def test_strings_and_comments_go_on_over_lines(language, opening, closing):
    look = "string" if language == "python" else "comment"
    lines = marked(f"```{language}\n{opening}\n" + "if it's x\n" * 100 + f"{closing}\nfor\n", 80)
    assert set(lines[2:102]) == {f"<{look}>if it's x</>"}
    assert f"<{look}>" not in lines[-1]


@pytest.mark.parametrize("info", ["", "text", "nosuchlanguage", "{}", "\u202e"])
def test_an_unknown_language_has_no_colours(info):
    assert marked(f"```{info}\ndef f(): pass\n```")[1] == "def f(): pass"


@pytest.mark.parametrize("info", ["python", "Python", "{.python}", "python title='x'", "py"])
def test_the_language_is_the_first_word_of_the_info_string(info):
    assert marked(f"```{info}\nimport x\n```")[1].startswith("<keyword>import</>")


TABLE = "| A | Bee | C |\n|:--|--:|:-:|\n| `x|y` | 1 | *mid* |\n| \\| | 22 | m<br>n |\n| z |\n| 1 | 2 | 3 | 4 |\n"


def test_a_table():
    assert plain(TABLE) == [
        "A   │ Bee │  C",
        "────┼─────┼────",
        "x|y │   1 │ mid",
        "|   │  22 │  m",
        "    │     │  n",
        "z   │     │",
        "1   │   2 │ 3 | 4",
    ]


def test_a_table_is_fitted_to_the_terminal():
    assert plain("| A | B |\n|---|---|\n| one two three | four five six |\n", 20) == [
        "A        │ B",
        "─────────┼─────────",
        "one two  │ four five",
        "three    │ six",
    ]


def test_a_table_with_too_many_columns_becomes_lines():
    assert plain("| A | B |\n|---|---|\n| one two three | four |\n| | six |\n", 12) == [
        "A: one two", "three", "B: four", "B: six",
    ]  # fmt: skip


def test_a_later_row_wraps_within_the_columns():
    source = "| A | B |\n|---|---|\n" + "| a | b |\n" * 3 + "| long | word |\n"
    assert plain(source)[-4:] == ["l │ word", "o │", "n │", "g │"]


def test_bars_without_a_delimiter_row_are_text():
    assert plain("| a | b |\n| c |\nd\n| e") == ["| a | b |", "| c |", "d", "| e"]


def test_a_table_in_a_list_and_a_quote():
    assert plain("- | A |\n  |---|\n  | b |\n\n> | A |\n> |---|\nc") == [
        "• A", "  ─", "  b", "", "│ A", "│ ─", "c",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("source", "width", "lines"),
    [
        ("one two three", 7, ["one two", "three"]),
        ("one two", 6, ["one", "two"]),
        ("a abcdefghij", 4, ["a", "abcd", "efgh", "ij"]),
        ("안녕하세요 여러분", 10, ["안녕하세요", "여러분"]),
        ("안녕하세요", 7, ["안녕하", "세요"]),
        ("日本語の文章", 7, ["日本語", "の文章"]),
        ("あいう。え", 6, ["あい", "う。え"]),
        ("あ「い」う", 4, ["あ", "「い", "」う"]),
        ("ab日本", 4, ["ab日", "本"]),
        ("👩\u200d🚀👩\u200d🚀👩\u200d🚀", 4, ["👩\u200d🚀👩\u200d🚀", "👩\u200d🚀"]),
        ("❤\ufe0f❤\ufe0f", 3, ["❤\ufe0f", "❤\ufe0f"]),
        ("e\u0301e\u0301e\u0301", 2, ["e\u0301e\u0301", "e\u0301"]),
        ("한글", 1, ["한", "글"]),
        ("a  b", 10, ["a  b"]),
        ("a\tb", 10, ["a    b"]),
    ],
)
def test_wrapping(source, width, lines):
    assert plain(source, width) == lines


def test_deep_nesting_leaves_half_of_the_width():
    assert plain("> " * 14 + "one two three four", 12) == ["│ │ │ one", "│ │ │ two", "│ │ │ three", "│ │ │ four"]


def test_markers_deeper_than_sixteen_are_text():
    assert plain(">" * 18 + "a", 80) == ["│ " * 16 + ">>a"]


def test_a_bare_terminal_keeps_the_marks_that_it_cannot_paint():
    bare = theme(Background.DARK, colour=False, attributes=False, encoding="ascii")
    source = "# A\n*b* **c** `d` ~~e~~\n- f\n> g\n- [x] h\n"
    assert render([source], bare, 40).splitlines() == ["# A", "*b* **c** `d` ~~e~~", "* f", "| g", "[x] h"]


def test_nothing_is_shown_of_nothing():
    assert render(["", "\n", " \n\t\n"], BARE, 80) == ""


def test_clusters_have_an_end():
    assert [len(cluster) for cluster in clusters("a" + "\u0301" * 40)] == [16, 16, 9]
    assert width_of("a" + "\u0301" * 40) == 1
