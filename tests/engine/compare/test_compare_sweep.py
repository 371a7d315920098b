"""Sweeps over an engine that a test plays: order, warm-up, ends, failures and the time left."""

from collections.abc import Callable

import msgspec
import pytest
from comparisons import WORK, latency, result
from frame_samples import frame
from hypothesis import given
from hypothesis import strategies as st
from prodtop.engine.compare.cells import Cell, Comparison, Measured
from prodtop.engine.compare.median import median
from prodtop.engine.compare.schedule import (
    Goal,
    Variant,
    cells_of,
    is_done,
    is_warm,
    next_cell,
    time_left_s,
)
from prodtop.engine.compare.sweep import Sweep
from prodtop.engine.protocol import (
    BenchDone,
    BenchSpec,
    CellSkipped,
    ChildDied,
    Command,
    Fault,
    LoadSpec,
    PrecisionName,
    Report,
    RunBench,
    SetPrecision,
    StrategyName,
)

CELLS = cells_of(
    [StrategyName.SINGLE, StrategyName.HYBRID],
    [PrecisionName.BF16, PrecisionName.INT8],
    [Variant(load=LoadSpec(users=users), max_seqs=8, drafts=2) for users in (1, 4)],
)
GOAL = Goal(most_repeats=3, within=0.0)
Answer = Callable[[BenchSpec, int], list[Report]]


def steady(spec: BenchSpec, number: int) -> list[Report]:
    """The same tok/s whatever is asked."""
    of = Cell(strategy=spec.strategies[0], precision=spec.precisions[0], load=spec.load)
    return [result(of, tok_s=100.0), BenchDone()]


class Played:
    """Answers every bench; a bench takes ten seconds."""

    def __init__(self, sweep: Sweep, answer: Answer = steady) -> None:
        self.sweep = sweep
        self.specs: list[BenchSpec] = []
        self.precisions: list[PrecisionName] = []
        self.now_s = 0.0
        self._answer = answer

    def run(self, most: int = 1000) -> "Played":
        waiting: list[Command] = self.sweep.begin(self.now_s)
        while waiting and len(self.specs) < most:
            command = waiting.pop(0)
            if isinstance(command, SetPrecision):
                self.precisions.append(command.name)
            if isinstance(command, RunBench):
                self.specs.append(command.spec)
                self.now_s += 10.0
                for report in self._answer(command.spec, len(self.specs)):
                    waiting += self.sweep.take(report, self.now_s)
        return self


def sweep(goal: Goal = GOAL, cells: list[Cell] = CELLS) -> Sweep:
    asked = Comparison(work=WORK, cells=[Measured(cell=each) for each in cells])
    return Sweep(asked, goal, PrecisionName.BF16)


def repeats(of: Sweep) -> list[int]:
    return [len(each.repeats) for each in of.comparison.cells]


def test_precisions_are_outermost_and_every_combination_is_a_cell() -> None:
    assert len(CELLS) == 8
    assert len({msgspec.json.encode(each) for each in CELLS}) == 8
    assert [each.precision for each in CELLS] == [PrecisionName.BF16] * 4 + [PrecisionName.INT8] * 4


def test_every_cell_is_warmed_and_then_measured_round_by_round() -> None:
    played = Played(sweep()).run()
    assert played.sweep.ended == "all cells were measured"
    assert repeats(played.sweep) == [3] * 8
    # Two runs of the same speed are warm, and are no repeats.
    assert len(played.specs) == 8 * (2 + 3)
    order = [(spec.strategies[0], spec.precisions[0], spec.load.users) for spec in played.specs]
    asked = [(each.strategy, each.precision, each.load.users) for each in CELLS]
    first_round = [each for each in asked for _ in range(3)]
    assert order == first_round + asked + asked
    # One switch to int8 in each round, and back for the next.
    assert played.precisions == [PrecisionName.INT8, PrecisionName.BF16] * 2 + [PrecisionName.INT8]


def test_a_spec_has_the_work_and_the_settings_of_its_cell() -> None:
    (spec, *_) = Played(sweep()).run(1).specs
    assert (spec.requests, spec.warmup, spec.samples) == (WORK.requests, WORK.warmup, True)
    assert (spec.max_seqs, spec.drafts, spec.load) == (8, 2, CELLS[0].load)


def test_a_cell_that_becomes_faster_is_warmed_until_it_does_not() -> None:
    speeds = iter([10.0, 20.0, 30.0, 29.0, 31.0])

    def answer(spec: BenchSpec, number: int) -> list[Report]:
        return [result(CELLS[0], tok_s=next(speeds)), BenchDone()]

    played = Played(sweep(Goal(most_repeats=1, within=0.0), CELLS[:1]), answer).run()
    (only,) = played.sweep.comparison.cells
    assert [each.output_tok_s for each in only.repeats] == [31.0]


@given(st.lists(st.floats(1, 100), max_size=8))
def test_warm_is_a_run_that_is_no_record(speeds: list[float]) -> None:
    record = len(speeds) < 2 or speeds[-1] > sorted(speeds[:-1])[-1]
    assert is_warm(speeds) is not record


def test_without_steadiness_every_run_is_a_repeat() -> None:
    played = Played(sweep(Goal(most_repeats=3, within=0.0, steady=False))).run()
    assert len(played.specs) == 8 * 3
    assert repeats(played.sweep) == [3] * 8


def test_the_budget_ends_it_with_something_of_each_cell_first() -> None:
    """A third of a cell's share is a run: that is all the warm-up."""
    played = Played(sweep(Goal(most_repeats=9, within=0.0, budget_s=8 * 3 * 10.0))).run()
    assert played.sweep.ended == "the budget of 240 s is spent"
    assert repeats(played.sweep) == [2] * 8
    without = Played(sweep(Goal(most_repeats=1, within=0.0))).run()
    assert len(without.specs) == 8 * 3, "and without a budget it is until it is steady"


def test_a_run_as_long_as_the_warm_up_may_take_is_measured_at_once() -> None:
    """To run it twice would take the time of other cells."""

    def answer(spec: BenchSpec, number: int) -> list[Report]:
        slow = spec.strategies[0] is StrategyName.SINGLE
        of = Cell(strategy=spec.strategies[0], precision=spec.precisions[0], load=spec.load)
        found = msgspec.structs.replace(result(of, tok_s=100.0), duration_s=9.0 if slow else 4.0)
        return [found, BenchDone()]

    budget_s = 8 * 3 * 9.0
    played = Played(sweep(Goal(most_repeats=1, within=0.0, budget_s=budget_s)), answer).run()
    assert repeats(played.sweep) == [1] * 8
    asked = [spec.strategies[0] for spec in played.specs]
    assert asked.count(StrategyName.SINGLE) == 4
    assert asked.count(StrategyName.HYBRID) == 4 * 2


@pytest.mark.parametrize("budget_s", [90.0, 110.0, 130.0, 150.0, 1000.0])
def test_behind_schedule_cells_are_not_warmed_so_that_each_has_something(budget_s: float) -> None:
    """Eight cells of ten seconds a run: warmed once each they take 160 s."""
    played = Played(sweep(Goal(most_repeats=1, within=0.0, budget_s=budget_s))).run()
    assert repeats(played.sweep) == [1] * 8
    warmed = len(played.specs) - 8
    assert warmed * 10.0 <= max(0.0, budget_s - 80.0) + 10.0
    assert (warmed == 8 * 2) is (budget_s == 1000.0)


SPEEDS = {
    (StrategyName.HYBRID, PrecisionName.INT8): 100.0,
    (StrategyName.HYBRID, PrecisionName.BF16): 85.0,
}


@pytest.mark.parametrize("budget_s", [None, 8 * 2 * 10.0 + 4 * 5 * 10.0, 1e6])
def test_under_a_budget_the_cells_that_may_be_the_best_come_first(budget_s: float | None) -> None:
    def answer(spec: BenchSpec, number: int) -> list[Report]:
        tok_s = SPEEDS.get((spec.strategies[0], spec.precisions[0]), 50.0)
        of = Cell(strategy=spec.strategies[0], precision=spec.precisions[0], load=spec.load)
        # Under 4 users all take ten times as long: they are compared among themselves.
        return [result(of, tok_s=tok_s / spec.load.users, p95_ms=1e4 / tok_s), BenchDone()]

    goal = Goal(most_repeats=6, within=0.0, budget_s=budget_s, steady=False)
    played = Played(sweep(goal), answer).run(8 + 4 * 5)
    close = [each.cell.strategy is StrategyName.HYBRID for each in played.sweep.comparison.cells]
    if budget_s is None:
        assert max(repeats(played.sweep)) - min(repeats(played.sweep)) <= 1
    else:
        assert repeats(played.sweep) == [6 if near else 1 for near in close]
    rest = Played(sweep(goal), answer).run()
    assert (rest.sweep.ended == "all cells were measured") is (budget_s != 360.0)


@given(
    st.lists(
        st.tuples(st.floats(1, 1e3), st.floats(1, 1e4) | st.none(), st.integers(0, 4)),
        min_size=8, max_size=8,
    )
)  # fmt: skip
def test_the_best_of_each_load_is_never_left_waiting(
    figures: list[tuple[float, float | None, int]],
) -> None:
    cells = [
        Measured(
            cell=each,
            repeats=[
                result(each, tok_s=tok_s, e2e_ms=None if ms is None else latency(ms))
                for _ in range(count)
            ],
        )
        for each, (tok_s, ms, count) in zip(CELLS, figures, strict=True)
    ]
    goal = Goal(most_repeats=4, within=0.0, budget_s=60.0)
    found = next_cell(Comparison(work=WORK, cells=cells), goal)
    waiting = [each for each in cells if len(each.repeats) < 4]
    if not waiting:
        assert found is None
        return
    assert found is not None
    fewest = min(len(each.repeats) for each in waiting)
    if not fewest:
        assert not found.repeats
        return
    for load in {each.cell.load for each in waiting}:
        best = max(
            (each for each in cells if each.cell.load == load),
            key=lambda each: each.repeats[0].output_tok_s,
        )
        if best in waiting:
            assert len(found.repeats) <= len(best.repeats)


VALUES = st.floats(90, 110)


@given(st.lists(st.tuples(VALUES, VALUES), min_size=1, max_size=12), st.floats(0, 0.2))
def test_a_cell_is_done_when_its_intervals_are_narrow_or_at_most_repeats(
    pairs: list[tuple[float, float]], within: float
) -> None:
    repeats = [result(CELLS[0], tok_s=tok_s, p95_ms=ms) for tok_s, ms in pairs]
    narrow = True
    for values in zip(*pairs, strict=True):
        summary = median(values)
        assert summary is not None
        assert summary.spread is not None
        narrow = narrow and summary.decisive and summary.spread <= within
    goal = Goal(most_repeats=12, within=within)
    found = Measured(cell=CELLS[0], repeats=repeats)
    assert is_done(found, goal) is (narrow or len(pairs) == 12)


def test_under_an_open_loop_a_steady_rate_alone_is_not_enough() -> None:
    repeats = [result(CELLS[0], tok_s=100.0, p95_ms=100.0 * n) for n in range(1, 7)]
    assert not is_done(Measured(cell=CELLS[0], repeats=repeats), Goal(most_repeats=12, within=0.02))


def test_a_skipped_cell_has_its_reason_and_is_not_asked_again() -> None:
    def answer(spec: BenchSpec, number: int) -> list[Report]:
        if spec.precisions[0] is PrecisionName.INT8:
            strategy, precision = spec.strategies[0], spec.precisions[0]
            skipped = CellSkipped(strategy=strategy, precision=precision, reason="no room")
            return [skipped, BenchDone()]
        return steady(spec, number)

    played = Played(sweep(), answer).run()
    assert [each.skipped for each in played.sweep.comparison.cells] == [None] * 4 + ["no room"] * 4
    assert sum(spec.precisions[0] is PrecisionName.INT8 for spec in played.specs) == 4


def test_a_fault_is_the_failure_of_its_cell_and_the_others_go_on() -> None:
    def answer(spec: BenchSpec, number: int) -> list[Report]:
        return [Fault(message="too long"), BenchDone()] if number == 1 else steady(spec, number)

    played = Played(sweep(), answer).run()
    assert [each.failure for each in played.sweep.comparison.cells] == ["too long"] + [None] * 7
    assert repeats(played.sweep) == [0] + [3] * 7


def test_a_dead_worker_fails_its_cell_and_the_next_one_is_warmed_anew() -> None:
    death = ChildDied(child="worker", reason="killed by SIGKILL", restart_in_s=1.0)
    back = frame(precision=PrecisionName.BF16)

    def answer(spec: BenchSpec, number: int) -> list[Report]:
        # The third run is the first repeat of the first cell.
        return [death, back] if number == 3 else steady(spec, number)

    played = Played(sweep(), answer).run()
    first, *others = played.sweep.comparison.cells
    assert first.failure == "the worker died: killed by SIGKILL"
    assert all(len(each.repeats) == 3 for each in others)
    assert len(played.specs) == 3 + 7 * 5


def test_a_precision_that_kills_the_worker_is_tried_once() -> None:
    death = ChildDied(child="worker", reason="killed by SIGKILL", restart_in_s=1.0)
    back = frame(precision=PrecisionName.BF16)

    def answer(spec: BenchSpec, number: int) -> list[Report]:
        int8 = spec.precisions[0] is PrecisionName.INT8
        return [death, back] if int8 else steady(spec, number)

    played = Played(sweep(), answer).run()
    assert repeats(played.sweep) == [3] * 4 + [0] * 4
    first, *others = (each.failure for each in played.sweep.comparison.cells[4:])
    assert first == "the worker died: killed by SIGKILL"
    assert set(others) == {"not tried: the worker died: killed by SIGKILL at int8"}
    assert sum(spec.precisions[0] is PrecisionName.INT8 for spec in played.specs) == 1


def test_a_worker_that_is_given_up_ends_the_sweep() -> None:
    death = ChildDied(child="worker", reason="out of memory", given_up=True)
    played = Played(sweep(), lambda spec, number: [death]).run()
    assert played.sweep.ended is not None
    assert "out of memory" in played.sweep.ended
    assert all(each.failure for each in played.sweep.comparison.cells[:4])
    assert repeats(played.sweep) == [0] * 8


def test_what_is_kept_is_not_measured_again() -> None:
    kept = Measured(cell=CELLS[0], repeats=[result(CELLS[0])] * 3)
    asked = Comparison(work=WORK, cells=[kept, Measured(cell=CELLS[1])])
    played = Played(Sweep(asked, GOAL, PrecisionName.BF16)).run()
    assert {spec.strategies[0] for spec in played.specs} == {CELLS[1].strategy}
    assert repeats(played.sweep) == [3, 3]


def test_the_time_left_is_what_is_needed_at_least_at_the_pace_so_far() -> None:
    goal = Goal(most_repeats=12, within=0.01)
    one = Measured(cell=CELLS[0], repeats=[result(CELLS[0])] * 2)
    two = Measured(cell=CELLS[1])
    asked = Comparison(work=WORK, cells=[one, two])
    assert time_left_s(asked, goal, {}, 0.0) is None
    # Six repeats are the fewest: four of three seconds, and six as long as the others. The
    # second cell is not warm, which takes two runs or more.
    assert time_left_s(asked, goal, {0: [2.0, 4.0]}, 0.0, [0]) == 4 * 3.0 + (2 + 6) * 3.0
    cold = msgspec.structs.replace(goal, steady=False)
    assert time_left_s(asked, cold, {0: [2.0, 4.0]}, 0.0) == 4 * 3.0 + 6 * 3.0
    short = msgspec.structs.replace(goal, budget_s=20.0)
    assert time_left_s(asked, short, {0: [2.0, 4.0]}, 15.0) == 5.0


def test_progress_counts_down_and_names_the_cell() -> None:
    played = sweep(Goal(most_repeats=2, within=0.0))
    waiting = played.begin(0.0)
    assert played.progress(0.0).warming_up
    assert played.progress(0.0).cell == "single bf16 1 user"
    assert played.progress(0.0).left_s is None
    left: list[float] = []
    now_s = 0.0
    while waiting:
        command = waiting.pop(0)
        if isinstance(command, RunBench):
            now_s += 10.0
            for report in steady(command.spec, 0):
                waiting += played.take(report, now_s)
            if (progress := played.progress(now_s)).left_s is not None:
                left.append(progress.left_s)
    assert left[-1] == 0.0
    assert left == sorted(left, reverse=True)
    assert played.progress(now_s).done_cells == 8
