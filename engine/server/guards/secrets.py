"""Rules that find keys and tokens: by the prefixes of their issuers, and by what looks random.

A key is recognized by its first characters. The rest, however long, is a tail: it is taken away as
it comes, and needs no holding back.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterator

from .findings import ActionName, Rule
from .pattern_syntax import read_pattern
from .patterns import Accept, PatternRule, Tail, whole

_MOST_KEY_CHARS = 16_384
"""Of a tail. A private RSA key of 16,384 bits has 12,700 in PEM."""

OPENAI = r"\bsk-(?:ant-|proj-|svcacct-|or-)?[A-Za-z0-9_\-]{20}"
TOKENS = (
    r"\bgh[pousr]_[A-Za-z0-9]{20}",
    r"\bgithub_pat_[A-Za-z0-9_]{20}",
    r"\bglpat-[A-Za-z0-9_\-]{20}",
    r"\b(?:AKIA|ASIA)[A-Z0-9]{16}",
    r"\bxox[abeoprs]-[A-Za-z0-9\-]{10}",
    r"\bAIza[A-Za-z0-9_\-]{35}",
    r"\b[prs]k_(?:live|test)_[A-Za-z0-9]{16}",
    r"\bhf_[A-Za-z0-9]{20}",
    r"\bnpm_[A-Za-z0-9]{20}",
    r"\bpypi-[A-Za-z0-9_\-]{20}",
    r"\bSG\.[A-Za-z0-9_\-]{16,32}\.[A-Za-z0-9_\-]{16}",
    r"\bdop_v1_[a-f0-9]{20}",
    r"\bya29\.[A-Za-z0-9_\-]{20}",
)
"""Beginnings of keys, by issuer: GitHub, GitLab, AWS, Slack, Google, Stripe,
Hugging Face, npm, PyPI, SendGrid, DigitalOcean."""

JWT = r"\beyJ[A-Za-z0-9_\-]{8,400}\.[A-Za-z0-9_\-]{10}"
PRIVATE_KEY = r"-----BEGIN (?:[A-Z0-9]{1,12} ){0,2}PRIVATE KEY(?: BLOCK)?-----"
PRIVATE_KEY_END = r"-----END (?:[A-Z0-9]{1,12} ){0,2}PRIVATE KEY(?: BLOCK)?-----"
ASSIGNED = (
    r"(?:[Kk][Ee][Yy]|[Tt][Oo][Kk][Ee][Nn]|[Ss][Ee][Cc][Rr][Ee][Tt]"
    r"|[Pp][Aa][Ss][Ss][Ww][Oo][Rr][Dd]|[Pp][Aa][Ss][Ss][Ww][Dd]|[Bb][Ee][Aa][Rr][Ee][Rr])"
    r"""["']?(?: ?[:=]>? ?| )["']?[A-Za-z0-9+/_\-.~]{20}"""
)
"""A name of a secret, and the first 20 characters of what is assigned to it."""

LEAST_BITS_PER_CHAR = 3.5
"""Shannon's entropy of 20 characters: of random base64 3.7 to 4.3, of English words about 3."""

_KEY_TAIL = Tail(read_pattern(r"[^A-Za-z0-9_\-]"), inclusive=False, most_chars=_MOST_KEY_CHARS)
_DOTTED_TAIL = Tail(
    read_pattern(r"[^A-Za-z0-9_\-.+/=~]"), inclusive=False, most_chars=_MOST_KEY_CHARS
)
_BLOCK_TAIL = Tail(read_pattern(PRIVATE_KEY_END), inclusive=True, most_chars=_MOST_KEY_CHARS)


def bits_per_char(text: str) -> float:
    """Shannon's entropy of a text's characters, in bits a character."""
    total = len(text)
    return -sum(n / total * math.log2(n / total) for n in Counter(text).values())


def _is_random(text: str) -> bool:
    """Whether characters look drawn, not written: letters and digits mixed, few of them twice."""
    digits = sum(map(str.isdigit, text))
    letters = sum(map(str.isalpha, text))
    return digits >= 3 and letters >= 3 and bits_per_char(text) >= LEAST_BITS_PER_CHAR


def _token(text: str, start: int, end: int) -> tuple[int, int] | None:
    """Not `sk-` before words that are joined by dashes."""
    return (start, end) if any(map(str.isdigit, text[start:end])) else None


def _assigned(text: str, start: int, end: int) -> tuple[int, int] | None:
    value = end - 20
    return (value, end) if _is_random(text[value:end]) else None


def secret_rules(action_of: Callable[[str], ActionName | None]) -> Iterator[PatternRule]:
    """The rules `token`, `private_key` and `assigned_secret`, as `personal_rules` gives its own."""
    for name, pattern, accept, tail in _PATTERNS:
        action = action_of(name)
        if action is not None:
            rule = Rule(name, "high", action, f"[{name.upper()}]")
            # Of what is only noted, nothing is taken away.
            taken = tail if action == "redact" else None
            yield PatternRule(rule, read_pattern(pattern), accept, taken)


_PATTERNS: tuple[tuple[str, str, Accept, Tail], ...] = (
    ("token", OPENAI, _token, _KEY_TAIL),
    *(("token", pattern, whole, _KEY_TAIL) for pattern in TOKENS),
    ("token", JWT, whole, _DOTTED_TAIL),
    ("private_key", PRIVATE_KEY, whole, _BLOCK_TAIL),
    ("assigned_secret", ASSIGNED, _assigned, _DOTTED_TAIL),
)
