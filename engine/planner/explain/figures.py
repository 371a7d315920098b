"""Figures that follow from an estimate, as terms: shares, scaling, training time, cost, energy."""

from ..cost.estimate import Estimate
from ..cost.recomputation import recomputed_flops_per_token
from ..cost.terms import Term
from .explain import explain_mfu, explain_step, explain_throughput

BUSY_POWER = 0.9
"""Share of its power limit that a GPU draws while it trains (MLPerf power results: 0.8 to 1.0)."""


def explain_samples(estimate: Estimate) -> Term:
    """Sequences per second."""
    return Term(
        name="samples per second",
        value=estimate.samples_s,
        unit="sequences/s",
        formula="batch / step",
        inputs={"batch": estimate.layout.batch, "step": estimate.step_s},
        parts=(explain_step(estimate),),
    )


def explain_hfu(estimate: Estimate) -> Term:
    """Hardware FLOPs utilisation: model FLOPs and what recomputation runs again, over the peak."""
    return Term(
        name="HFU",
        value=estimate.hfu(),
        unit="of peak",
        formula="mfu + speed * again / peak",
        inputs={
            "mfu": estimate.mfu(),
            "speed": estimate.tokens_s_gpu,
            "again": recomputed_flops_per_token(estimate.setting, estimate.layout),
            "peak": estimate.peak_flops,
        },
        source="FLOPs counted as for MFU, and those of a token that run again; PaLM appendix B",
        parts=(explain_mfu(estimate),),
    )


def explain_communication(estimate: Estimate) -> Term:
    """Exposed communication's share of the step, by kind."""
    time = estimate.time
    kinds = {
        "tensor": time.tensor_s,
        "context": time.context_s,
        "expert": time.expert_s,
        "pipeline": time.pipeline_s,
        "data": time.data_s,
        "contention": time.contention_s,
    }
    return Term(
        name="communication overhead",
        value=estimate.communication_share,
        unit="of the step",
        formula=f"({' + '.join(kinds)}) / step",
        inputs={**kinds, "step": estimate.step_s},
        source="exposed communication only: what runs beside computation costs but its contention",
        parts=(explain_step(estimate),),
    )


def explain_bubble(estimate: Estimate) -> Term:
    """The share of the pipeline's time in which a stage waits for others."""
    layout = estimate.layout
    return Term(
        name="bubble share",
        value=estimate.time.bubble_s / estimate.step_s,
        unit="of the step",
        formula="bubble / step",
        inputs={"bubble": estimate.time.bubble_s, "step": estimate.step_s},
        source=f"(p - 1) / (v m) of the rest: p {layout.pp}, v {layout.vp}, "
        f"m {layout.micro_batches}; Narayanan et al. 2021, section 2.2",
        parts=(explain_step(estimate),),
    )


def explain_amdahl(estimate: Estimate) -> Term:
    """How much faster the step could get if only computation shrank."""
    return Term(
        name="Amdahl's bound",
        value=estimate.amdahl_speedup,
        unit="times as fast",
        formula="1 / (1 - compute / step)",
        inputs={"compute": estimate.time.compute_s, "step": estimate.step_s},
        source="Amdahl 1967: computation shrinks with more GPUs, the rest stays",
    )


def explain_training(estimate: Estimate, tokens: float) -> Term:
    """Seconds to train on `tokens` tokens, without restarts."""
    return Term(
        name="training time",
        value=estimate.training_s(tokens),
        unit="s",
        formula="tokens / speed",
        inputs={"tokens": tokens, "speed": estimate.tokens_s},
        source="without restarts and evaluations",
        parts=(explain_throughput(estimate),),
    )


def explain_cost(estimate: Estimate, tokens: float, price: float) -> Term:
    """What training on `tokens` tokens costs at `price` US dollars per GPU and hour."""
    return Term(
        name="cost",
        value=estimate.training_cost(tokens, price),
        unit="US dollars",
        formula="training / 3600 * gpus * price",
        inputs={
            "training": estimate.training_s(tokens),
            "gpus": estimate.layout.world,
            "price": price,
        },
        parts=(explain_training(estimate, tokens),),
    )


def explain_energy(estimate: Estimate, tokens: float) -> Term:
    """Energy of the GPUs alone for `tokens` tokens."""
    return Term(
        name="energy",
        value=estimate.training_energy_j(tokens, BUSY_POWER),
        unit="J",
        formula="training * power * busy * gpus",
        inputs={
            "training": estimate.training_s(tokens),
            "power": estimate.setting.cluster.gpu.power_w,
            "busy": BUSY_POWER,
            "gpus": estimate.layout.world,
        },
        source="GPUs at a share of their power limit; no hosts, network or cooling",
        parts=(explain_training(estimate, tokens),),
    )


def explain_scaling(estimate: Estimate, base: Estimate) -> Term:
    """Throughput per GPU over that of `base`, the smallest cluster that runs the same layout."""
    return Term(
        name="scaling efficiency",
        value=estimate.tokens_s_gpu / base.tokens_s_gpu,
        unit="of linear",
        formula="(speed / gpus) / (base_speed / base_gpus)",
        inputs={
            "speed": estimate.tokens_s,
            "gpus": estimate.layout.world,
            "base_speed": base.tokens_s,
            "base_gpus": base.layout.world,
        },
        source="follows from the two estimates; nothing is assumed about it",
    )
