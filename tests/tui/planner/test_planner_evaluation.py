"""What comes of a plan: curves, the decision path, exports, serving, formulas."""

from pathlib import Path

import pytest
from planner_cases import evaluated, plan
from prodtop.engine.planner.question.question import ReferenceData
from prodtop.tui.planner.capacity import PRECISIONS, capacity_matrix, serve_on
from prodtop.tui.planner.decision import decide
from prodtop.tui.planner.evaluation import GPU_COUNTS
from prodtop.tui.planner.exports import ExportFailedError, attempts, save_export
from prodtop.tui.planner.tree import ancestors, branches, every_figure, path_to, scaling_base


def test_curves_keep_the_layout_and_the_batch() -> None:
    shown = evaluated(tp="8", pp="2", batch="64", model="llama-2-70b")
    assert [point.gpus for point in shown.fixed] == list(GPU_COUNTS)
    known = [point for point in shown.fixed if point.estimate is not None]
    assert known[0].gpus == 16
    for point in known:
        assert point.estimate is not None
        assert point.estimate.layout.batch == 64
        assert point.estimate.layout.world == point.gpus


def test_a_growing_batch_keeps_its_share_of_each_gpu() -> None:
    shown = evaluated(gpus="32", batch="64")
    for point in shown.growing:
        if point.estimate is not None:
            assert point.estimate.layout.batch == 2 * point.gpus
    assert shown.growing[-1].estimate is not None
    assert shown.fixed[-1].estimate is None


def test_the_plan_lies_on_its_own_curve() -> None:
    shown = evaluated()
    at = next(point for point in shown.fixed if point.gpus == 32)
    assert at.estimate is not None
    assert at.estimate.step_s == shown.estimate.step_s


@pytest.mark.parametrize(
    ("texts", "strategy"),
    [
        ({"model": "generic-1b", "gpus": "1"}, "One GPU"),
        ({"model": "generic-1b"}, "Data"),
        ({"model": "generic-1b", "batch": "32", "gpus": "64", "tp": "2"}, "Data + tensor"),
        ({"model": "generic-7b"}, "Data, ZeRO-3"),
        ({"model": "generic-7b", "gpus": "64", "batch": "16", "tp": "4"}, "Tensor + data"),
        ({"model": "gpt3-175b", "tp": "8", "pp": "4", "batch": "64"}, "3D"),
        (
            {"model": "gpt3-175b", "gpu": "l40s", "gpus": "64", "tp": "8", "pp": "8"},
            "Pipeline + data",
        ),
    ],
)
def test_the_path_leads_to_a_strategy(texts: dict[str, str], strategy: str) -> None:
    decision = decide(evaluated(**texts))
    assert decision.strategy == strategy
    assert decision.steps
    assert all(any(char.isdigit() for char in step.numbers) for step in decision.steps)


def test_more_memory_changes_the_path() -> None:
    assert not decide(evaluated(memory_gib="40")).steps[0].yes
    assert decide(evaluated(memory_gib="192")).steps[0].yes


def test_every_engine_is_tried() -> None:
    found = attempts(plan(model="llama-3.1-8b", zero="3"))
    assert any(attempt.result is not None for attempt in found)
    assert all((attempt.result is None) == bool(attempt.reason) for attempt in found)


def test_an_export_is_saved_with_its_launch_line(tmp_path: Path) -> None:
    asked = plan()
    chosen = next(attempt for attempt in attempts(asked) if attempt.result is not None)
    assert chosen.result is not None
    folder = save_export(chosen.result, asked, chosen.engine, tmp_path)
    assert (folder / chosen.result.file_name).read_text() == chosen.result.text
    assert (folder / "launch.sh").read_text().strip() == chosen.result.launch


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    asked = plan()
    chosen = next(attempt for attempt in attempts(asked) if attempt.result is not None)
    assert chosen.result is not None
    with pytest.raises(ExportFailedError, match="cannot write"):
        save_export(chosen.result, asked, chosen.engine, tmp_path / "file")


def test_the_matrix_has_every_gpu_at_every_precision() -> None:
    asked = plan()
    cells = capacity_matrix(asked, ReferenceData())
    assert "h100-sxm" in cells
    assert all(set(row) == set(PRECISIONS) for row in cells.values())
    served = serve_on(asked, ReferenceData(), cells["h100-sxm"])
    assert served.result is not None
    assert [speed.batch for speed in served.speeds] == [1, 2, 4, 8, 16, 32, 64, 128, 256]


def test_a_gpu_without_the_precision_says_so() -> None:
    asked = plan(serve_at="fp8")
    cells = capacity_matrix(asked, ReferenceData())
    served = serve_on(asked, ReferenceData(), cells["a100-80"])
    assert served.result is None
    assert served.reason


def test_every_figure_has_a_formula() -> None:
    terms = every_figure(evaluated(tp="8", pp="2", model="llama-2-70b"))
    names = {term.name for term in terms}
    assert {"memory per GPU", "step time", "throughput", "MFU", "cost", "parameters"} <= names
    assert all(
        branch.term.filled or not branch.term.parts for branch in branches(terms, frozenset())
    )


@pytest.mark.parametrize("target", ["MFU", "activations", "pipeline bubble", "layers"])
def test_a_figure_is_found_among_the_trees(target: str) -> None:
    terms = every_figure(evaluated())
    path = path_to(terms, target)
    rows = branches(terms, ancestors(path))
    assert next(row for row in rows if row.path == path).term.name == target


def test_an_unknown_figure_opens_the_first() -> None:
    assert path_to(every_figure(evaluated()), "no such figure") == (0,)


def test_scaling_needs_a_cluster_that_runs_it() -> None:
    assert scaling_base(()) is None
