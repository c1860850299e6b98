"""The sandbox: what a template may do, and what ends it."""

from __future__ import annotations

from datetime import datetime

import pytest

from llamachat.errors import ModelError, UsageError
from llamachat.formats.jinja import Template

MESSAGES = [{"role": "user", "content": "hi"}]
DOUBLING = "{%% set ns = namespace(x=%s) %%}{%% for i in range(64) %%}{%% set ns.x = %s %%}{%% endfor %%}%s"


def render(source: str, **options) -> str:
    return Template(source, **options).render(MESSAGES, bos="<s>", eos="</s>", add_generation_prompt=True)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{{ bos_token }}{{ messages[0]['role'] }}: {{ messages[0].content }}{{ eos_token }}", "<s>user: hi</s>"),
        ("{% if add_generation_prompt %}\n  yes\n{% endif %}", "  yes\n"),
        ("  {% if true %}\nx\n  {% endif %}\ny", "x\ny"),
        ("{{ tools is none and documents is none }}", "True"),
        ("{% for i in range(9) %}{% if i == 2 %}{% break %}{% endif %}{{ i }}{% endfor %}", "01"),
        ("{% generation %}{{ 'x' }}{% endgeneration %}y", "xy"),
        ("{{ {'k': '<é>'} | tojson }}", '{"k": "<é>"}'),
        ("{{ {'k': 'é'} | tojson(ensure_ascii=true, separators=(',', ':')) }}", '{"k":"\\u00e9"}'),
        ("{{ {'k': 1} | tojson(indent=2) }}", '{\n  "k": 1\n}'),
        ("{{ 'a\nb' | indent(2) }}", "a\n  b"),
        ("{{ ['a', 1] | join('-') }} {{ messages | join(',', attribute='role') }}", "a-1 user"),
        ("{{ ' x '.strip() ~ 1 ~ none }}", "x1None"),
        ("{{ ','.join(['p', 'q']) }} {{ 'aXb'.replace('X', '-') }} {{ 'aaa' | replace('a', 'b', 2) }}", "p,q a-b bba"),
        ("{{ 3000 * 4000 }} {{ 2 ** 5 }} {{ 7 % 4 }} {{ 5000000 + 1 }}", "12000000 32 3 5000001"),
        ("{{ 'ab' * 2 }} {{ [1] + [2] }}", "abab [1, 2]"),
        ("{% macro m(x) %}[{{ x }}]{% endmacro %}{{ m('y') }}", "[y]"),
        ("{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.n }}", "1"),
        ("{{ messages | selectattr('role', 'equalto', 'user') | map(attribute='content') | list | upper }}", "['HI']"),
        ("{{ dict(a=1).items() | list }} {{ missing is defined }}{{ missing }}", "[('a', 1)] False"),
    ],
)  # fmt: skip
def test_templates_may_use_what_chat_templates_use(source, expected):
    assert render(source) == expected


def test_strftime_now_reads_the_clock_it_was_given():
    assert render("{{ strftime_now('%d %b %Y') }}", now=lambda: datetime(2024, 2, 29)) == "29 Feb 2024"


@pytest.mark.parametrize(
    "source",
    [
        "{{ ().__class__.__base__.__subclasses__() }}",
        "{{ ''['__class__'].mro() }}",
        "{{ '' | attr('__class__') }}",
        "{{ raise_exception.__globals__['os'] }}",
        "{{ raise_exception.__self__.globals }}",
        "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
        "{{ namespace.__init__.__globals__['x'] }}",
        "{{ strftime_now.__code__.co_consts }}",
        "{{ self.__init__.__globals__['x'] }}",
        "{{ '{0.__class__.__init__.__globals__}'.format(raise_exception) }}",
        "{{ messages.append(1) }}",
        "{{ messages[0].update(content='forged') }}",
        "{% include '/etc/passwd' %}",
        "{% import 'os' as os %}",
    ],
)
def test_there_is_no_way_out_to_python(source):
    with pytest.raises(ModelError):
        render(source)


@pytest.mark.parametrize(
    "source",
    [
        "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}",
        "{% macro f(n) %}{% if n %}{{ f(n-1) }}{{ f(n-1) }}{% endif %}{% endmacro %}{{ f(60) }}",
    ],
)
def test_an_endless_loop_is_ended(source):
    with pytest.raises(ModelError, match=r"more than 0\.2 seconds\. Use --format plain"):
        render(source, seconds=0.2)


@pytest.mark.parametrize(
    "source",
    [
        "{% for i in range(100000) %}{{ 'x' * 100 }}{% endfor %}",
        "{% set x %}{% for i in range(100000) %}{{ 'x' * 100 }}{% endfor %}{% endset %}",
        "{% macro m() %}{% for i in range(100000) %}{{ 'x' * 100 }}{% endfor %}{% endmacro %}{{ m() | length }}",
        "{{ 'x' * 1000000000 }}",
        "{{ [0] * 1000000000 }}",
        "{{ 10 ** 1000000000 }}",
        "{% set ns = namespace(x=7) %}{% for i in range(64) %}{% set ns.x = ns.x * ns.x %}{% endfor %}",
        "{{ 'a\nb' | indent(1000000000) }}",
        "{{ [1] | tojson(indent=1000000000) }}",
        "{{ ('x' * 100000).replace('x', 'y' * 100000) }}",
        "{{ ('x' * 100000) | replace('x', 'y' * 100000) }}",
        "{{ ('x' * 100000).join(range(100000)) }}",
        "{{ range(100000) | join('x' * 100000) }}",
        DOUBLING % ("'x'", "ns.x ~ ns.x", ""),
        DOUBLING % ("'x'", "ns.x + ns.x", ""),
        DOUBLING % ("[0]", "ns.x + ns.x", ""),
        DOUBLING % ("[0]", "[ns.x, ns.x]", "{{ ns.x }}"),
        DOUBLING % ("[0]", "[ns.x, ns.x]", "{{ ns.x ~ '' }}"),
        DOUBLING % ("[0]", "[ns.x, ns.x]", "{{ ns.x | string }}"),
        DOUBLING % ("[0]", "[ns.x, ns.x]", "{{ ns.x | tojson }}"),
        DOUBLING % ("[0]", "[ns.x, ns.x]", "{{ raise_exception(ns.x) }}"),
        DOUBLING % ("'&' * 100000", "(ns.x | e) ~ ''", ""),
    ],
)  # fmt: skip
def test_nothing_grows_without_bound(source):
    with pytest.raises(ModelError, match="writes more than such a conversation can need"):
        render(source)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("{{ '%1000000000d' % 1 }}", "formatting with % is not allowed"),
        ("{{ '{:1000000000}'.format(1) }}", "'format' of 'str' object is unsafe"),
        ("{{ 'x'.ljust(1000000000) }}", "'ljust' of 'str' object is unsafe"),
        ("{{ 'x'['zfill'](1000000000) }}", "'zfill' of 'str' object is unsafe"),
        ("{{ (1).to_bytes(1000000000, 'big') }}", "'to_bytes' of 'int' object is unsafe"),
        ("{{ 'x' | center(1000000000) }}", "No filter named 'center'"),
        (DOUBLING % ("[0]", "[ns.x, ns.x]", "{{ ns }}"), "a namespace has no text"),
        ("x" * 300_000, "300,000 characters long"),
    ],
)
def test_what_could_grow_and_is_not_needed_is_not_there(source, reason):
    with pytest.raises(ModelError, match=reason):
        render(source)


def test_a_long_conversation_is_not_too_long():
    template = Template("{% for m in messages %}{{ m.content | trim }}{% endfor %}")
    messages = [{"role": "user", "content": "x" * 1_000_000}] * 5

    assert len(template.render(messages, bos="", eos="", add_generation_prompt=True)) == 5_000_000


@pytest.mark.parametrize(
    "source",
    [
        "{{ x",
        "{% nonsense %}",
        "{{ 1 / 0 }}",
        "{{ " + "(" * 5000 + " }}",
        "{% if 1 %}" * 150 + "{% endif %}" * 150,
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "{{ none.x.y }}",
    ],
)
def test_a_broken_template_is_one_line_with_a_way_on(source):
    with pytest.raises(ModelError, match="the model's chat template fails") as caught:
        render(source)

    assert "\n" not in str(caught.value)
    assert "--format plain" in caught.value.hint


def test_a_template_that_does_not_compile_is_refused_when_it_is_made():
    with pytest.raises(ModelError):
        Template("{% for %}")


def test_what_a_template_refuses_is_the_users_to_mend():
    with pytest.raises(UsageError, match=r"refuses this conversation: Roles must alternate\.$"):
        render("{{ raise_exception('Roles must\n alternate.') }}")


def test_a_refusal_cannot_speak_to_the_terminal():
    with pytest.raises(UsageError) as caught:
        render("{{ raise_exception('\x1b[2J' ~ 'x' * 5000) }}")

    assert "\x1b" not in caught.value.message
    assert len(caught.value.message) < 300


def test_the_literals_are_the_strings_of_its_expressions():
    literals = Template("text {{ '</think>' in messages[0].content }}{% if 'x' == \"y\" %}{% endif %}").literals

    assert literals == {"</think>", "x", "y"}
