"""A figure that opens into its formula, with the numbers filled in.

A `Term` is built only when someone asks, from an estimate that is already there. Its formula is
plain arithmetic over named inputs, so that a reader, and a test, can work it out again.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """`name` = `value` `unit`, by `formula` over `inputs`; `parts` are the terms it adds up.

    formula: arithmetic in Python's notation with the inputs' names, or empty for a plain sum of the
        parts. source: where the formula comes from.
    """

    name: str
    value: float
    unit: str
    formula: str = ""
    inputs: Mapping[str, float] = field(default_factory=dict)
    source: str = ""
    parts: tuple["Term", ...] = ()

    @property
    def filled(self) -> str:
        """The formula with the numbers in place of the names."""
        if not self.formula:
            return " + ".join(number(part.value) for part in self.parts)

        def put(match: re.Match[str]) -> str:
            name = match.group()
            return number(self.inputs[name]) if name in self.inputs else name

        return re.sub(r"[A-Za-z_]\w*", put, self.formula)

    def find(self, name: str) -> "Term | None":
        """The first term of that name in this tree, depth first."""
        if self.name == name:
            return self
        return next((found for part in self.parts if (found := part.find(name))), None)

    def lines(self, depth: int = 0, deepest: int = 9) -> list[str]:
        """The tree as indented lines, one a term, down to `deepest` levels."""
        text = f"{'  ' * depth}{self.name} = {number(self.value)} {self.unit}"
        if self.formula or self.parts:
            text += f" = {self.filled}"
        lines = [text]
        if depth < deepest:
            for part in self.parts:
                lines += part.lines(depth + 1, deepest)
        return lines


def total(name: str, unit: str, parts: list[Term], source: str = "") -> Term:
    """The sum of `parts`."""
    value = sum(part.value for part in parts)
    return Term(name=name, value=value, unit=unit, parts=tuple(parts), source=source)


def number(value: float) -> str:
    """A number as people write it: whole up to a million, else four significant digits."""
    if value == int(value) and abs(value) < 1e6:
        return str(int(value))
    return f"{value:.4g}"
