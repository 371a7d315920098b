"""Figures of formulas as text: bytes in GiB, one unit of energy, no powers of ten."""

import re
from collections.abc import Iterator

import pytest
from planner_cases import evaluated
from prodtop.engine.planner.explain.serving import explain_capacity
from prodtop.engine.planner.explain.terms import Term
from prodtop.engine.planner.question.question import ReferenceData, reference_data
from prodtop.tui.drawing.line import Line
from prodtop.tui.planner.capacity import capacity_matrix, serve_on
from prodtop.tui.planner.evaluation import Evaluation
from prodtop.tui.planner.formula_text import explained_lines, input_text, value_text
from prodtop.tui.planner.tree import every_figure
from prodtop.tui.style.glyphs import UNICODE
from prodtop.tui.views.panel import Room
from prodtop.tui.views.planner.formulas import detail_view
from prodtop.tui.views.planner.summary import summary_view

PLANS = (
    evaluated(),
    evaluated(model="generic-70b", tp="8", pp="2", batch="128", zero="3"),
    evaluated(model="gpt-oss-120b", gpus="2048", tp="8", pp="4", ep="8", batch="8192"),
    evaluated(model="generic-1b", gpus="1", batch="1", offload="optimizer"),
)
EXPONENT = re.compile(r"\de\+")


def walk(term: Term) -> Iterator[Term]:
    yield term
    for part in term.parts:
        yield from walk(part)


def served(evaluation: Evaluation, data: ReferenceData) -> Iterator[Term]:
    """The formulas of what every GPU type serves."""
    for row in capacity_matrix(evaluation.plan, data).values():
        result = serve_on(evaluation.plan, data, row).result
        if result is not None:
            yield explain_capacity(result)


DATA = reference_data()
TERMS = [term for plan in PLANS for tree in every_figure(plan) for term in walk(tree)]
TERMS += [term for tree in served(PLANS[0], DATA) for term in walk(tree)]


def texts(lines: tuple[Line, ...]) -> str:
    return "\n".join(line.plain for line in lines)


@pytest.mark.parametrize("width", [40, 100])
def test_no_figure_of_a_formula_is_a_power_of_ten(width: int) -> None:
    for term in TERMS:
        view = detail_view(term, Room(width, 40, UNICODE))
        said = texts(tuple(row.line for row in view.rows))
        assert not EXPONENT.search(said.replace("\n", "")), said


def test_bytes_of_every_term_are_written_as_bytes() -> None:
    for term in TERMS:
        if term.unit == "bytes":
            assert re.fullmatch(r"[\d.]+ ([KMGTP]iB|B)", value_text(term)), term.name


def test_bytes_among_inputs_are_written_as_bytes() -> None:
    """Whatever a sum of bytes adds up is bytes too: what is not would be told by its size."""
    sums = [term for term in TERMS if term.unit == "bytes" and "*" not in term.formula]
    assert any(term.formula for term in sums)
    for term in sums:
        for name, value in term.inputs.items():
            assert input_text(name, value).endswith("B"), (term.name, name)
    for term in TERMS:
        for name, value in term.inputs.items():
            if "bytes" in name:
                assert re.search(r"B(/s)?$", input_text(name, value)), name


def test_explained_lines_have_no_powers_of_ten_either() -> None:
    for tree in served(PLANS[0], DATA):
        assert not EXPONENT.search("\n".join(explained_lines(tree)))


def test_energy_has_one_unit_on_the_screen() -> None:
    for plan in PLANS:
        (energy,) = (tree for tree in every_figure(plan) if tree.name == "energy")
        summary = texts(tuple(row.line for row in summary_view(plan, Room(90, 30, UNICODE)).rows))
        assert re.search(r"[\d.]+ [kMGT]?Wh", value_text(energy))
        assert value_text(energy) in summary
