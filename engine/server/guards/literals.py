"""Finds words and phrases: Aho-Corasick's automaton, one pass over a text for all of them.

A word of a list is found as a word: not within another one, unless its rule says so. Scripts that
put no space between words (Chinese, Japanese, Thai, Lao, Khmer, Burmese) have no such bound.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import ahocorasick

from .findings import Rule
from .look_alikes import LEET_SIGNS
from .patterns import Match
from .view import View, Window, fold, read_signs, skeleton

SHORTEST_LEET = 4
"""Shorter words are too often numbers and codes to be looked for in signs."""

_UNSPACED = (("\u0e00", "\u0eff"), ("\u1000", "\u109f"), ("\u1780", "\u17ff"), ("\u3005", "\u30ff"),
             ("\u3400", "\u9fff"), ("\U00020000", "\U0003ffff"))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Word:
    """A word or phrase of a rule. `inside`: also within longer words."""

    rule: Rule
    text: str
    inside: bool = False


@dataclass(frozen=True, slots=True)
class _Entry:
    rule: Rule
    length: int
    bound_before: bool
    bound_after: bool


class WordMatcher:
    """Looks for many words at once, whatever their case, script look-alikes and hidden characters.

    All occurrences are found, also those within each other.
    """

    def __init__(self, words: Sequence[Word]) -> None:
        self._automaton, self._leet = ahocorasick.Automaton(), ahocorasick.Automaton()
        self._longest = 0
        for word in words:
            for text in {fold(word.text), skeleton(word.text)} - {""}:
                self._add(self._automaton, text, word)
                signs = read_signs(text)
                if len(text) >= SHORTEST_LEET:
                    self._add(self._leet, signs, word)
        self.is_empty = not len(self._automaton)
        # Without a word an automaton cannot be made, and is not asked.
        self._has_leet = len(self._leet) > 0
        if not self.is_empty:
            self._automaton.make_automaton()
        if self._has_leet:
            self._leet.make_automaton()

    def _add(self, automaton: "ahocorasick.Automaton", text: str, word: Word) -> None:
        entry = _Entry(
            word.rule,
            len(text),
            not word.inside and _has_bounds(text[0]),
            not word.inside and _has_bounds(text[-1]),
        )
        entries: list[_Entry] = automaton.get(text, [])
        if entry not in entries:
            automaton.add_word(text, [*entries, entry])
        self._longest = max(self._longest, len(text))

    def find(self, window: Window, view: View, begin: int, until: int) -> Iterator[Match]:
        """The matches in a caseless reading that begin from `begin` to before `until`."""
        if not self.is_empty:
            yield from self._find(self._automaton, view.text, begin, until)
        leet = view.leet if self._has_leet and view is window.skeleton else None
        if leet is not None:
            for match in self._find(self._leet, leet, begin, until):
                written = view.text[match.start : match.end]
                if not LEET_SIGNS.isdisjoint(written) and any(map(str.isalpha, written)):
                    yield match

    def _find(
        self, automaton: "ahocorasick.Automaton", text: str, begin: int, until: int
    ) -> Iterator[Match]:
        for last, entries in automaton.iter(text, begin):
            end = last + 1
            for entry in entries:
                start = end - entry.length
                if begin <= start < until and _is_bounded(text, start, end, entry):
                    yield Match(entry.rule, start, start, end)

    def pending(self, window: Window, view: View, begin: int) -> int:
        """As `PatternMatcher.pending`."""
        if self.is_empty:
            return len(view.text)
        place = self._pending(self._automaton, view.text, begin)
        leet = view.leet if self._has_leet and view is window.skeleton else None
        return place if leet is None else min(place, self._pending(self._leet, leet, begin))

    def _pending(self, automaton: "ahocorasick.Automaton", text: str, begin: int) -> int:
        for start in range(max(begin, len(text) - self._longest), len(text)):
            if automaton.match(text[start:]):
                return start
        return len(text)


def _has_bounds(char: str) -> bool:
    return char.isalnum() and not any(low <= char <= high for low, high in _UNSPACED)


def _is_bounded(text: str, start: int, end: int, entry: _Entry) -> bool:
    before = entry.bound_before and start > 0 and _has_bounds(text[start - 1])
    after = entry.bound_after and end < len(text) and _has_bounds(text[end])
    return not (before or after)
