"""Formula trees as a list of rows: which terms are open, and what stands at each depth."""

from dataclasses import dataclass

from ...engine.planner.cost.terms import Term

Path = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Branch:
    """One visible term: its place in the trees, and whether it shows its parts."""

    path: Path
    term: Term
    opened: bool

    @property
    def depth(self) -> int:
        return len(self.path) - 1


def branches(trees: tuple[Term, ...], opened: frozenset[Path]) -> list[Branch]:
    """The visible terms from the top: every tree's root, and the parts of those that are open."""
    rows: list[Branch] = []

    def visit(terms: tuple[Term, ...], above: Path) -> None:
        for index, term in enumerate(terms):
            path = (*above, index)
            is_open = path in opened
            rows.append(Branch(path, term, is_open))
            if is_open:
                visit(term.parts, path)

    visit(trees, ())
    return rows


def ancestors(path: Path) -> frozenset[Path]:
    """What must be open for a term to be seen."""
    return frozenset(path[:length] for length in range(1, len(path)))
