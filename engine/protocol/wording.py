"""Counted things in words, for every text that people read: `1 GPU`, `2 GPUs`."""

ES = ("s", "x", "z", "ch", "sh")
"""Endings that take `es` in the plural."""


def counted(number: int, noun: str, *, grouped: bool = False) -> str:
    """A number with its noun, `1 GPU` or `32 GPUs`; `grouped` parts the thousands by commas."""
    return f"{number:,} {plural(number, noun)}" if grouped else f"{number} {plural(number, noun)}"


def plural(number: int, noun: str) -> str:
    """The noun as it stands behind a number: `key-value head` behind 1, else with `s` or `es`."""
    if number == 1:
        return noun
    return noun + ("es" if noun.endswith(ES) else "s")
