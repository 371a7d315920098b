"""A text as the guards read it, with the way back from each of its places to the original."""

import re
from functools import cached_property

from .folding import FOLDED, LEET_TABLE, PLAIN, RAW, SKELETON, CharTable
from .look_alikes import LEET_SIGNS

_SPACES = re.compile("  +")


class View:
    """`original` through a table; with `one_space`, spaces in a row are read as one.

    Places are counted in characters of the view, origins in characters of the original. `data` is
    the view as UTF-8, for RE2.
    """

    def __init__(self, original: str, table: CharTable, *, one_space: bool) -> None:
        self.original = original
        self.text = original.translate(table)
        self._table, self._one_space = table, one_space
        if one_space and "  " in self.text:
            self.text = _SPACES.sub(" ", self.text)

    @cached_property
    def data(self) -> bytes:
        """The text in UTF-8."""
        return self.text.encode()

    def place(self, offset: int) -> int:
        """The place of a byte of `data`."""
        return offset if self._one_byte else len(self.data[:offset].decode())

    def offset(self, place: int) -> int:
        """The byte of `data` at which a place begins."""
        return place if self._one_byte else len(self.text[:place].encode())

    def origin(self, place: int) -> int:
        """Where in the original the character at `place` is; its length for the end."""
        if self._identical:
            return place
        return self._origins[place] if place < len(self._origins) else len(self.original)

    def origin_end(self, place: int) -> int:
        """Behind the original character that the one before `place` (above 0) is read from."""
        return place if self._identical else self._origins[place - 1] + 1

    def first_place(self, origin: int) -> int:
        """The first place read from the original's character `origin` or a later one."""
        if self._identical:
            return origin
        low, high = 0, len(self._origins)
        while low < high:
            middle = (low + high) // 2
            if self._origins[middle] < origin:
                low = middle + 1
            else:
                high = middle
        return low

    @cached_property
    def _one_byte(self) -> bool:
        return self.text.isascii()

    @cached_property
    def _identical(self) -> bool:
        """Whether every place is its own origin: of ASCII no character becomes more than one."""
        return self.original.isascii() and len(self.text) == len(self.original)

    @cached_property
    def _origins(self) -> list[int]:
        origins: list[int] = []
        after_space = False
        for origin, char in enumerate(self.original):
            for read in self._table[ord(char)]:
                if not (self._one_space and after_space and read == " "):
                    origins.append(origin)
                after_space = read == " "
        return origins


class Window:
    """A piece of text to be judged, in every reading, each made when it is first asked for.

    `context` characters at its begin were judged before: nothing is found there, but a letter that
    stands right behind another one begins no word. `last`: nothing follows the piece.
    """

    def __init__(self, text: str, *, context: int = 0, last: bool = True) -> None:
        self.text, self.context, self.last = text, context, last

    @cached_property
    def raw(self) -> View:
        """As it stands, hidden characters included."""
        return View(self.text, RAW, one_space=False)

    @cached_property
    def plain(self) -> View:
        """Case kept, line ends kept."""
        return View(self.text, PLAIN, one_space=False)

    @cached_property
    def folded(self) -> View:
        """Caseless, one space between words."""
        return View(self.text, FOLDED, one_space=True)

    @cached_property
    def skeleton(self) -> View:
        """Look-alikes read as Latin; the same as `folded` where there can be none."""
        return self.folded if self.text.isascii() else View(self.text, SKELETON, one_space=True)

    @cached_property
    def leet(self) -> str | None:
        """The skeleton's text with signs read as letters, place for place; `None`: no signs."""
        text = self.skeleton.text
        return None if LEET_SIGNS.isdisjoint(text) else text.translate(LEET_TABLE)

    @property
    def caseless(self) -> tuple[View, ...]:
        """The readings in which words are looked for."""
        folded, skeleton = self.folded, self.skeleton
        return (folded,) if folded is skeleton else (folded, skeleton)


def fold(text: str) -> str:
    """A word of a list as `Window.folded` reads it."""
    return View(text.strip(), FOLDED, one_space=True).text.strip()


def skeleton(text: str) -> str:
    """A word of a list as `Window.skeleton` reads it."""
    return View(text.strip(), SKELETON, one_space=True).text.strip()
