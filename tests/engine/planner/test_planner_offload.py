"""Activations in the host's memory: what that spares, what it costs, and a run that did so."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prodtop.engine.planner.cost.estimate import Estimate, estimate
from prodtop.engine.planner.cost.hardware import cluster, find_gpu
from prodtop.engine.planner.cost.layout import Layout
from prodtop.engine.planner.cost.setting import setting
from prodtop.engine.shape.presets import preset

GPU = find_gpu("h100-sxm")


def of(layout: Layout, software: str = "torch") -> Estimate:
    return estimate(
        setting(preset("llama-3.1-8b"), cluster(GPU, layout.world), 8192, software), layout
    )


@given(
    micro_batch=st.sampled_from([1, 2, 4]),
    pp=st.sampled_from([1, 2, 4]),
    recompute=st.sampled_from(["none", "selective", "full"]),
)
def test_offloaded_activations_spare_memory_and_never_time(
    micro_batch: int, pp: int, recompute: str
) -> None:
    layout = Layout(
        dp=2,
        pp=pp,
        zero=0 if pp > 1 else 3,
        micro_batch=micro_batch,
        micro_batches=4,
        recompute=recompute,  # type: ignore[arg-type]  # sampled from the literal's values
    )
    kept, sent = of(layout), of(replace(layout, offload="activations"))
    assert sent.memory.total < kept.memory.total
    assert sent.step_s >= kept.step_s
    # States stay where they were.
    assert sent.memory.optimizer == kept.memory.optimizer
    assert sent.memory.weights == kept.memory.weights


def test_a_published_run_waits_for_its_activations() -> None:
    # AWS, awsome-distributed-training, FSDP of an 8B model on 32 H100 with offload_activations=1:
    # 9.0 samples of 8,192 tokens a second; nothing else slows it by more than half.
    layout = Layout(dp=32, zero=3, offload="activations")
    sent, kept = of(layout), of(replace(layout, offload="none"))
    assert sent.samples_s == pytest.approx(9.0, rel=0.25)
    assert kept.samples_s > 2 * 9.0
