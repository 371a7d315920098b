"""Every figure of an estimate as a tree of terms, in the order in which people ask for them."""

from typing import NamedTuple

from ..cost.estimate import BUSY_POWER, Estimate
from ..cost.recomputation import recomputed_flops_per_token
from .memory import explain_memory
from .step import STEP, explain_step
from .terms import Term, term


class _Figure(NamedTuple):
    """One figure's equation; `opened` names the figures before it that open its inputs."""

    name: str
    equation: str
    unit: str
    source: str = ""
    opened: tuple[str, ...] = ()


_FLOPS = "model FLOPs per token"
_EXPOSED = "tensor_s + context_s + expert_s + pipeline_s + swap_s + data_s + contention_s"
_FIGURES = (
    _Figure(
        "throughput", "tokens_s = dp * micro_batch * micro_batches * sequence / step_s", "tokens/s"
    ),
    _Figure("samples per second", "samples_s = batch / step_s", "sequences/s", opened=(STEP,)),
    _Figure(
        "MFU",
        "mfu = tokens_s_gpu * flops / peak_flops",
        "of peak",
        "model FLOPs, attention without the causal half",
        (_FLOPS, "parameters"),
    ),
    _Figure(
        "HFU",
        "hfu = mfu + tokens_s_gpu * again / peak_flops",
        "of peak",
        "FLOPs counted as for MFU, and those of a token that run again; PaLM appendix B",
        ("MFU",),
    ),
    _Figure(
        "communication overhead",
        f"communication_share = ({_EXPOSED}) / step_s",
        "of the step",
        "exposed communication only: what runs beside computation costs but its contention",
        (STEP,),
    ),
    _Figure(
        "bubble share",
        "bubble_share = bubble_s / step_s",
        "of the step",
        "(p - 1) / (v m) of the rest: Narayanan et al. 2021, section 2.2",
        (STEP,),
    ),
    _Figure(
        "Amdahl's bound",
        "amdahl_speedup = 1 / (1 - compute_s / step_s)",
        "times as fast",
        "Amdahl 1967: computation shrinks with more GPUs, the rest stays",
    ),
    _Figure(
        "training time",
        "training_s = tokens / tokens_s",
        "s",
        "without restarts and evaluations",
        ("throughput",),
    ),
    _Figure(
        "energy",
        "energy_j = training_s * gpu.power_w * busy * world",
        "J",
        "GPUs at a share of their power limit; no hosts, network or cooling",
        ("training time",),
    ),
    _Figure(
        "cost", "cost = training_s / 3600 * world * price", "US dollars", opened=("training time",)
    ),
    _Figure(
        "scaling efficiency",
        "efficiency = (tokens_s / world) / (base_tokens_s / base_world)",
        "of linear",
        "follows from the two estimates; nothing is assumed about it",
    ),
)


def explain(
    estimate: Estimate, tokens: float, price: float | None = None, base: Estimate | None = None
) -> tuple[Term, ...]:
    """All figures; built on demand, so that a search pays nothing for it.

    tokens: to train on. price: US dollars per GPU and hour. base: the smallest cluster that runs
    the same layout, what scaling is measured against. Without these two there is no cost, and no
    scaling efficiency.
    """
    setting, layout = estimate.setting, estimate.layout
    flops = explain_flops(estimate)
    given: dict[str, float] = {
        "flops": flops.value,
        "mfu": estimate.mfu(),
        "hfu": estimate.hfu(),
        "again": recomputed_flops_per_token(setting, layout),
        "bubble_share": estimate.time.bubble_s / estimate.step_s,
        "tokens": tokens,
        "training_s": estimate.training_s(tokens),
        "busy": BUSY_POWER,
    }
    energy_j = estimate.training_energy_j(tokens)
    if energy_j is not None:
        given["energy_j"] = energy_j
    if price is not None:
        given |= {"price": price, "cost": estimate.training_cost(tokens, price)}
    if base is not None:
        given |= {"base_tokens_s": base.tokens_s, "base_world": base.layout.world}
        given |= {"efficiency": estimate.tokens_s_gpu / base.tokens_s_gpu}
    terms = [explain_memory(estimate), explain_step(estimate)]
    parameters = explain_parameters(estimate)
    by_name = {one.name: one for one in (*terms, flops, parameters)}
    unknown = {"energy": energy_j, "cost": price, "scaling efficiency": base}
    for name, equation, unit, source, opened in _FIGURES:
        if unknown.get(name, name) is None:
            continue
        by_name[name] = term(
            name,
            equation,
            *(estimate, estimate.time, layout, setting, setting.cluster),
            unit=unit,
            source=source,
            parts=[by_name[part] for part in opened],
            **given,
        )
        terms.append(by_name[name])
    return (*terms, parameters)


def explain_parameters(estimate: Estimate) -> Term:
    """The parameter count: layers, embedding, output."""
    model, unit = estimate.setting.model, "parameters"
    layers = term(
        "layers",
        "layer_parameters = mixer_weights + small_parameters + dense_layers * dense_mlp_parameters"
        " + moe_layers * (router_parameters + shared_expert_weights + routed_parameters)",
        model,
        unit=unit,
    )
    embedding = term(
        "embedding",
        "embedding_parameters = (vocabulary + learned_positions) * hidden",
        model,
        unit=unit,
    )
    output = term(
        "output and last norm",
        "head_parameters = (norm_vectors + own_rows) * hidden + biases",
        model,
        unit=unit,
        norm_vectors=2 if model.layer_norm else 1,
        own_rows=0 if model.tied_embeddings else model.vocabulary,
        biases=model.head_bias * model.vocabulary,
    )
    parts = (layers, embedding, output)
    return term(unit, "parameters", model, unit=unit, parts=parts)


def explain_flops(estimate: Estimate) -> Term:
    """Model FLOPs of one token, with full attention."""
    model, sequence = estimate.setting.model, estimate.setting.sequence
    return term(
        _FLOPS,
        "flops = each * (matmul_parameters + vocabulary * hidden)"
        " + 6 * (2 * state_elements + layers * attended * (query_width + value_width))",
        model,
        unit="FLOP",
        source="PaLM appendix B; dgxc-benchmarking",
        flops=estimate.flops_per_token(),
        each=4 if estimate.setting.frozen else 6,
        attended=model.attended(sequence, causal=False),
    )
