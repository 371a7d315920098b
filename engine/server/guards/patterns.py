"""Finds patterns in a reading of a text: RE2, so in linear time whatever the pattern and the text.

A stream asks two things of a matcher: what is found that begins before a place, and from where on
something might be found once more text has come.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import re2

from .findings import Rule
from .pattern_syntax import Bounded, PatternError
from .view import View

Accept = Callable[[str, int, int], tuple[int, int] | None]
"""Given the text and a match: the part of the match that counts, or `None` where none does.

It may look at `CONTEXT_CHARS` characters before the match and at one behind it, and no further:
more is not there in a stream.
"""

CONTEXT_CHARS = 2


def whole(_text: str, start: int, end: int) -> tuple[int, int]:
    """Accept every match as it is."""
    return start, end


@dataclass(frozen=True, slots=True)
class Tail:
    """What goes on behind a match and belongs to it: up to `stop`, which does too if `inclusive`;
    `most_chars` at most. It is taken away as it comes, so its length bounds no hold-back."""

    stop: Bounded
    inclusive: bool
    most_chars: int


@dataclass(frozen=True, slots=True)
class PatternRule:
    """A rule with its pattern."""

    rule: Rule
    pattern: Bounded
    accept: Accept = whole
    tail: Tail | None = None


@dataclass(frozen=True, slots=True)
class Match:
    """A find in places of a view. `anchor` is where it began to match, not after `start`."""

    rule: Rule
    anchor: int
    start: int
    end: int
    tail: Tail | None = None


_MOST_BYTES = 64 << 20
"""Of a compiled pattern and its automaton, which RE2 builds as it meets text."""


class PatternMatcher:
    """Looks for many patterns at once.

    A pattern is tried at every place, also within its own matches: what is found at a place then
    depends on what stands around it alone, and not on where the text was begun to be read.
    """

    def __init__(self, rules: Sequence[PatternRule], *, case_sensitive: bool) -> None:
        """Raises `PatternError` where RE2 does not take a pattern: it names the rule."""
        self._rules = list(rules)
        self._case_sensitive = case_sensitive
        self._compiled = [self._compile(rule) for rule in rules]
        self._longest = max((rule.pattern.most for rule in rules), default=0)
        if not rules:
            return
        self._any = re2.Set.SearchSet(_options(case_sensitive))
        for rule in rules:
            self._any.Add(rule.pattern.loose)
        beginnings = "|".join(rule.pattern.beginnings for rule in rules)
        try:
            self._any.Compile()
            self._beginnings = re2.compile(f"(?:{beginnings})\\z", _options(case_sensitive))
        except re2.error:
            raise PatternError(f"{len(rules)} patterns are too much for one list") from None

    def _compile(self, rule: PatternRule) -> "re2._Regexp":
        try:
            return re2.compile(rule.pattern.source, _options(self._case_sensitive))
        except re2.error as error:
            reason = error.args[0] if error.args else error
            if isinstance(reason, bytes):
                reason = reason.decode(errors="replace")
            raise PatternError(f"{rule.rule.name}: {reason}") from None

    def find(self, view: View, begin: int, until: int) -> Iterator[Match]:
        """The matches whose anchor is from `begin` to before `until`, rule by rule."""
        if self._rules and begin < until:
            for index in self._any.Match(view.data) or ():
                yield from self._find(index, view, begin, until)

    def _find(self, index: int, view: View, begin: int, until: int) -> Iterator[Match]:
        rule, compiled = self._rules[index], self._compiled[index]
        at = begin
        while at < until:
            found = compiled.search(view.data, view.offset(at))
            if found is None:
                return
            anchor, end = view.place(found.start()), view.place(found.end())
            if anchor >= until:
                return
            accepted = rule.accept(view.text, anchor, end)
            if accepted is not None:
                yield Match(rule.rule, anchor, *accepted, rule.tail)
            at = anchor + 1

    def pending(self, view: View, begin: int) -> int:
        """The first place from `begin` on at which a match may begin that more text would change;
        the view's end where there is none."""
        end = len(view.text)
        if not self._rules:
            return end
        first = max(begin, end - self._longest)
        found = self._beginnings.search(view.data, view.offset(first))
        return end if found is None else max(first, view.place(found.start()))


class TailStop:
    """Finds where a tail ends. `of` gives the one of a tail, compiled once."""

    def __init__(self, tail: Tail) -> None:
        self.tail = tail
        self._stop = re2.compile(tail.stop.source, _options(True))
        self._beginnings = re2.compile(f"(?:{tail.stop.beginnings})\\z", _options(True))

    @staticmethod
    @cache
    def of(tail: Tail) -> "TailStop":
        """Tails are those of rules: there are few."""
        return TailStop(tail)

    def end(self, view: View, begin: int, left: int, *, last: bool) -> tuple[int, bool]:
        """Up to which place the text from `begin` on is the tail's, and whether it ends there.

        `left` is how many characters it may still have. `last`: no text follows.
        """
        length = len(view.text)
        limit = begin + left
        found = self._stop.search(view.data, view.offset(begin))
        if found is not None:
            at = view.place(found.start())
            stop = view.place(found.end()) if self.tail.inclusive else at
            if at < limit:
                return stop, True
        if limit <= length and (found is not None or last or self._open(view, begin) >= limit):
            return limit, True
        return (length if last else min(limit, self._open(view, begin))), False

    def _open(self, view: View, begin: int) -> int:
        """From where on the stop may have begun."""
        first = max(begin, len(view.text) - self.tail.stop.most)
        found = self._beginnings.search(view.data, view.offset(first))
        return len(view.text) if found is None else max(first, view.place(found.start()))


def _options(case_sensitive: bool) -> re2.Options:
    options = re2.Options()
    options.case_sensitive = case_sensitive
    options.log_errors = False
    options.never_capture = True
    options.max_mem = _MOST_BYTES
    return options
