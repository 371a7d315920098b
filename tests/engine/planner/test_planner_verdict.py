"""Why the winner wins: the parts must add up, and each turning point must really turn."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prodtop.engine.planner.cost.estimate import Estimate, estimate
from prodtop.engine.planner.cost.hardware import cluster, find_gpu
from prodtop.engine.planner.cost.memory import GIB
from prodtop.engine.planner.cost.setting import Setting, setting
from prodtop.engine.planner.explain.break_even import BreakEven
from prodtop.engine.planner.explain.verdict import Verdict, verdict, verdict_of, with_more_memory
from prodtop.engine.planner.search.constraints import Constraints
from prodtop.engine.planner.search.search import EQUAL, SearchResult, distinct, search
from prodtop.engine.shape.presets import preset


def on(gpus: int, name: str = "llama-3.1-8b") -> Setting:
    return setting(preset(name), cluster(find_gpu("h100-sxm"), gpus), 8192)


def found(gpus: int = 32, batch: int = 256, name: str = "llama-3.1-8b") -> SearchResult:
    return search(on(gpus, name), Constraints(batch=batch))


def judged(result: SearchResult) -> Verdict:
    judgement = verdict_of(result)
    assert judgement is not None
    return judgement


@pytest.mark.parametrize(("gpus", "batch"), [(8, 64), (32, 256), (64, 64)])
def test_the_parts_add_up_to_the_whole_difference(gpus: int, batch: int) -> None:
    judgement = judged(found(gpus, batch))
    slower = judgement.runner_up.step_s - judgement.winner.step_s
    assert slower >= 0
    assert sum(part.difference for part in judgement.time) == pytest.approx(slower)
    more = judgement.runner_up.memory.total - judgement.winner.memory.total
    assert sum(part.difference for part in judgement.memory) == pytest.approx(more)
    sizes = [abs(part.difference) for part in judgement.time]
    assert sizes == sorted(sizes, reverse=True)


def test_the_runner_up_splits_otherwise() -> None:
    judgement = judged(found())
    layouts = (judgement.winner.layout, judgement.runner_up.layout)
    first, second = ((one.dp, one.tp, one.pp, one.cp, one.ep) for one in layouts)
    assert first != second


def with_bandwidth(where: Setting, knob: str, value: float) -> Setting:
    gpu = where.cluster.gpu
    changed = (
        replace(gpu, network_bytes_s=value)
        if knob == "network"
        else replace(gpu, link_bytes_s=value)
    )
    return replace(where, cluster=replace(where.cluster, gpu=changed))


def assert_turns(judgement: Verdict, turn: BreakEven, limit: float) -> None:
    """Work out both layouts again on either side of the turning point."""
    winner, runner_up = judgement.winner, judgement.runner_up
    if turn.knob == "memory":
        assert runner_up.memory.total < turn.value == winner.memory.total <= limit
        return
    if turn.knob == "batch":
        first, second = (with_batch(one, int(turn.value)) for one in (winner, runner_up))
        assert second.memory.total <= limit
        assert second.step_s == pytest.approx(turn.runner_up_s)
        assert second.step_s < first.step_s or first.memory.total > limit
        return
    # As near as the bisection of a doubling in 12 steps has looked, and not past where it began.
    nearer = 2.0 ** (1 / 4096)
    below = turn.value < turn.now
    back = min(turn.value * nearer, turn.now) if below else max(turn.value / nearer, turn.now)
    for value, ahead in ((turn.value, True), (back, False)):
        where = with_bandwidth(winner.setting, turn.knob, value)
        first, second = (estimate(where, one.layout) for one in (winner, runner_up))
        assert (second.step_s < first.step_s) is ahead


def with_batch(one: Estimate, batch: int) -> Estimate:
    each = one.layout.dp * one.layout.micro_batch
    assert batch % each == 0
    return estimate(one.setting, replace(one.layout, micro_batches=batch // each))


@settings(deadline=None, max_examples=25)
@given(
    gpus=st.sampled_from([8, 16, 32]),
    batch=st.sampled_from([32, 64, 256]),
    gib=st.sampled_from([30, 60, 80]),
    places=st.tuples(st.integers(0, 9), st.integers(0, 9)),
)
def test_every_turning_point_turns(
    gpus: int, batch: int, gib: int, places: tuple[int, int]
) -> None:
    limit = gib * GIB
    result = search(on(gpus), Constraints(batch=batch, memory_bytes=limit))
    first, second = sorted(min(place, len(result.splits) - 1) for place in places)
    if first == second:
        return
    judgement = verdict(result.splits[first], result.splits[second], limit)
    for turn in judgement.break_evens:
        assert_turns(judgement, turn, limit)


def test_a_leaner_runner_up_wins_below_the_winners_memory() -> None:
    winner, leaner = estimates_of_two()
    (turn,) = (one for one in verdict(winner, leaner, 80 * GIB).break_evens if one.knob == "memory")
    assert turn.value == winner.memory.total
    result = search(on(8), Constraints(batch=64, memory_bytes=turn.value - 1))
    assert winner.layout not in [one.layout for one in result.best]


def estimates_of_two() -> tuple[Estimate, Estimate]:
    """The fastest layout of a search and the leanest."""
    result = found(8, 64)
    return result.front[-1], result.front[0]


def test_more_memory_brings_something_faster_or_nothing() -> None:
    tight = search(on(8), Constraints(batch=64, memory_bytes=30 * GIB))
    assert tight.winner is not None
    faster = with_more_memory(tight)
    assert faster is not None
    assert faster.memory.total > 30 * GIB
    assert faster.step_s <= 0.99 * tight.winner.step_s
    again = search(on(8), Constraints(batch=64, memory_bytes=faster.memory.total))
    assert again.winner is not None
    assert again.winner.layout == faster.layout
    assert with_more_memory(search(on(8), Constraints(batch=8, memory_bytes=1e15))) is None


def test_one_layout_has_no_runner_up() -> None:
    fixed = Constraints(
        batch=1, dp=1, tp=1, pp=1, micro_batch=1, recompute="full", zero=0, vp=1, keep=5
    )
    assert verdict_of(search(on(1, "llama-3.2-1b"), fixed)) is None


ALIKE = Constraints(batch=64, zero=2, schedule="1f1b")
"""Experts on one node, where replicas and context ranks come to the same."""


def test_layouts_that_are_alike_are_one_row_and_never_the_runner_up() -> None:
    result = search(on(8, "qwen3-30b-a3b"), ALIKE)
    counts = distinct(result.splits)
    assert len(counts) + sum(counts.values()) == len(result.splits)
    assert any(counts.values()), "this example has some"
    shown = [result.splits[place] for place in counts]
    assert shown[0] is result.splits[0]
    figures = [(one.step_s, one.memory.total) for one in shown]
    for place, (step_s, used) in enumerate(figures):
        for other_s, other in figures[:place]:
            assert abs(step_s / other_s - 1) > EQUAL or abs(used / other - 1) > EQUAL
    judgement = judged(result)
    assert judgement.runner_up.step_s > judgement.winner.step_s * (1 + EQUAL)


def test_where_all_layouts_are_alike_there_is_no_runner_up() -> None:
    fixed = Constraints(batch=64, dp=1, tp=8, pp=1, cp=1, micro_batch=1, recompute="none")
    result = search(on(8), fixed)
    assert len(result.best) == 1
    assert result.runner_up is None
    assert verdict_of(result) is None
