"""Fine-tuning and long runs: adapters' sizes, published peaks, and the arithmetic of failures."""

import math
from dataclasses import replace

import pytest
from prodtop.engine.planner.cost.estimate import Estimate, estimate
from prodtop.engine.planner.cost.hardware import cluster, find_gpu
from prodtop.engine.planner.cost.layout import Layout
from prodtop.engine.planner.cost.setting import setting
from prodtop.engine.planner.tuning.long_run import Reality, daly_s, long_run
from prodtop.engine.planner.tuning.tuning import (
    NF4_BYTES,
    Tuning,
    adapter_parameters,
    tuned_setting,
    tuned_step,
)
from prodtop.engine.shape.field_errors import FieldError
from prodtop.engine.shape.presets import preset

LAYOUT = Layout(micro_batch=1, micro_batches=4, recompute="full")


def tuned(tuning: Tuning, model: str = "llama-2-7b", gpu: str = "a100-80", **more: int) -> Estimate:
    layout = replace(LAYOUT, **more)  # type: ignore[arg-type]  # fields that are numbers
    where = cluster(find_gpu(gpu), layout.world)
    plain = setting(preset(model), where, 1304, "torch")
    return estimate(tuned_setting(plain, tuning), layout)


@pytest.mark.parametrize(
    ("model", "rank", "published"),
    # `print_trainable_parameters` of PEFT with all linear layers as targets.
    [
        ("llama-2-7b", 8, 19_988_480),
        ("llama-2-7b", 64, 159_907_840),
        ("llama-3.1-8b", 16, 41_943_040),
        ("llama-3.1-70b", 16, 207_093_760),
    ],
)
def test_adapters_are_as_large_as_peft_makes_them(model: str, rank: int, published: int) -> None:
    assert adapter_parameters(preset(model), Tuning(method="lora", rank=rank)) == published


def test_each_method_keeps_less_than_the_one_before() -> None:
    full, lora, qlora = (tuned(Tuning(method=m)).memory for m in ("full", "lora", "qlora"))
    assert full.total > lora.total > qlora.total
    assert lora.gradients < 0.01 * full.gradients
    assert qlora.weights < (NF4_BYTES / 2 + 0.02) * lora.weights
    shape = preset("llama-2-7b")
    dora, plain = (adapter_parameters(shape, Tuning(method=m)) for m in ("dora", "lora"))
    assert 0 < dora - plain < 0.1 * plain, "a magnitude for each output"


def test_frozen_layers_have_no_gradients_and_no_backward_pass() -> None:
    all_layers, half = tuned(Tuning()), tuned(Tuning(train_layers=16))
    assert half.memory.gradients == pytest.approx(all_layers.memory.gradients / 2)
    assert half.memory.optimizer == pytest.approx(all_layers.memory.optimizer / 2)
    faster = tuned_step(half, Tuning(train_layers=16)).update_s
    assert faster < tuned_step(all_layers, Tuning()).update_s
    with pytest.raises(FieldError, match="32 layers"):
        tuned(Tuning(train_layers=33))
    with pytest.raises(FieldError, match="adapters"):
        Tuning(method="lora", train_layers=3)


def test_a_reference_is_a_copy_only_where_all_weights_are_trained() -> None:
    plain, dpo = tuned(Tuning()), tuned(Tuning(objective="dpo"))
    copy = 2 * preset("llama-2-7b").parameters
    assert dpo.memory.weights - plain.memory.weights == pytest.approx(copy)
    one, other = (tuned(Tuning(method="lora", objective=o)) for o in ("sft", "dpo"))
    assert one.memory.total == other.memory.total


def test_an_objectives_parts_add_up() -> None:
    one = tuned(Tuning())
    sft, dpo = tuned_step(one, Tuning()), tuned_step(one, Tuning(objective="dpo"))
    grpo = tuned_step(one, Tuning(objective="grpo", rollout_tokens_s=1000.0, fill=0.5))
    assert sft.total_s == one.step_s
    assert 0 < dpo.reference_s < dpo.update_s
    assert grpo.reference_s == pytest.approx(2 * dpo.reference_s)
    assert grpo.rollout_s == pytest.approx(0.5 * 0.5 * one.tokens_per_step / 1000)
    assert tuned_step(one, Tuning(objective="grpo")).rollout_s is None


@pytest.mark.parametrize(
    ("model", "gpus", "method", "gigabytes"),
    # Peaks as LitGPT's resource tables publish them: micro-batch 1, 1,304 tokens, no recomputation.
    [
        ("llama-2-7b", 1, "lora", 21.30),
        ("llama-2-13b", 1, "lora", 38.12),
        ("llama-2-7b", 1, "qlora", 14.14),
        ("llama-2-13b", 1, "qlora", 23.14),
    ],
)
def test_published_peaks_of_adapters(model: str, gpus: int, method: str, gigabytes: float) -> None:
    one = tuned(Tuning(method="lora" if method == "lora" else "qlora"), model, recompute_layers=0)
    assert one.memory.allocated / 1e9 == pytest.approx(gigabytes, rel=0.25)


def test_a_run_without_failures_is_as_long_as_planned() -> None:
    one = tuned(Tuning())
    run = long_run(one.tokens_s, one, Reality(failures=0), 1e9, 2.0)
    assert run.goodput == 1
    assert run.seconds == pytest.approx(1e9 / one.tokens_s)
    assert math.isinf(run.interval_s)


def test_the_checkpoint_interval_is_dalys_and_nearer_the_best_than_youngs() -> None:
    one = tuned(Tuning())
    often = Reality(failures=0.02, restart_s=60.0, checkpoint_bytes_s=1e9)
    run = long_run(one.tokens_s, one, often, 1e12, 2.0)
    assert run.young_s == pytest.approx(math.sqrt(2 * run.checkpoint_s * 180_000))

    def lost(interval_s: float) -> float:
        saving = run.checkpoint_s / (interval_s + run.checkpoint_s)
        return 1 - (1 - saving) * (1 - (interval_s / 2 + 60) / 180_000)

    assert lost(run.interval_s) <= 1.01 * min(lost(run.interval_s * x / 20) for x in range(2, 80))
    assert run.goodput == pytest.approx(1 - lost(run.interval_s))


@pytest.mark.parametrize("checkpoint_s", [1.0, 30.0, 300.0, 3_000.0])
def test_dalys_interval_wastes_no_more_than_youngs(checkpoint_s: float) -> None:
    mean_s = 3_600.0

    def wall(interval_s: float) -> float:
        # Daly 2006, equation 20: failures at random, while saving and restarting too.
        return (math.exp((interval_s + checkpoint_s) / mean_s) - 1) / interval_s

    young_s = math.sqrt(2 * checkpoint_s * mean_s)
    daly = daly_s(checkpoint_s, mean_s)
    assert wall(daly) <= wall(young_s)
    assert wall(daly) <= 1.001 * min(wall(young_s * x / 200) for x in range(20, 400))


def test_more_failures_cost_more_and_too_many_are_refused() -> None:
    one = tuned(Tuning())
    runs = [
        long_run(one.tokens_s, one, Reality(interruptions=rate, spot_price=1.0), 1e12, 2.0)
        for rate in (0.0, 0.01, 0.1)
    ]
    costs = [run.cost or 0.0 for run in runs]
    assert costs == sorted(costs)
    assert len(set(costs)) == 3
    with pytest.raises(FieldError, match="no time"):
        long_run(one.tokens_s, one, Reality(failures=10), 1e12, 2.0)


def test_llama_3s_run_had_an_effective_time_above_nine_tenths() -> None:
    """Dubey et al. 2024, section 3.3.4: more than 90 % effective training time, 16,384 GPUs."""
    one = estimate(
        setting(preset("llama-3.1-405b"), cluster(find_gpu("h100-sxm"), 16_384), 8192),
        Layout(dp=128, tp=8, pp=16, zero=1, micro_batches=16, sequence_parallel=True),
    )
    run = long_run(one.tokens_s, one, Reality(checkpoint_bytes_s=2e12), 1e12, None)
    assert 0.9 < run.goodput < 0.99
    assert run.mean_between_s == pytest.approx(54 * 86_400 / 419, rel=0.01)
    assert run.cost is None
