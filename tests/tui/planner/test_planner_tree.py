"""Bars lead to the formula of the very part that they show."""

import pytest
from planner_cases import evaluated
from prodtop.engine.planner.explain.memory import MEMORY, MEMORY_PARTS
from prodtop.engine.planner.explain.step import STEP, STEP_PARTS
from prodtop.tui.planner.tree import every_figure, path_to


@pytest.mark.parametrize(
    ("figure", "part"),
    [(MEMORY, part) for part in MEMORY_PARTS.values()]
    + [(STEP, part) for part in STEP_PARTS.values()],
)
def test_a_part_opens_in_its_own_tree(figure: str, part: str) -> None:
    """The optimizer's time is not its states in memory."""
    terms = every_figure(evaluated())
    root, *_ = path_to(terms, part)
    assert terms[root].name == figure
