"""The search in an engine's terms: what it finds can be said, and what was asked for stays."""

import pytest
from planned_layouts import plan
from prodtop.engine.planner.cost.layout import Layout
from prodtop.engine.planner.cost.memory import GIB
from prodtop.engine.planner.export.choose import SOFTWARE, fastest_export, in_terms_of
from prodtop.engine.planner.export.contract import InexpressibleError, TrainingRun
from prodtop.engine.planner.export.engines import ENGINES, export
from prodtop.engine.planner.search.constraints import Constraints
from prodtop.engine.planner.search.search import search
from prodtop.engine.shape.field_errors import FieldError

RUN = TrainingRun()


@pytest.mark.parametrize("engine", ENGINES)
def test_every_engine_has_a_layout_for_a_common_model(engine: str) -> None:
    setting, _ = plan("llama-3.1-8b", Layout(dp=32), software=SOFTWARE[engine])
    chosen = fastest_export(engine, setting, Constraints(batch=256), RUN)
    layout = chosen.estimate.layout
    assert chosen.estimate.fits
    assert (layout.world, layout.batch) == (32, 256)
    assert chosen.export == export(engine, setting, layout, RUN)


@pytest.mark.parametrize("engine", ENGINES)
def test_nothing_that_it_can_say_is_faster(engine: str) -> None:
    setting, _ = plan("qwen3-8b", Layout(dp=16), software=SOFTWARE[engine])
    constraints = Constraints(batch=128, keep=100)
    chosen = fastest_export(engine, setting, constraints, RUN)
    for one in search(setting, constraints).best:
        if one.step_s >= chosen.estimate.step_s:
            break
        with pytest.raises(InexpressibleError):
            export(engine, setting, one.layout, RUN)


@pytest.mark.parametrize("engine", ENGINES)
def test_what_was_asked_for_is_never_narrowed(engine: str) -> None:
    asked = Constraints(
        batch=64, pp=2, cp=2, zero=1, ep=2, dp_shard=4, sequence_parallel=True, tp=2
    )
    for each in in_terms_of(engine, asked):
        assert (each.pp, each.cp, each.zero, each.ep, each.dp_shard) == (2, 2, 1, 2, 4)
        assert each.sequence_parallel is True


def test_where_nothing_can_be_said_the_fastest_layouts_reason_is_given() -> None:
    setting, _ = plan("llama-3.1-8b", Layout(dp=32), software="deepspeed")
    with pytest.raises(InexpressibleError) as caught:
        fastest_export("deepspeed", setting, Constraints(batch=256, pp=4), RUN)
    assert caught.value.field == "pp"


def test_where_nothing_fits_the_limit_is_named() -> None:
    setting, _ = plan("llama-3.1-70b", Layout(dp=8))
    with pytest.raises(FieldError, match="GiB") as caught:
        fastest_export("torchtitan", setting, Constraints(batch=64, memory_bytes=GIB), RUN)
    assert caught.value.field == "memory"
