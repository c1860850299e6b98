"""The table of keys: what /help says is what the keys do."""

from __future__ import annotations

import pytest

from llamachat.ui.keys import KEYS, TABLE
from tests.ui.typing import desk


@pytest.mark.parametrize("key", TABLE, ids=lambda key: key.name)
def test_each_row_of_the_table_has_a_binding_for_each_of_its_keys(key):
    with desk() as chat:
        app = chat.prompt._session.app
        bound = {
            tuple(getattr(part, "value", part) for part in binding.keys)
            for bindings in (app.key_bindings, app._default_bindings)
            for binding in bindings.bindings
        }
    for sequence in key.sequences:
        names = tuple({"enter": "c-m", "tab": "c-i"}.get(part, part) for part in sequence)
        assert names in bound


def test_help_has_every_row_and_the_slash():
    assert [name for name, _ in KEYS] == [*(key.name for key in TABLE), "//text"]
