"""Typed access to one row of a table of runs."""

import re
from collections.abc import Mapping

from .errors import FieldError

Row = Mapping[str, str]


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
        text = self.text(name)
        if not text:
            return None
        try:
            value = float(text)
        except ValueError:
            raise FieldError(name, f"must be a number, found {text!r}") from None
        if not 1 <= value < 2**53 or value != int(value):
            raise FieldError(name, f"must be a positive whole number, found {text}")
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

    def measure(self, name: str) -> float | None:
        text = self.text(name)
        if not text:
            return None
        try:
            value = float(text)
        except ValueError:
            raise FieldError(name, f"must be a number, found {text!r}") from None
        if not 0 < value < 1e15:
            raise FieldError(name, f"must be a positive number, found {text}")
        return value

    @property
    def zero_stage(self) -> int | None:
        """The stage out of `3 (FSDP2)`, `FSDP` or `DDP`, or nothing."""
        text = self.text("zero_stage").lower()
        stage = re.search(r"[0-3]", text)
        if stage:
            return int(stage.group())
        if "fsdp" in text or "shard" in text:
            return 3
        return 0 if text in ("ddp", "none", "no", "false") else None

    def noted(self, pattern: str) -> int | None:
        found = re.search(pattern, self.everything)
        return int(found.group(1)) if found else None
