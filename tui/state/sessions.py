"""What the Sessions tab knows at a time: the files, which are shown, and which are marked.

Pure: what was read and which keys were pressed lead from one state to the next.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ...engine.records.kept.rows import Facts, KeptRow

MOST_MARKED = 2
"""What is compared."""


@dataclass(frozen=True, slots=True)
class Sessions:
    """`rows` are the files, the newest first; `unread` are those whose turn has not come.

    `marked` are up to two, in the order in which they were marked: the second is compared with the
    first. `removed` is how many can be brought back.
    """

    rows: tuple[KeptRow, ...] = ()
    unread: int = 0
    left_out: int = 0
    problem: str = ""
    wanted: str = ""
    """The words of the filter."""
    marked: tuple[Path, ...] = ()
    removed: int = 0

    @property
    def shown(self) -> tuple[KeptRow, ...]:
        """The rows that have all words of the filter."""
        words = self.wanted.lower().split()
        if not words:
            return self.rows
        return tuple(row for row in self.rows if all(word in _said(row) for word in words))

    def row(self, target: str | None) -> KeptRow | None:
        """The row of a file, by its path as text."""
        return next((row for row in self.rows if str(row.path) == target), None)

    def with_rows(self, rows: Sequence[KeptRow]) -> "Sessions":
        """With other rows; marks of files that are gone are dropped."""
        there = {row.path for row in rows}
        marked = tuple(path for path in self.marked if path in there)
        return replace(self, rows=tuple(rows), marked=marked)

    def toggled(self, path: Path) -> "Sessions":
        """With a file marked, or no longer; of three the first mark is given up."""
        if path in self.marked:
            return replace(self, marked=tuple(each for each in self.marked if each != path))
        return replace(self, marked=(*self.marked, path)[-MOST_MARKED:])


def _said(row: KeptRow) -> str:
    """The words that a filter looks in."""
    facts = row.facts
    said = [row.id, row.kind, row.problem]
    if facts is not None:
        said += [facts.label, facts.model, facts.device, facts.strategy, facts.precision]
    return " ".join(said).lower()


def title_of(row: KeptRow) -> str:
    """What a file is called: the user's name for it, or its id."""
    return name_of(row.facts) or row.id


def name_of(facts: Facts | None) -> str:
    """The user's name; empty where there is none."""
    return "" if facts is None else facts.label
