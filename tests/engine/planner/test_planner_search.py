"""The search against working out every legal layout, and what it says where there is none."""

from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from prodtop.engine.planner.cost.estimate import Estimate, estimate
from prodtop.engine.planner.cost.hardware import cluster, find_gpu
from prodtop.engine.planner.cost.layout import check_layout
from prodtop.engine.planner.cost.memory import GIB
from prodtop.engine.planner.cost.setting import Setting, setting
from prodtop.engine.planner.search.constraints import Constraints
from prodtop.engine.planner.search.legal import legal_layouts
from prodtop.engine.planner.search.search import search
from prodtop.engine.shape.field_errors import FieldError
from prodtop.engine.shape.model_shape import ModelShape
from prodtop.engine.shape.parts import Experts
from prodtop.engine.shape.presets import preset

DENSE = preset("llama-3.2-1b")
SPARSE = ModelShape(
    name="small mixture",
    layers=12,
    hidden=1024,
    heads=8,
    kv_heads=4,
    head_dim=128,
    intermediate=4096,
    vocabulary=32_000,
    experts=Experts(count=8, active=2, intermediate=2048),
)
UNEVEN = ModelShape(
    name="uneven",
    layers=10,
    hidden=3072,
    heads=24,
    kv_heads=8,
    head_dim=128,
    intermediate=12_288,
    vocabulary=128_256,
)


def on(
    gpus: int,
    model: ModelShape = DENSE,
    gpu: str = "h100-sxm",
    sequence: int = 4096,
    software: str = "megatron-core",
) -> Setting:
    return setting(model, cluster(find_gpu(gpu), gpus), sequence, software)


def point(one: Estimate) -> tuple[float, float]:
    return one.memory.total, one.step_s


def front_of(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The Pareto front by its definition: nothing else is as lean and as fast."""
    kept: list[tuple[float, float]] = []
    for memory, time in sorted(set(points)):
        if not kept or time < kept[-1][1]:
            kept.append((memory, time))
    return kept


@st.composite
def questions(draw: st.DrawFn) -> tuple[Setting, Constraints]:
    model = draw(st.sampled_from([DENSE, SPARSE, UNEVEN]))
    where = on(
        draw(st.sampled_from([1, 2, 4, 6, 8, 12, 16])),
        model,
        draw(st.sampled_from(["h100-sxm", "l40s"])),
        draw(st.sampled_from([16, 256, 4096, 24_576])),
        draw(st.sampled_from(["megatron-core", "torch", "megatron-2021", "deepspeed-2021"])),
    )
    return where, Constraints(
        batch=draw(st.sampled_from([1, 6, 16, 24, 64])),
        memory_bytes=draw(st.sampled_from([3, 6, 12, 24, 80])) * GIB,
        zero=draw(st.sampled_from([None, None, 0, 1, 3])),
        recompute=draw(st.sampled_from([None, None, "full"])),
        schedule=draw(st.sampled_from([None, None, "gpipe", "sequential"])),
        offload=draw(st.sampled_from(["none", "none", "activations", "optimizer", "all"])),
        precision=draw(st.sampled_from(["bf16", "fp8"])),
        keep=draw(st.sampled_from([1, 4])),
    )


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(questions())
def test_nothing_that_is_pruned_could_win(question: tuple[Setting, Constraints]) -> None:
    where, constraints = question
    result = search(where, constraints)
    every = [estimate(where, layout) for layout in legal_layouts(where, constraints)]
    fitting = [one for one in every if one.memory.total <= result.limit_bytes]
    assert result.considered == len(every)
    assert result.fitting == pytest.approx(len(fitting), abs=0)
    best = sorted(one.step_s for one in fitting)[: constraints.keep]
    assert [one.step_s for one in result.best] == pytest.approx(best)
    of_split: dict[tuple[int, ...], float] = {}
    for one in fitting:
        degrees = (one.layout.dp, one.layout.tp, one.layout.pp, one.layout.cp, one.layout.ep)
        of_split[degrees] = min(one.step_s, of_split.get(degrees, one.step_s))
    assert [one.step_s for one in result.splits] == pytest.approx(
        sorted(of_split.values())[: constraints.keep]
    )
    found = [point(one) for one in result.front]
    assert found == sorted(found)
    expected = front_of([point(one) for one in fitting])
    # Layouts that tie to the last digit may stand for each other.
    assert [time for _, time in found] == pytest.approx([time for _, time in expected])
    assert [memory for memory, _ in found] == pytest.approx([memory for memory, _ in expected])
    if every:
        assert result.leanest is not None
        least = min(one.memory.total for one in every)
        assert result.leanest.memory.total == pytest.approx(least)
    assert (result.limiting is None) == bool(fitting)


@settings(deadline=None, max_examples=60)
@given(questions())
def test_every_layout_that_is_tried_can_be_run(question: tuple[Setting, Constraints]) -> None:
    where, constraints = question
    layouts = list(legal_layouts(where, constraints))
    assume(layouts)
    assert len(set(layouts)) == len(layouts)
    for layout in layouts:
        check_layout(layout, where.model, where.cluster, where.sequence, constraints.batch)


def test_fixed_degrees_are_kept() -> None:
    fixed = Constraints(batch=64, tp=2, pp=4, micro_batch=2, recompute="full", zero=1)
    result = search(on(16), fixed)
    assert result.best
    for one in (*result.best, *result.front):
        layout = one.layout
        assert (layout.tp, layout.pp, layout.micro_batch, layout.zero) == (2, 4, 2, 1)
        assert layout.recompute == "full"


def test_a_tighter_limit_never_makes_it_faster() -> None:
    times = []
    for gib in (80, 40, 20, 12):
        winner = search(on(8), Constraints(batch=64, memory_bytes=gib * GIB)).winner
        assert winner is not None
        assert winner.memory.total <= gib * GIB
        times.append(winner.step_s)
    assert times == sorted(times)


def test_what_does_not_fit_says_how_much_it_needs() -> None:
    result = search(on(1, preset("llama-3.1-70b")), Constraints(batch=8))
    assert result.best == result.front == ()
    assert result.winner is None
    assert result.considered > result.fitting == 0
    assert result.leanest is not None
    assert result.leanest.memory.total > 80 * GIB
    assert result.limiting is not None
    assert result.limiting.field == "memory"
    assert f"{result.leanest.memory.total / GIB:,.1f} GiB" in result.limiting.reason


@pytest.mark.parametrize(
    ("gpus", "constraints", "field", "words"),
    [
        (7, Constraints(batch=9), "batch", "9 sequences cannot be split over dp 7"),
        (8, Constraints(batch=8, tp=3), "tp", "8 GPUs cannot be split by 3"),
        (8, Constraints(batch=8, dp=4, tp=4), "dp", "leave dp 2, not 4"),
        (12, Constraints(batch=8, tp=12), "tp", "heads cannot be split by 12"),
        (8, Constraints(batch=8, pp=4, vp=3), "vp", "do not make up 3 chunks on each of 4 stages"),
        (8, Constraints(batch=8, ep=2), "ep", "no experts"),
        (8, Constraints(batch=2, pp=4, vp=2), "vp", "1 sequence do not make up 2 chunks"),
        (1, Constraints(batch=2, schedule="interleaved"), "vp", "several chunks"),
        (1, Constraints(batch=2, least_tp=2), "gpus", "1 GPU cannot be split with tp ≥ 2"),
        (
            8,
            Constraints(batch=8, micro_batch=3),
            "micro_batch",
            "cannot be split into micro-batches",
        ),
    ],
)
def test_what_is_not_legal_names_the_field(
    gpus: int, constraints: Constraints, field: str, words: str
) -> None:
    result = search(on(gpus), constraints)
    assert result.considered == 0
    assert result.leanest is None
    assert result.limiting is not None
    assert result.limiting.field == field
    assert words in result.limiting.reason


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"batch": 0}, "batch"),
        ({"batch": 2**40}, "batch"),
        ({"batch": 8, "memory_bytes": float("nan")}, "memory"),
        ({"batch": 8, "tp": -1}, "tp"),
        ({"batch": 8, "zero": 4}, "zero"),
        ({"batch": 8, "dp_shard": -2}, "dp_shard"),
        ({"batch": 8, "precision": "int3"}, "precision"),
        ({"batch": 8, "recompute": "some"}, "recompute"),
        ({"batch": 8, "keep": 0}, "keep"),
    ],
)
def test_absurd_values_are_refused(values: dict[str, object], field: str) -> None:
    with pytest.raises(FieldError) as caught:
        Constraints(**values)  # type: ignore[arg-type]  # values from outside, wrong on purpose
    assert caught.value.field == field


def test_a_cluster_beyond_reason_is_refused() -> None:
    with pytest.raises(FieldError, match="gpus"):
        search(on(2**30), Constraints(batch=2**30))
