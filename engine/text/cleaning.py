"""Text from outside (model output, names, labels, files) made safe to show in a terminal."""

import re

_REMOVED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, bidirectional overrides and isolates, and surrogates, which are no text.

All else stays: joiners, emoji, private use, and characters newer than Python's Unicode tables.
"""

_SPACES = re.compile("[\t\u2028\u2029]")
"""Tabs, and Unicode's line and paragraph separators, at which programs break lines."""


def clean(text: str, *, keep_newlines: bool = False) -> str:
    """Return `text` without control characters and bidirectional overrides.

    Tabs become spaces; newlines are kept only on request, and become spaces otherwise, so that
    a label stays on its line. A terminal escape thus loses the byte that made it one.
    """
    if text.isascii() and text.isprintable():
        return text
    text = _REMOVED.sub("", _SPACES.sub(" ", text))
    return text if keep_newlines else text.replace("\n", " ")


def escape_json(text: str) -> str:
    """JSON text that says the same, with escapes in place of what `clean` would remove.

    JSON itself forbids only some of it within strings, and there alone it can stand.
    """
    if text.isascii() and text.isprintable():
        return text
    return _REMOVED.sub(lambda match: f"\\u{ord(match.group()):04x}", text)
