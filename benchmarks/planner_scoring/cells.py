"""Typed access to one row of a table of runs, however its cells are written."""

import re
from collections.abc import Mapping

from prodtop.engine.shape.field_errors import FieldError

Row = Mapping[str, str]

_BLANK = re.compile(
    r"(n/?a|nan|none|null|nil|unknown|unclear|tbd|auto|not (stated|given)|[-–—?.]+)"
)
"""What people write into a cell that they leave open."""
_NUMBER = re.compile(
    r"""[~≈<>=]*\s*                                   # about, at most
    (?P<number>[-+]?(\d{1,3}([,_'\s]\d{3})+|\d+)?(\.\d*)?(e[-+]?\d+)?)
    \s*(?P<unit>[a-zµ/%]*)""",
    re.VERBOSE | re.IGNORECASE,
)
_COUNT_UNITS = {"": 1, "x": 1, "k": 1024, "ki": 1024, "m": 1024**2, "mi": 1024**2}
"""`8k` tokens are 8,192."""


class Cells:
    """Typed access to a row; what is filled in for a blank cell is noted in `assumed`."""

    def __init__(self, row: Row) -> None:
        self._row = row
        self.assumed: list[str] = []
        names = ("model", "notes", "precision", "recompute", "zero_stage", "interconnect")
        self.everything = " ".join(self.text(name) for name in names).lower()

    def text(self, name: str) -> str:
        return (self._row.get(name) or "").strip()

    def optional_count(self, name: str) -> int | None:
        """A positive whole number, or nothing; `1,024`, `8k` and `64 (8 nodes)` are ones too."""
        read = self._number(name)
        if read is None:
            return None
        value, unit = read
        if unit not in _COUNT_UNITS:
            # A word beside the number, such as `64 GPUs`, is no factor.
            unit = "" if len(unit) > 2 else unit
        if unit not in _COUNT_UNITS:
            raise FieldError(name, f"must be a number, found {self.text(name)!r}")
        value *= _COUNT_UNITS[unit]
        if not 1 <= value < 2**53 or value != int(value):
            raise FieldError(name, f"must be a positive whole number, found {self.text(name)}")
        return int(value)

    def count(self, name: str) -> int:
        value = self.optional_count(name)
        if value is None:
            raise FieldError(name, "is not stated")
        return value

    def default(self, name: str, value: int) -> int:
        stated = self.optional_count(name)
        if stated is None:
            self.assumed.append(f"{name} = {value}")
            return value
        return stated

    def measure(self, name: str, units: Mapping[str, float], usual: float = 1.0) -> float | None:
        """A positive figure times the factor of its unit, one of `units`, or `usual` without."""
        read = self._number(name)
        if read is None:
            return None
        value, unit = read
        if unit and unit not in units:
            raise FieldError(name, f"{unit!r} is no unit of it; known are {', '.join(units)}")
        value *= units[unit] if unit else usual
        if not 0 < value < 1e15:
            raise FieldError(name, f"must be a positive number, found {self.text(name)}")
        return value

    def _number(self, name: str) -> tuple[float, str] | None:
        """The cell's number and the unit behind it, or nothing in a blank cell."""
        text = re.sub(r"\(.*?\)|\[.*?\]", "", self.text(name)).strip()
        if not text or _BLANK.fullmatch(text.lower()):
            return None
        match = _NUMBER.match(text)
        digits = re.sub(r"[,_'\s]", "", match["number"]) if match else ""
        rest = text[match.end() :].strip() if match else ""
        try:
            value = float(digits)
        except ValueError:
            raise FieldError(name, f"must be a number, found {text!r}") from None
        if re.match(r"[-–—/.,:]?\s*\d", rest):
            raise FieldError(name, f"must be one number, found {text!r}")
        return value, match["unit"].lower() if match else ""

    @property
    def zero_stage(self) -> int | None:
        """The stage out of `3 (FSDP2)`, `FSDP` or `DDP`, or nothing."""
        text = self.text("zero_stage").lower()
        stage = re.search(r"(?<!\d)[0-3](?!\d)", text)
        if stage and "fsdp" not in text[: stage.start()]:
            return int(stage.group())
        if "shard_grad_op" in text:
            return 2
        if "fsdp" in text or "shard" in text:
            return 3
        if "distributed optimizer" in text:
            return 1
        return 0 if text in ("ddp", "none", "no", "false") else None

    def noted(self, pattern: str) -> int | None:
        match = re.search(pattern, self.everything)
        return int(match.group(1)) if match else None
