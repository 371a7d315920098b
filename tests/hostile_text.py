"""Text that would take a terminal over, and how to see in what a terminal got that it did not.

Each piece is one way to do it: an OSC title with BEL, a CSI in 7 and 8 bits, a bidirectional
override and isolate, a carriage return, a backspace, a newline, a lone surrogate.
"""

import re

WORD = "PWNED"
PIECES = {
    "title": f"\x1b]0;{WORD}\x07",
    "clear": f"\x1b[2J{WORD}",
    "8-bit CSI": f"\x9b31m{WORD}",
    "8-bit OSC": f"\x9d0;{WORD}\x9c",
    "override": f"\u202e{WORD}",
    "isolate": f"\u2066{WORD}",
    "return": f"{WORD}\r{WORD}",
    "backspace": f"{WORD}\b\b",
    "newline": f"{WORD}\n{WORD}",
    "delete": f"{WORD}\x7f",
}
SURROGATE = f"{WORD}\udc9b{WORD}"
"""What Python makes of a name that is not UTF-8: the byte 0x9b."""
HOSTILE = "".join(PIECES.values())
NAME = HOSTILE.replace("\n", "").replace("/", "")
"""For names of files, of which many programs read lists by the line."""

_OWN = re.compile(r"\x1b\[[0-9;]*m|\r\x1b\[K|\r\n|\n")
"""What commands print themselves: Rich's styles, the status line, ends of lines."""
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_POINTER = re.compile("\x1b\\]22;[a-z-]*\x07")
"""Textual sets the pointer's shape."""
_NEVER_DRAWN = re.compile(rf"\x1b\[2J{WORD}|\x1b\]|[\x07\x08\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def found_in_command(printed: bytes) -> list[str]:
    """The controls that a command printed and that are not its own, with what stands around."""
    text = _OWN.sub("\n", printed.decode(errors="surrogateescape")).replace("\n", "")
    return [_around(text, match) for match in _CONTROLS.finditer(text)]


def found_on_screen(drawn: bytes) -> list[str]:
    """The same of the screen, which sends many escapes of its own, but none of these."""
    text = _POINTER.sub("", drawn.decode(errors="surrogateescape"))
    return [_around(text, match) for match in _NEVER_DRAWN.finditer(text)]


def broken_lines(printed: bytes) -> list[str]:
    """Where a line that was to be one is two."""
    return re.findall(rf"{WORD}\r?\n{WORD}", printed.decode(errors="replace"))


def _around(text: str, match: re.Match[str]) -> str:
    return ascii(text[max(0, match.start() - 20) : match.end() + 20])
