"""One guard of text: its words and patterns, and where in a piece of a text they are."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .findings import Rule
from .literals import Word, WordMatcher
from .patterns import Match, PatternMatcher, PatternRule, Tail
from .view import View, Window


@dataclass(frozen=True, slots=True)
class Found:
    """A match in characters of a window's text; `anchor` is where it began to match, `taken` up to
    where text is taken away if it is redacted."""

    guard: str
    rule: Rule
    anchor: int
    start: int
    end: int
    taken: int
    tail: Tail | None


class TextGuard:
    """Finds what its rules are about.

    `caseless` patterns read text as words are read: folded, look-alikes as Latin. `exact` ones
    read it with its case, and without what is invisible; `hidden` ones exactly as it stands.
    `closes`: where the guard itself fails, nothing passes.
    """

    def __init__(
        self,
        name: str,
        *,
        words: Sequence[Word] = (),
        caseless: Sequence[PatternRule] = (),
        exact: Sequence[PatternRule] = (),
        hidden: Sequence[PatternRule] = (),
        closes: bool = True,
    ) -> None:
        """Raises `PatternError` for a pattern that RE2 does not take."""
        self.name, self.closes = name, closes
        self._words = WordMatcher(words)
        self._caseless = PatternMatcher(caseless, case_sensitive=False)
        self._exact = PatternMatcher(exact, case_sensitive=True)
        self._hidden = PatternMatcher(hidden, case_sensitive=True)
        self._reads_caseless = bool(words or caseless)
        self._reads_exact, self._reads_hidden = bool(exact), bool(hidden)

    def settled(self, window: Window) -> int:
        """Up to which character of the window more text changes nothing of what is found."""
        if window.last:
            return len(window.text)
        settled = len(window.text)
        if self._reads_caseless:
            for view in window.caseless:
                begin = view.first_place(window.context)
                place = min(
                    self._words.pending(window, view, begin), self._caseless.pending(view, begin)
                )
                settled = min(settled, view.origin(place))
        for matcher, view in self._cased(window):
            place = matcher.pending(view, view.first_place(window.context))
            settled = min(settled, view.origin(place))
        return settled

    def find(self, window: Window, until: int) -> Iterator[Found]:
        """What begins to match between the window's context and its character `until`."""
        if self._reads_caseless:
            for view in window.caseless:
                begin, end = view.first_place(window.context), view.first_place(until)
                yield from self._located(view, self._words.find(window, view, begin, end))
                yield from self._located(view, self._caseless.find(view, begin, end))
        for matcher, view in self._cased(window):
            begin, end = view.first_place(window.context), view.first_place(until)
            yield from self._located(view, matcher.find(view, begin, end))

    def _cased(self, window: Window) -> Iterator[tuple[PatternMatcher, View]]:
        if self._reads_exact:
            yield self._exact, window.plain
        if self._reads_hidden and not window.text.isascii():
            yield self._hidden, window.raw

    def _located(self, view: View, matches: Iterator[Match]) -> Iterator[Found]:
        for match in matches:
            anchor, start = view.origin(match.anchor), view.origin(match.start)
            end = view.origin_end(match.end)
            yield Found(self.name, match.rule, anchor, start, end, end, match.tail)
