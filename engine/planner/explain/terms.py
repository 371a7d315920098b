"""A figure that opens into its formula, with the numbers filled in.

Terms are built only when someone asks, from the records that an estimate returned. A formula is
plain arithmetic over named inputs, so that a reader, and a test, can work it out again.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter

FUNCTIONS: Mapping[str, Callable[..., float]] = {
    "min": min,
    "max": max,
    "hypot": math.hypot,
    "log2": math.log2,
}
"""What a formula may call beside its inputs."""

_NAME = re.compile(r"\b[A-Za-z_]\w*")
_PATH = re.compile(r"\b[A-Za-z_][\w.]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """`name` = `value` `unit`, by `formula` over `inputs`; `parts` open some of these further.

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
        return self.filled_by(lambda _, value: number(value))

    def filled_by(self, write: Callable[[str, float], str]) -> str:
        """The same with each input as `write` puts it, given its name and its value."""

        def put(match: re.Match[str]) -> str:
            name = match.group()
            return write(name, self.inputs[name]) if name in self.inputs else name

        return _NAME.sub(put, self.formula)


def term(
    name: str,
    equation: str,
    *records: object,
    unit: str = "s",
    source: str = "",
    parts: Sequence[Term] = (),
    **given: float,
) -> Term:
    """The term of an equation, `value = formula`; a value without a formula is the sum of `parts`.

    Names are those `given`, or paths of attributes from the first record that has them, as
    `gemm.forward_s`: the arithmetic was done by whoever made the record.

    Raises:
        LookupError: neither is there.
    """
    value, _, formula = equation.partition(" = ")
    paths = [path for path in dict.fromkeys(_PATH.findall(formula)) if path not in FUNCTIONS]
    return Term(
        name=name,
        value=_look_up(value, records, given),
        unit=unit,
        formula=_PATH.sub(lambda match: _plain(match.group()), formula),
        inputs={_plain(path): _look_up(path, records, given) for path in paths},
        source=source,
        parts=tuple(parts),
    )


def _plain(path: str) -> str:
    """A path as one name."""
    return path.replace(".", "_")


def _look_up(path: str, records: Sequence[object], given: Mapping[str, float]) -> float:
    if path in given:
        return given[path]
    first = path.partition(".")[0]
    for record in records:
        if hasattr(record, first):
            value: float = attrgetter(path)(record)
            return value
    raise LookupError(f"no record has {path!r}")


def number(value: float) -> str:
    """A number as people write it: whole up to a million, else four significant digits."""
    if value == int(value) and abs(value) < 1e6:
        return str(int(value))
    return f"{value:.4g}"
