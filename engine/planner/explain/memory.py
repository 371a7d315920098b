"""The memory estimate as terms."""

from ..cost.activations import fullest_end, working_set_bytes
from ..cost.estimate import Estimate
from ..cost.memory import (
    COMMUNICATOR_BYTES,
    CONTEXT_BYTES,
    FRAGMENT_SHARE,
    state_bytes_per_parameter,
)
from ..cost.stages import expert_shards, rank_parameters
from ..cost.terms import Term, total


def explain_memory(estimate: Estimate) -> Term:
    """Bytes on the fullest GPU, part by part."""
    setting, layout, memory = estimate.setting, estimate.layout, estimate.memory
    weight, gradient, state = state_bytes_per_parameter(setting, layout)
    comes_and_goes = memory.activations + memory.logits + memory.gathered
    groups = sum(degree > 1 for degree in (layout.dp, layout.tp, layout.pp, layout.cp, layout.ep))
    offloaded = layout.offload
    tokens = layout.micro_batch * setting.sequence / layout.cp
    last = memory.logits > 0
    parts = [
        _states(estimate, "weights", memory.weights, weight, 3, away=offloaded == "all"),
        _states(estimate, "gradients", memory.gradients, gradient, 2, away=False),
        _states(estimate, "optimizer", memory.optimizer, state, 1, away=offloaded != "none"),
        Term(
            name="gathered parameters",
            value=memory.gathered,
            unit="bytes",
            source="FSDP: two layers ahead with one layer's gradients, embedding and output",
        ),
        _activations(estimate),
        Term(
            name="logits",
            value=memory.logits,
            unit="bytes",
            formula="here * tokens * (copies * V / t + 4 * h)",
            inputs={
                "here": 1 if last else 0,
                "tokens": tokens,
                "copies": setting.software.logit_copies,
                "V": setting.model.vocabulary,
                "t": layout.tp,
                "h": setting.model.hidden,
            },
            source="Korthikanti et al. 2022, section 4.3, and the loss in fp32",
        ),
        Term(
            name="fragments",
            value=memory.reserve,
            unit="bytes",
            formula="share * comes_and_goes",
            inputs={"share": FRAGMENT_SHARE, "comes_and_goes": comes_and_goes},
        ),
        Term(
            name="context and communicators",
            value=memory.context,
            unit="bytes",
            formula="context + groups * each",
            inputs={"context": CONTEXT_BYTES, "groups": groups, "each": COMMUNICATOR_BYTES},
            source="ml-engineering, training/performance",
        ),
    ]
    return total("memory per GPU", "bytes", parts)


def _states(
    estimate: Estimate, name: str, value: float, each: float, stage: int, *, away: bool
) -> Term:
    layout = estimate.layout
    held = rank_parameters(estimate.setting.model, layout)
    split = layout.zero >= stage
    return Term(
        name=name,
        value=value,
        unit="bytes",
        formula="here * each * (dense / shards + experts / expert_shards)",
        inputs={
            "here": 0 if away else 1,
            "each": each,
            "dense": held.dense,
            "shards": layout.shards if split else 1,
            "experts": held.experts,
            "expert_shards": expert_shards(layout) if split else 1,
        },
        source="Megatron-LM docs/dist_optimizer.md; ZeRO",
    )


def _activations(estimate: Estimate) -> Term:
    setting, layout = estimate.setting, estimate.layout
    end = fullest_end(setting, layout)
    return Term(
        name="activations",
        value=estimate.memory.activations,
        unit="bytes",
        formula="in_flight * layer + working + embedding",
        inputs={
            "in_flight": end.layers,
            "layer": end.layer_bytes,
            "working": working_set_bytes(setting, layout),
            "embedding": end.stem,
        },
        source="Korthikanti et al. 2022, counted per operation",
    )
