"""Links and images: `[text](url "title")`, `![alt](url)`.

The text may hold one level of brackets, the URL one of parentheses. `LINK` says what is one, `MAYBE_LINK` what
may become one with more text: where it does not match, no text can help.
"""

from __future__ import annotations

import re

_TEXT = r"(?:[^\[\]\\]|\\[^\[\]]|\\?\[[^\[\]]*\])*+"
_PLAIN_URL = r"(?!<)(?:[^\s()\\]|\\\S|\([^\s()]*\))*+"
_TITLE = r"""(?:"[^"]*"|'[^']*')"""

LINK = re.compile(rf"!?\[(?P<text>{_TEXT})\]\( *(?:<(?P<quoted>[^<>]*)>|(?P<url>{_PLAIN_URL}))(?: +{_TITLE})? *\)")
MAYBE_LINK = re.compile(
    rf"!?\[{_TEXT}(?:\\|\\?\[[^\[\]]*)?"
    rf"(?:\]|\]\( *(?:<[^<>]*|(?:<[^<>]*>|{_PLAIN_URL}(?:\\|\([^\s()]*)?)(?: +(?:\"[^\"]*|'[^']*|{_TITLE} *)?)?)?)?\Z"
)
