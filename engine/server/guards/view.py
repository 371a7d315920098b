"""A text as the guards read it, with the way back from each of its places to the original."""

import re
from collections.abc import Sequence
from itertools import chain, repeat

from .folding import FOLDED, PLAIN, SKELETON, CharTable
from .look_alikes import LEET, LEET_SIGNS
from .table_reading import LEAST_CHARS, Places, TableReader, kept_places


class _SameReadings(dict[int, bool]):
    """Whether a code point is read the same with look-alikes as Latin."""

    def __missing__(self, code: int) -> bool:
        same = self[code] = FOLDED[code] == SKELETON[code]
        return same


_SAME = _SameReadings()
_READERS = {id(table): TableReader(table) for table in (PLAIN, FOLDED, SKELETON)}
_SPACES = re.compile("  +")
_SURROGATES = re.compile("[\ud800-\udfff]")


class View:
    """`original` through a table; with `one_space`, spaces in a row are read as one.

    Places are counted in characters of the view, origins in characters of the original. `data` is
    the view as UTF-8, for RE2.
    """

    def __init__(self, original: str, table: CharTable | None, *, one_space: bool) -> None:
        """`table` `None`: as it stands, but for surrogates, which cannot be encoded."""
        self._read: tuple[str, Places | None] | None = None
        if table is None:
            text = _SURROGATES.sub("\ufffd", original)
        elif len(original) < LEAST_CHARS or original.isascii():
            text = original.translate(table)
        else:
            self._read = _READERS[id(table)].read(original)
            text = self._read[0]
        if one_space and "  " in text:
            text = _SPACES.sub(" ", text)
        self.original, self.text, self.data = original, text, text.encode()
        self._table, self._one_space = table, one_space
        self._one_byte = len(self.data) == len(text)
        # Every place is its own origin: of ASCII no character becomes more than one.
        self._identical = len(text) == len(original) and (table is None or original.isascii())
        self._origins_or_none: Sequence[int] | None = None
        # Both guards of words ask for it; a tuple, as there may be none.
        self._leet: tuple[str, ...] | None = None

    @property
    def leet(self) -> str | None:
        """The text with signs read as letters, place for place; `None`: it has no signs."""
        if self._leet is None:
            self._leet = () if LEET_SIGNS.isdisjoint(self.text) else (read_signs(self.text),)
        return self._leet[0] if self._leet else None

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
        if self._identical or origin == 0:
            return origin
        if origin >= len(self.original):
            return len(self.text)
        low, high = 0, len(self._origins)
        while low < high:
            middle = (low + high) // 2
            if self._origins[middle] < origin:
                low = middle + 1
            else:
                high = middle
        return low

    @property
    def _origins(self) -> Sequence[int]:
        """The origin of each place; traced when the first of them is asked for."""
        if self._origins_or_none is None:
            self._origins_or_none = self._traced()
        return self._origins_or_none

    def _traced(self) -> Sequence[int]:
        if self._table is None:
            return range(len(self.original))
        if self._read is not None:
            return self._traced_by_table(*self._read)
        return self._traced_by_char(self._table)

    def _traced_by_table(self, read: str, places: Places | None) -> Sequence[int]:
        if len(read) == len(self.text):
            return range(len(self.original)) if places is None else places.tolist()
        kept = kept_places(read)
        origins: list[int] = (kept if places is None else places[kept]).tolist()
        return origins

    def _traced_by_char(self, table: CharTable) -> Sequence[int]:
        origins: Sequence[int] = range(len(self.original))
        if any(len(table[ord(char)]) != 1 for char in set(self.original)):
            lengths = map(len, map(table.__getitem__, map(ord, self.original)))
            origins = list(chain.from_iterable(map(repeat, origins, lengths)))
        read = self.original.translate(table)
        if not self._one_space or len(read) == len(self.text):
            return origins
        # Of a row of spaces only the first has a place.
        kept = zip(origins, read, f"x{read}", strict=False)
        return [origin for origin, char, before in kept if char != " " or before != " "]


class Window:
    """A piece of text to be judged, in every reading, each made when it is first asked for.

    `context` characters at its begin were judged before: nothing is found there, but a letter that
    stands right behind another one begins no word. `last`: nothing follows the piece.
    """

    def __init__(self, text: str, *, context: int = 0, last: bool = True) -> None:
        self.text, self.context, self.last = text, context, last
        self._raw: View | None = None
        self._plain: View | None = None
        self._caseless: tuple[View, ...] | None = None

    # Not `functools.cached_property`: until Python 3.12 it takes a lock, which took a quarter of
    # the time that a piece of a stream is judged in.

    @property
    def raw(self) -> View:
        """As it stands, hidden characters included."""
        if self._raw is None:
            self._raw = View(self.text, None, one_space=False)
        return self._raw

    @property
    def plain(self) -> View:
        """Case kept, line ends kept."""
        if self._plain is None:
            self._plain = View(self.text, PLAIN, one_space=False)
        return self._plain

    @property
    def caseless(self) -> tuple[View, ...]:
        """Without case, one space between words; and, where there are look-alikes, the same with
        them read as Latin, last. Words are looked for in both."""
        if self._caseless is None:
            folded = View(self.text, FOLDED, one_space=True)
            same = self.text.isascii() or all(map(_SAME.__getitem__, map(ord, set(self.text))))
            latin = () if same else (View(self.text, SKELETON, one_space=True),)
            self._caseless = (folded, *latin)
        return self._caseless

    @property
    def skeleton(self) -> View:
        """The reading of `caseless` in which look-alikes are Latin."""
        return self.caseless[-1]


def read_signs(text: str) -> str:
    """A text with signs read as letters. Beyond ASCII `str.translate` takes ten times as long."""
    for sign, letter in LEET.items():
        text = text.replace(sign, letter)
    return text


def fold(text: str) -> str:
    """A word of a list as `Window.folded` reads it."""
    return View(text.strip(), FOLDED, one_space=True).text.strip()


def skeleton(text: str) -> str:
    """A word of a list as `Window.skeleton` reads it."""
    return View(text.strip(), SKELETON, one_space=True).text.strip()
