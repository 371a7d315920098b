"""The patterns that lists may hold: a subset of RE2's syntax, each of bounded length.

A pattern is read into a tree, which gives what RE2 alone does not tell: the longest text that it
matches, and the pattern of all *beginnings* of its matches, by which a stream knows what it must
hold back. RE2 does the matching, in time linear in the text.
"""

from dataclasses import dataclass

from ...protocol.errors import BadInputError

MOST_REPEATS = 64
"""What `*`, `+` and `{n,}` stand for at most: a match of no bound could be held back for ever."""

MOST_CHARS = 512
"""The longest match of a pattern, in characters."""

_DEEPEST = 16
_MOST_COUNTED = 3
"""The longest repeat that `Bounded.loose` still counts."""

_CLASS_ESCAPES = frozenset("dDwWsS")
_BOUNDARIES = frozenset("bB")
_PLAIN_ESCAPES = {"n": r"\n", "t": r"\t", "r": r"\r", "f": r"\f", "v": r"\v"}


class PatternError(BadInputError):
    """A pattern that cannot be used: says what about it."""


@dataclass(frozen=True, slots=True)
class Bounded:
    """A pattern as RE2 takes it. Matches have `least` to `most` characters.

    `loose` matches all that `source` does, and more: long repeats have no bound in it, since an
    automaton that counts is large. `beginnings` matches whatever may become a match of `source`,
    whole matches too, and is as loose.

    `one_char`: a character and nothing else, so that nothing is between no and a whole match.
    """

    source: str
    loose: str
    beginnings: str
    least: int
    most: int
    one_char: bool = False


_EMPTY = Bounded("", "", "", 0, 0)


def read_pattern(text: str) -> Bounded:
    """Read a pattern. Raises `PatternError`, with the place, for what is not in the subset."""
    reader = _Reader(text)
    pattern = reader.alternatives()
    if reader.at < len(text):
        raise reader.error("`)` without `(`")
    if pattern.least == 0:
        raise PatternError("matches the empty text")
    if pattern.most > MOST_CHARS:
        raise PatternError(
            f"may match {pattern.most} characters, more than {MOST_CHARS}: bound its repeats"
        )
    return pattern


class _Reader:
    def __init__(self, text: str) -> None:
        self.text, self.at, self.depth = text, 0, 0

    def error(self, what: str) -> PatternError:
        return PatternError(f"{what}, at character {self.at + 1}")

    def alternatives(self) -> Bounded:
        branches = [self._sequence()]
        while self._take("|"):
            branches.append(self._sequence())
        return branches[0] if len(branches) == 1 else _either(branches)

    def _sequence(self) -> Bounded:
        parts: list[Bounded] = []
        while self.at < len(self.text) and self.text[self.at] not in "|)":
            parts.append(self._repeated(self._one()))
        return _joined(parts)

    def _one(self) -> Bounded:
        char = self.text[self.at]
        if char in "*+?{":
            raise self.error(f"nothing before `{char}` to repeat")
        if char in "^$":
            raise self.error("anchors are not supported: text comes in pieces")
        if char == "(":
            return self._group()
        if char == "[":
            return _char(self._class())
        if char == "\\":
            return self._escape()
        self.at += 1
        return _char("(?s:.)" if char == "." else _quoted(char))

    def _group(self) -> Bounded:
        self.at += 1
        self.depth += 1
        if self.depth > _DEEPEST:
            raise self.error(f"more than {_DEEPEST} groups within each other")
        if self._take("?") and not self._take(":"):
            raise self.error("of groups only (…) and (?:…) are supported")
        inner = self.alternatives()
        self.depth -= 1
        if not self._take(")"):
            raise self.error("`(` without `)`")
        return inner

    def _escape(self) -> Bounded:
        char = self.text[self.at + 1 : self.at + 2]
        if char in {"p", "P"}:
            return _char(self._unicode_class())
        self.at += 2
        if char and char in _BOUNDARIES:
            return Bounded(f"\\{char}", f"\\{char}", "", 0, 0)
        if char and char in _CLASS_ESCAPES:
            return _char(f"\\{char}")
        if char in _PLAIN_ESCAPES:
            return _char(_PLAIN_ESCAPES[char])
        if not char or char.isalnum():
            raise self.error(f"the escape `\\{char}` is not supported")
        return _char(_quoted(char))

    def _unicode_class(self) -> str:
        end = self.at + 3
        if self.text[self.at + 2 : end] == "{":
            end = self.text.find("}", self.at) + 1
        found = self.text[self.at : end]
        if end <= self.at or len(found) < 3:
            raise self.error("`\\p` without the name of a class")
        self.at = end
        return found

    def _class(self) -> str:
        """A class in brackets as it stands; RE2 judges what is in it."""
        end = self.at + 1
        end += self.text[end : end + 1] == "^"
        end += self.text[end : end + 1] == "]"
        while end < len(self.text) and self.text[end] != "]":
            nested = self.text.startswith("[:", end)
            closing = self.text.find(":]", end + 2) if nested else -1
            end = closing + 2 if closing >= 0 else end + 1 + (self.text[end] == "\\")
        if end >= len(self.text):
            raise self.error("`[` without `]`")
        found = self.text[self.at : end + 1]
        self.at = end + 1
        return found

    def _repeated(self, one: Bounded) -> Bounded:
        counts = self._counts()
        if counts is None:
            return one
        least, most = counts
        lazy = "?" if self._take("?") else ""
        if self.text[self.at : self.at + 1] in {"*", "+", "?"}:
            raise self.error("a repeat of a repeat")
        return _times(one, least, most, lazy)

    def _counts(self) -> tuple[int, int] | None:
        for sign, least, most in (("*", 0, None), ("+", 1, None), ("?", 0, 1)):
            if self._take(sign):
                return least, MOST_REPEATS if most is None else most
        if not self._take("{"):
            return None
        end = self.text.find("}", self.at)
        low, comma, high = self.text[self.at : max(end, self.at)].partition(",")
        if not low.isdecimal() or not (high.isdecimal() or not high) or len(low + high) > 8:
            raise self.error("a repeat is {n}, {n,} or {n,m}")
        self.at = end + 1
        least = int(low)
        most = int(high) if high else max(least, MOST_REPEATS) if comma else least
        if not least <= most or most == 0:
            raise self.error("a repeat whose most is 0 or below its least")
        return least, most

    def _take(self, sign: str) -> bool:
        if self.text.startswith(sign, self.at):
            self.at += len(sign)
            return True
        return False


def _quoted(char: str) -> str:
    return char if char.isalnum() or not char.isascii() or char in " \n\t" else f"\\{char}"


def _char(source: str) -> Bounded:
    return Bounded(source, source, f"(?:{source})?", 1, 1, one_char=True)


def _joined(parts: list[Bounded]) -> Bounded:
    """One after the other. A beginning is one of the first, or the first and one of the rest."""
    if len(parts) == 1:
        return parts[0]
    joined = _EMPTY
    for part in reversed(parts):
        if part.most == 0:
            # A boundary: whether it holds is not known before the text goes on.
            beginnings = joined.beginnings
        elif part.one_char:
            beginnings = f"(?:{part.loose}{joined.beginnings})?"
        else:
            beginnings = f"(?:{part.beginnings}|{part.loose}{joined.beginnings})"
        joined = Bounded(
            part.source + joined.source,
            part.loose + joined.loose,
            beginnings,
            part.least + joined.least,
            part.most + joined.most,
        )
    return joined


def _either(branches: list[Bounded]) -> Bounded:
    return Bounded(
        f"(?:{'|'.join(branch.source for branch in branches)})",
        f"(?:{'|'.join(branch.loose for branch in branches)})",
        f"(?:{'|'.join(branch.beginnings for branch in branches)})",
        min(branch.least for branch in branches),
        max(branch.most for branch in branches),
    )


def _times(one: Bounded, least: int, most: int, lazy: str) -> Bounded:
    exact = f"{{{least},{most}}}"
    loose = exact if most <= _MOST_COUNTED else f"{{{min(least, 1)},}}"
    before = f"{{0,{most - 1}}}" if most <= _MOST_COUNTED else "*"
    whole = f"(?:{one.loose}){before}" if most > 1 else ""
    return Bounded(
        f"(?:{one.source}){exact}{lazy}",
        f"(?:{one.loose}){loose}",
        f"(?:{whole}{one.beginnings})",
        one.least * least,
        one.most * most,
    )
