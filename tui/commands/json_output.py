"""JSON on stdout: one object a line, with escapes in place of control characters from outside."""

import msgspec

from ...engine.text.cleaning import escape_json


def print_json(value: object) -> None:
    """Print a value that msgspec can encode as one line."""
    print(escape_json(msgspec.json.encode(value).decode()), flush=True)
