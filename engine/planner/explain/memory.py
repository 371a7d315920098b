"""The memory estimate as terms."""

from ..cost.activations import LOSS_CHUNKS
from ..cost.estimate import Estimate
from ..cost.memory import COMMUNICATOR_BYTES, CONTEXT_BYTES, FRAGMENT_SHARE, communicators
from ..cost.stages import expert_shards
from .terms import Term, term

MEMORY = "memory per GPU"

MEMORY_PARTS = {
    "weights": "weights",
    "gradients": "gradients",
    "optimizer": "optimizer states",
    "update": "optimizer's step",
    "gathered": "gathered layers",
    "activations": "activations",
    "logits": "logits",
    "context": "context and communicators",
    "reserve": "fragments",
}
"""The parts of a GPU's memory that add up to it, by their field in `Memory`."""

BF16_BYTES = 2
_SOURCES = {
    "weights": "Megatron-LM docs/dist_optimizer.md; ZeRO; none where offloaded",
    "gradients": "Megatron-LM docs/dist_optimizer.md; ZeRO",
    "optimizer": "Megatron-LM docs/dist_optimizer.md; ZeRO; none where offloaded",
    "update": "what an unfused Adam makes for a moment, beyond what the passes left",
    "gathered": "FSDP: two layers ahead with one layer's gradients, embedding and output;"
    " in a pipeline the whole stage",
    "activations": "Korthikanti et al. 2022, counted per operation",
    "logits": "Korthikanti et al. 2022, section 4.3, and the loss in fp32",
    "context": "ml-engineering, training/performance",
}


def explain_memory(estimate: Estimate) -> Term:
    """Bytes on the fullest GPU, part by part."""
    setting, layout, memory = estimate.setting, estimate.layout, estimate.memory

    def states(each: str, stage: int) -> str:
        sharded = "dense / shards + experts / expert_shards"
        return f"each.{each} * ({sharded if layout.zero >= stage else 'dense + experts'})"

    gathered = "0"
    if setting.frozen and setting.frozen_bytes < BF16_BYTES:
        gathered = "2 * layer + (2 - frozen_bytes) * embedding"
    if layout.zero == 3:
        gathered = f"2 * ({2 if setting.frozen else 3} * layer + embedding)"
        if layout.pp > 1:
            gathered = "(2 + grad_bytes) * (dense + experts)"
    copies = "logit_copies / chunks" if setting.chunked_loss else "logit_copies"
    gathered += " + 2 * layer" if setting.in_backward else ""
    formulas = {
        "weights": states("weight", 3) if layout.offload != "all" else "0",
        "gradients": states("gradient", 2) if layout.offload != "all" else "0",
        "optimizer": states("optimizer", 1) if not layout.offloads_states else "0",
        "update": "max(0, states.update - (1 + share) * (activations + logits + gathered))",
        "gathered": gathered,
        "activations": "end.layers * layer_bytes + stem + working",
        "logits": f"heads * tokens * ({copies} * model.vocabulary / tp + 4 * model.hidden)",
        "context": "driver + groups * communicator",
        "reserve": "share * (activations + logits + gathered)",
    }
    parts = [
        term(
            name,
            f"{field} = {formulas[field]}",
            *(memory, memory.end, memory.states, memory.states.parameters),
            *(layout, setting.software, setting),
            unit="bytes",
            source=_SOURCES.get(field, ""),
            expert_shards=expert_shards(layout),
            share=FRAGMENT_SHARE,
            driver=CONTEXT_BYTES,
            communicator=COMMUNICATOR_BYTES,
            groups=communicators(layout),
            chunks=LOSS_CHUNKS,
        )
        for field, name in MEMORY_PARTS.items()
    ]
    return term(MEMORY, "total", memory, unit="bytes", parts=parts)
