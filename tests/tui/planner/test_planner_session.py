"""The tab's state: form, findings, taken-over layouts, opened formulas."""

from planner_cases import first_findings
from prodtop.engine.protocol import ModelInfo
from prodtop.tui.planner.form import Editing
from prodtop.tui.planner.search_messages import ComparisonFound, PointFound, StrategyFound
from prodtop.tui.planner.session import Session


def session() -> Session:
    """One that has read its first form and found its layouts."""
    made = Session()
    made.look_up()
    assert made.take(made.form)
    request = made.request()
    assert request is not None
    for found in first_findings(request):
        made.add(found)
    return made


def test_an_error_keeps_the_evaluation_as_it_was() -> None:
    made = session()
    before = made.evaluation
    assert not made.take(made.form.choosing("gpus").begun("x"))
    assert made.evaluation is before
    assert made.errors
    assert made.doing == ""


def test_the_search_is_for_the_plan_that_is_shown() -> None:
    made = Session()
    made.take(made.form)
    made.take(made.form.choosing("gpus").begun("x"))
    request = made.request()
    assert request is not None
    assert request.texts["gpus"] == "32"


def test_all_strategies_and_layouts_are_found() -> None:
    made = session()
    assert made.searched is not None
    assert list(made.searched.strategies) == ["data", "model", "pipeline", "tensor", "3d"]
    assert made.searched.layouts is not None
    steps = [each.step_s for each in made.searched.layouts.splits]
    assert steps == sorted(steps)
    assert made.searched.layouts.verdict is not None
    assert made.doing == ""


def test_findings_of_an_older_question_are_dropped() -> None:
    made = session()
    assert made.request() is not None
    made.add(StrategyFound(number=1, key="data", layout=None, reason="old"))
    assert made.searched is not None
    assert not made.searched.strategies
    assert made.doing == "searching"


def test_points_of_a_curve_are_kept_in_order() -> None:
    made = session()
    layout = made.evaluation.estimate.layout if made.evaluation else None
    for gpus in (16, 32):
        made.add(PointFound(number=1, key="data", gpus=gpus, layout=layout))
    assert made.searched is not None
    assert [point.gpus for point in made.searched.points["data"]] == [16, 32]


def test_the_best_layout_can_be_taken_over() -> None:
    made = session()
    best = made.best()
    assert best is not None
    made.take(made.using(best))
    assert made.evaluation is not None
    assert made.evaluation.estimate.layout == best.layout


def test_every_row_stands_for_a_layout() -> None:
    made = session()
    for target in ("yours", "strategy:tensor", "split:0", "front:0"):
        assert made.layout_of(target) is not None
    for target in ("strategy:none", "split:99", "front:99"):
        assert made.layout_of(target) is None


def test_formulas_open_where_they_lie_and_close_again() -> None:
    made = session()
    row = made.open_figure("yours", "activations")
    assert made.branches()[row].term.name == "activations"
    before = len(made.branches())
    made.toggle("0")
    assert len(made.branches()) < before
    made.open_figure("strategy:tensor", None)
    assert made.subject_words
    made.open_figure("serve:h100-sxm", None)
    assert made.branches()[0].term.name == "capacity"
    assert "h100-sxm" in made.subject_words


def test_the_served_model_is_planned_for_when_it_is_asked_for() -> None:
    made = session()
    info = ModelInfo(
        name="qwen3-0.6b", parameters=596_049_920, layers=28, context_tokens=1, vocabulary=151_936
    )
    assert not made.take_in(info)
    assert made.take(made.form.with_texts({"model": "served"}))
    assert made.evaluation is not None
    assert made.evaluation.plan.model.name == "qwen3-0.6b"
    assert not made.take_in(info)


def test_a_scenario_ends_typing() -> None:
    made = session()
    made.take(made.form.choosing("batch").begun("").edited(Editing("7", 1)))
    assert made.take(made.scenario("70B"))
    assert made.evaluation is not None
    assert made.evaluation.plan.model.name == "generic-70b"


def test_a_comparison_is_kept_until_the_next_request() -> None:
    made = session()
    request = made.request(compared=True)
    assert request is not None
    assert request.compared
    made.add(ComparisonFound(number=request.number, lines=("", "a title", "")))
    assert made.comparison == ("", "a title", "")
    assert session().comparison is None
    made.request()
    found = made.comparison
    assert found is None
