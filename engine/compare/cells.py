"""A comparison's cells: what one runs under, what was measured of it, and all of them."""

from collections.abc import Sequence

import msgspec

from ..protocol import CellResult, LoadSpec, PrecisionName, StrategyName, describe_load


class Cell(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a cell runs under. `max_seqs` and `drafts`: `None` is what the engine was started with.

    Two cells are the same where all fields are.
    """

    strategy: StrategyName
    precision: PrecisionName
    load: LoadSpec
    max_seqs: int | None = None
    drafts: int | None = None


class Work(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What all cells of a comparison share: results of other work cannot stand beside them."""

    model: str
    device: str
    """As asked for; each result says what it ran on."""
    load_format: str
    requests: int
    warmup: int
    max_seqs: int
    """What the engine was built for."""
    context_tokens: int | None = None
    kv_gib: float | None = None
    kv_format: str = "auto"
    threads: int | None = None


class Measured(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A cell with its repeats in the order in which they were made.

    `skipped`: why the device cannot run it. `failure`: what ended it, after the repeats it has.
    """

    cell: Cell
    repeats: list[CellResult] = []
    skipped: str | None = None
    failure: str | None = None

    @property
    def failed_requests(self) -> int:
        """Requests that failed, over all repeats."""
        return sum(repeat.failed for repeat in self.repeats)


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """The work and all cells in the order asked for, those without a result too."""

    work: Work
    cells: list[Measured]

    def measured(self) -> list[Measured]:
        """The cells that have results."""
        return [each for each in self.cells if each.repeats]

    def find(self, cell: Cell) -> Measured | None:
        """What was measured of a cell."""
        return next((each for each in self.cells if each.cell == cell), None)


def load_label(load: LoadSpec) -> str:
    """`16 users` or `4/s`."""
    return describe_load(load)


def label(cell: Cell, among: Sequence[Cell] = ()) -> str:
    """`hybrid bf16`, and what else sets it apart `among` others: `16 users max-seqs 8`."""
    parts = [str(cell.strategy), str(cell.precision)]
    if any(each.load != cell.load for each in among):
        parts.append(load_label(cell.load))
    for field, word in (("max_seqs", "max-seqs"), ("drafts", "drafts")):
        value = getattr(cell, field)
        if value is not None and any(getattr(each, field) != value for each in among):
            parts.append(f"{word} {value}")
    return " ".join(parts)
