"""What a formula says, worked out again: every term of a tree from its inputs or its parts."""

import math
from collections.abc import Iterable, Iterator

import pytest
from prodtop.engine.planner.explain.terms import FUNCTIONS, Term


def all_terms(trees: Iterable[Term]) -> Iterator[Term]:
    for term in trees:
        yield term
        yield from all_terms(term.parts)


def worked_out(term: Term) -> float:
    """The formula as arithmetic over its inputs, or the sum of the parts."""
    if not term.formula:
        return sum(part.value for part in term.parts)
    return float(eval(term.formula, {"__builtins__": {}}, {**FUNCTIONS, **term.inputs}))


def assert_terms_hold(*trees: Term) -> None:
    """Every term has a formula or parts, which give its value; zero is zero, not float dust."""
    for term in all_terms(trees):
        assert math.isfinite(term.value), term.name
        assert term.formula or term.parts, f"{term.name} has no formula"
        assert worked_out(term) == pytest.approx(term.value, rel=1e-9, abs=0), term.name
        assert term.value == 0 or abs(term.value) > 1e-12, f"{term.name} is dust"
        assert all(math.isfinite(value) for value in term.inputs.values()), term.name


def named(name: str, *trees: Term) -> Term:
    """The first term of that name, depth first."""
    return next(term for term in all_terms(trees) if term.name == name)
