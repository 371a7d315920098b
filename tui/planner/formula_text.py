"""Formulas' figures as people read them: bytes in GiB, energy in Wh, no powers of ten."""

from ...engine.planner.explain.terms import Term, number
from ..style.formatting import binary_bytes, energy, percent, si
from .units import parameters, seconds

BYTE_INPUTS = frozenset(
    {
        "activations",
        "communicator",
        "context",
        "driver",
        "gathered",
        "logits",
        "stem",
        "usable",
        "weights",
        "working",
        "workspace",
    }
)
"""Inputs of formulas that are bytes, beside those whose name ends so."""
RATE_INPUTS = frozenset({"hbm_bytes"})
"""Inputs that are bytes a second, beside those whose name ends so."""
FOUR_DIGITS_BELOW = 9999.5
"""Fractions from here on have a decimal prefix."""


def value_text(term: Term) -> str:
    """A term's value in the unit that people read it in."""
    value = term.value
    match term.unit:
        case "bytes":
            return binary_bytes(value)
        case "s":
            return seconds(value)
        case "of peak" | "of the step" | "of linear":
            return percent(value)
        case "parameters":
            return parameters(value)
        case "J":
            return energy(value)
        case "tokens/s":
            return f"{si(value)} tok/s"
        case "sequences/s":
            return f"{si(value)} seq/s"
        case "US dollars":
            return f"${si(value)}"
        case "times as fast":
            return si(value)
        case unit:
            return f"{plain(value)} {unit}".strip()


def exact_text(term: Term) -> str:
    """A term's value with all the digits that say something, and its unit."""
    value = term.value
    match term.unit:
        case "bytes":
            whole = f"{value:,.0f} bytes"
            return whole if value < 1024 else f"{binary_bytes(value)} = {whole}"
        case "J":
            return f"{energy(value)} = {_prefixed(value, 'J')}"
        case unit:
            return f"{plain(value)} {unit}".strip()


def input_text(name: str, value: float) -> str:
    """An input of a formula; what it counts is told from its name."""
    if name in RATE_INPUTS or name.endswith("bytes_s"):
        return _prefixed(value, "B/s")
    if name in BYTE_INPUTS or name.endswith("bytes"):
        return binary_bytes(value)
    return plain(value)


def filled_text(term: Term) -> str:
    """The formula with the numbers in place of the names; of a plain sum, its parts."""
    if not term.formula:
        return " + ".join(value_text(part) for part in term.parts)
    return term.filled_by(input_text)


def explained_lines(term: Term, depth: int = 0) -> list[str]:
    """The tree as indented lines, one a term."""
    text = f"{'  ' * depth}{term.name} = {value_text(term)}"
    if term.formula or term.parts:
        text += f" = {filled_text(term)}"
    return [text, *(line for part in term.parts for line in explained_lines(part, depth + 1))]


def plain(value: float) -> str:
    """A number with four digits, and a decimal prefix where it is large."""
    text = number(value)
    return text if text.lstrip("-").isdigit() or abs(value) < FOUR_DIGITS_BELOW else si(value)


def _prefixed(value: float, unit: str) -> str:
    """A value with the decimal prefix at its unit: `2.77 TB/s`."""
    text = si(value)
    return f"{text[:-1]} {text[-1]}{unit}" if text[-1].isalpha() else f"{text} {unit}"
