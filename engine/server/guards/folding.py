"""How one character is read by the guards: four readings, each without regard to its neighbours.

Folding a text character by character is what makes it the same however the text is cut, and what
lets every place of the folded text be found again in the original.

`PLAIN`: NFKD, without what is invisible; case is kept. `FOLDED`: caseless as well. `SKELETON`:
look-alikes of other scripts read as Latin. All three drop combining marks.
"""

import unicodedata
from collections.abc import Callable

from .look_alikes import CAPITALS, LOOK_ALIKES, PUNCTUATION

_MOST_KEPT = 1 << 16
"""Code points whose reading is remembered: more than texts that people write hold."""

_SPACES = frozenset("\t\x0b\x0c\x1c\x1d\x1e\x1f\x85\u2028\u2029\u2800")
"""Beside category Zs; the last one is Braille's empty cell."""
_IGNORED = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0\u2065")
"""What Unicode calls default ignorable beside formats and variation selectors."""


def is_invisible(char: str) -> bool:
    """Whether a character is drawn as nothing of its own: controls, formats (zero width, bidi),
    variation selectors, fillers, combining marks."""
    if char < "\x7f":
        return char < " " and char not in "\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f"
    code = ord(char)
    return (
        char in _IGNORED
        or unicodedata.combining(char) != 0
        or 0xFE00 <= code <= 0xFE0F
        or 0x180B <= code <= 0x180F
        or 0xE0000 <= code <= 0xE0FFF
        or (unicodedata.category(char) in {"Cf", "Cc", "Me"} and char not in _SPACES)
    )


def is_blank(char: str) -> bool:
    """Whether a character is invisible or a space of any kind."""
    return char.isspace() or char == "\u2800" or is_invisible(char)


def _visible(text: str) -> str:
    return "".join(char for char in text if not is_invisible(char))


def _plain(char: str) -> str:
    if char in "\n\r":
        return "\n"
    if char in _SPACES or unicodedata.category(char) == "Zs":
        return " "
    if "\ud800" <= char <= "\udfff":
        return "\ufffd"
    if is_invisible(char):
        return ""
    digit = unicodedata.decimal(char, None)
    if digit is not None:
        return str(digit)
    if char in PUNCTUATION:
        return PUNCTUATION[char]
    text = _visible(unicodedata.normalize("NFKD", char))
    return "".join(PUNCTUATION.get(each, each) for each in text)


def _folded(char: str) -> str:
    text = unicodedata.normalize("NFKD", _plain(char).casefold())
    return _visible(text).replace("\n", " ")


def _skeleton(char: str) -> str:
    # As it stands first: Unicode reads the lunate sigma, which looks like c, as a sigma.
    for table, read in ((CAPITALS, char), (LOOK_ALIKES, char), (LOOK_ALIKES, char.casefold())):
        if read in table:
            return table[read]
    return "".join(LOOK_ALIKES.get(each, each) for each in _folded(char))


class CharTable(dict[int, str]):
    """For `str.translate`: the reading of each code point, worked out when it is first met."""

    def __init__(self, reading: Callable[[str], str]) -> None:
        super().__init__()
        self._reading = reading

    def __missing__(self, code: int) -> str:
        text = self._reading(chr(code))
        if len(self) < _MOST_KEPT:
            self[code] = text
        return text


PLAIN = CharTable(_plain)
FOLDED = CharTable(_folded)
SKELETON = CharTable(_skeleton)
