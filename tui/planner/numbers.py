"""Numbers as people type them into the form: `4096`, `8k`, `1.4T`, `15e12`."""

import math
import re

_AMOUNT = re.compile(r"([0-9][0-9_,]*\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]{1,3})?\s*([kmbgt]?)", re.I)
_DECIMAL = {"": 1.0, "k": 1e3, "m": 1e6, "b": 1e9, "g": 1e9, "t": 1e12}


def parse_amount(text: str) -> float:
    """A number from 0 on, with a decimal suffix where there is one. Raises `ValueError`."""
    match = _AMOUNT.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is no number")
    digits, exponent, suffix = match.groups()
    value = float(digits.replace("_", "").replace(",", "") + (exponent or ""))
    value *= _DECIMAL[suffix.lower()]
    if not math.isfinite(value):
        raise ValueError("this number is too large")
    return value


def parse_whole(text: str) -> int:
    """A whole number from 0 on; `k` and `m` are powers of 1024 here, as in "a sequence of 8k".

    Raises `ValueError`.
    """
    plain = text.strip().lower()
    for suffix, factor in (("k", 1024), ("m", 1 << 20)):
        if plain.endswith(suffix):
            value = parse_amount(plain[:-1]) * factor
            break
    else:
        value = parse_amount(plain)
    if value != int(value):
        raise ValueError(f"{text!r} is no whole number")
    return int(value)
