"""Rules that find personal data: e-mail addresses, phone numbers, cards, accounts.

Each pattern finds candidates; its check decides. What a check may look at is bounded
(`patterns.Accept`), so that it decides the same in a stream.
"""

from collections.abc import Callable, Iterator

from .checksums import IBAN_CHARS, is_card, is_iban
from .findings import ActionName, Rule, Severity
from .pattern_syntax import read_pattern
from .patterns import Accept, PatternRule

_LETTERS = r"A-Za-z0-9\x{C0}-\x{52F}"
"""Latin, Greek and Cyrillic; not of scripts that write words together, where an address would have
no begin."""
EMAIL = (
    rf"[{_LETTERS}._%+\-]{{1,64}}@[{_LETTERS}\-]{{1,63}}(?:\.[{_LETTERS}\-]{{1,63}}){{0,4}}"
    rf"\.[A-Za-z\x{{C0}}-\x{{52F}}]{{2,24}}"
)
CARD = r"\d(?:[ \-]?\d){12,18}"
IBAN = r"[A-Za-z]{2}\d{2}(?:[ \-]?[A-Za-z0-9]){11,30}"
PHONES = (
    # +49 30 1234567, +1 (415) 555-0132, 0049 …
    r"(?:\+[1-9]\d{0,2}[ .\-/]?|00[1-9]\d{0,2}[ .\-/])(?:\(0?\d{1,4}\)[ .\-/]?)?"
    r"\d(?:[ .\-/]?\d){5,12}",
    # (415) 555-0132, 415-555-0132
    r"(?:1[.\- ])?(?:\([2-9]\d{2}\) ?|[2-9]\d{2}[.\-])[2-9]\d{2}[.\- ]\d{4}",
    # 030 1234567, 06 12 34 56 78, 020 7946 0958, 089/12345678
    r"\(?0[1-9]\d{0,3}\)?[ /\-]\d{2,8}(?:[ \-]\d{2,8}){0,4}",
)
_PHONE_DIGITS = ((8, 15), (10, 11), (9, 12))
"""Least and most digits of each of `PHONES`."""


def _is_free(text: str, start: int, end: int, joining: str = "") -> bool:
    """Whether a match is no part of a longer word or number."""
    before = text[start - 1] if start else " "
    after = text[end] if end < len(text) else " "
    return not (before.isalnum() or before in joining or after.isalnum())


def _email(text: str, start: int, end: int) -> tuple[int, int] | None:
    before = text[start - 1] if start else " "
    is_inner = before in "._%+-" or (before.isalnum() and before < "\u0530")
    return None if is_inner else (start, end)


def _card(text: str, start: int, end: int) -> tuple[int, int] | None:
    """The longest card that begins with the match and ends with one of its groups."""
    if start and (text[start - 1].isalnum() or text[start - 1] in ".-+"):
        return None
    for stop in range(end, start + 12, -1):
        if stop < len(text) and text[stop].isalnum():
            continue
        number = text[start:stop]
        groups = number.replace("-", " ").split()
        regular = len(groups) == 1 or (len(groups[0]) == 4 and min(map(len, groups)) >= 2)
        digits = "".join(groups)
        if number[-1].isdigit() and regular and len(digits) >= 13 and is_card(digits):
            return start, stop
    return None


def _iban(text: str, start: int, end: int) -> tuple[int, int] | None:
    if start and text[start - 1].isalnum():
        return None
    chars = IBAN_CHARS.get(text[start : start + 2].upper(), 0)
    places = [at for at in range(start, end) if text[at].isalnum()]
    if not chars or len(places) < chars:
        return None
    stop = places[chars - 1] + 1
    account = "".join(text[at] for at in places[:chars]).upper()
    return (start, stop) if is_iban(account) and _is_free(text, start, stop) else None


def _phone(least: int, most: int) -> Accept:
    def accept(text: str, start: int, end: int) -> tuple[int, int] | None:
        number = text[start:end]
        digits = sum(map(str.isdigit, number))
        fits = least <= digits <= most and not _is_date(number) and not _goes_on(text, start)
        return (start, end) if fits and _is_free(text, start, end, joining=".-+/") else None

    return accept


def _goes_on(text: str, start: int) -> bool:
    """Whether a number is the rest of a longer one in groups."""
    before = text[max(0, start - 2) : start]
    return before[-1:] == " " and before[:1].isdigit() and text[start] != "+"


def _is_date(number: str) -> bool:
    """Whether a number begins as 05-10-2024 does."""
    return [len(part) for part in number.replace("-", " ").split()[:3]] == [2, 2, 4]


def personal_rules(
    action_of: Callable[[str], ActionName | None],
) -> Iterator[PatternRule]:
    """The rules `email`, `phone`, `card` and `iban`, with the action that the settings give each;
    those without one are left out."""
    for name, severity, patterns, accepts in _KINDS:
        action = action_of(name)
        if action is not None:
            rule = Rule(name, severity, action, f"[{name.upper()}]")
            for pattern, accept in zip(patterns, accepts, strict=True):
                yield PatternRule(rule, read_pattern(pattern), accept)


_KINDS: tuple[tuple[str, Severity, tuple[str, ...], tuple[Accept, ...]], ...] = (
    ("email", "medium", (EMAIL,), (_email,)),
    ("phone", "medium", PHONES, tuple(_phone(*bounds) for bounds in _PHONE_DIGITS)),
    ("card", "high", (CARD,), (_card,)),
    ("iban", "high", (IBAN,), (_iban,)),
)
