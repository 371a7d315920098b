"""Bytes on the fullest GPU, part by part.

States after Megatron-LM's distributed optimizer and FSDP2; activations are in `activations.py`.
"""

from dataclasses import dataclass
from typing import NamedTuple

from .activations import PipelineEnd, fullest_end, working_set_bytes
from .layout import OPTIMIZER_STATE_BYTES, Layout
from .setting import Setting
from .stages import RankParameters, expert_shards, rank_parameters

GIB = 2.0**30


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Bytes per GPU on the fullest rank; the parts add up to `total`.

    `allocated` is what the framework's allocator holds at the peak, `reserve` what it keeps beyond
    (fragments), `context` what the driver, the libraries and the communicators take.

    update: what the optimizer's step makes for a moment, as far as it is more than what the
        passes have left by then.
    states, end, working: what weights to gathered layers, and activations and logits, are made of.
    """

    weights: float
    gradients: float
    optimizer: float
    update: float
    gathered: float
    activations: float
    logits: float
    context: float
    reserve: float
    states: "ModelStates"
    end: PipelineEnd
    working: float

    @property
    def allocated(self) -> float:
        """What the framework's allocator hands out at the peak."""
        return (
            self.weights
            + self.gradients
            + self.optimizer
            + self.update
            + self.gathered
            + self.activations
            + self.logits
        )

    @property
    def reserved(self) -> float:
        """Allocated and fragments."""
        return self.allocated + self.reserve

    @property
    def total(self) -> float:
        """What the device shows as used."""
        return self.reserved + self.context


EIGHT_BIT_BYTES = 2.0
"""Two moments of a byte each: what bf16 does not halve."""
CONTEXT_BYTES = 0.9 * GIB
"""CUDA context 0.5 to 0.9 GiB (ml-engineering, training/performance) and cuBLAS workspaces."""
COMMUNICATOR_BYTES = 0.4 * GIB
"""NCCL buffers of one communicator with all its channels, order of magnitude (nccl docs)."""
FRAGMENT_SHARE = 0.04
"""Reserved beyond allocated, of what comes and goes (activations, logits, gathered layers)."""


def memory(setting: Setting, layout: Layout) -> Memory:
    """Peak bytes per GPU of `setting` under `layout`."""
    states, end = model_states(setting, layout), fullest_end(setting, layout)
    # Logits are gone before a layer's backward pass needs its working set.
    working = max(0.0, working_set_bytes(setting, layout) - end.logits)
    activations = end.kept_bytes + working
    passing = activations + end.logits + states.gathered
    return Memory(
        weights=states.weights,
        gradients=states.gradients,
        optimizer=states.optimizer,
        update=max(0.0, states.update - (1 + FRAGMENT_SHARE) * passing),
        gathered=states.gathered,
        activations=activations,
        logits=end.logits,
        context=context_bytes(layout),
        reserve=FRAGMENT_SHARE * passing,
        states=states,
        end=end,
        working=working,
    )


def states_total(setting: Setting, layout: Layout) -> float:
    """The part of `memory` that micro-batch, chunks and recomputation do not change."""
    states = model_states(setting, layout)
    resident = states.weights + states.gradients + states.optimizer
    return resident + (1 + FRAGMENT_SHARE) * states.gathered + context_bytes(layout)


def update_total(setting: Setting, layout: Layout) -> float:
    """Bytes during the optimizer's step, when activations are gone; `memory` is no less."""
    states = model_states(setting, layout)
    resident = states.weights + states.gradients + states.optimizer
    return resident + states.update + context_bytes(layout)


def passing_total(setting: Setting, layout: Layout) -> float:
    """The rest of `memory`, which ZeRO does not change: activations, logits and their fragments."""
    end = fullest_end(setting, layout)
    most = max(working_set_bytes(setting, layout), end.logits)
    return (1 + FRAGMENT_SHARE) * (end.kept_bytes + most)


def communicators(layout: Layout) -> int:
    """Kinds of parallelism whose ranks talk to each other."""
    return sum(degree > 1 for degree in (layout.dp, layout.tp, layout.pp, layout.cp, layout.ep))


def context_bytes(layout: Layout) -> float:
    """The driver's context, and a communicator for each kind of parallelism."""
    return CONTEXT_BYTES + communicators(layout) * COMMUNICATOR_BYTES


class StateBytes(NamedTuple):
    """Bytes of one parameter before sharding."""

    weight: float
    gradient: float
    optimizer: float


class ModelStates(NamedTuple):
    """Bytes on a rank, of what FSDP has `gathered` at the peak too, and what they are made of.

    update: the square roots of all second moments, which an unfused Adam makes at once.
    """

    weights: float
    gradients: float
    optimizer: float
    update: float
    gathered: float
    each: StateBytes
    parameters: RankParameters


def state_bytes(setting: Setting, layout: Layout) -> StateBytes:
    """What one parameter takes, by precision and framework.

    Megatron-LM `docs/dist_optimizer.md`: bf16 parameters with fp32 gradients 2 + 4 + 12; fp16 with
    fp16 gradients 2 + 2 + 16 (the master's gradients count there); fp32 4 + 4 + 8. FSDP2 shards
    fp32 parameters and gradients: 4 + 4 + 8.
    """
    software, kept = setting.software, OPTIMIZER_STATE_BYTES[layout.optimizer]
    weight = software.fp8_weight_bytes if layout.precision in setting.constants.recipes else 2.0
    if setting.frozen:
        # Adapters in bf16, their gradients, and fp32 moments, as PEFT and torchtune keep them.
        share = 0.0 if setting.trained_share == 1 else setting.trained_share
        fixed = min(weight, setting.frozen_bytes)
        return StateBytes(fixed + 2 * share, 2 * share, kept / 2 * share)
    if setting.pure:
        return StateBytes(
            2.0, 0.0 if setting.in_backward else 2.0, kept / 2 if kept > EIGHT_BIT_BYTES else kept
        )
    moments = kept * software.moment_bytes / 4.0
    fsdp = layout.zero == 3 and not software.name.startswith("megatron")
    if fsdp or layout.precision in ("fp32", "tf32"):
        return StateBytes(4.0, 4.0, moments)
    if layout.precision == "fp16":
        return StateBytes(2.0, 2.0, 4.0 + 4.0 + moments)
    return StateBytes(weight, software.gradient_bytes, 4.0 + moments)


def model_states(setting: Setting, layout: Layout) -> ModelStates:
    """Weights, gradients and optimizer states of one rank that are not offloaded to the host."""
    local, each = rank_parameters(setting.model, layout), state_bytes(setting, layout)
    each = each._replace(weight=each.weight + setting.reference_bytes)
    if not setting.frozen:
        share = setting.trained_share
        each = each._replace(gradient=share * each.gradient, optimizer=share * each.optimizer)
    whole = local.dense + local.experts
    shard = local.dense / layout.shards + local.experts / expert_shards(layout)
    gathered = 0.0
    if layout.zero == 3:
        if layout.pp > 1:
            # A pipeline keeps its stage gathered in bf16, and its gradients whole until the end.
            gathered = 2.0 * whole + setting.software.grad_bytes * whole
        else:
            # Two layers ahead in bf16 with one layer's gradients; embedding and head stay gathered.
            layers = 2 if setting.frozen else 3
            gathered = 2.0 * (layers * local.layer + local.embedding)
    elif setting.frozen and setting.frozen_bytes < 2:
        # One layer at a time is dequantized, the embedding and the head never were packed.
        gathered = 2.0 * local.layer + (2.0 - setting.frozen_bytes) * local.embedding
    if setting.in_backward:
        gathered += 2.0 * local.layer
    moments = each.optimizer / 2 if setting.pure else 4.0
    unfused = setting.software.unfused_update and layout.optimizer == "adamw"
    unfused = unfused and not setting.in_backward
    return ModelStates(
        each.weight * (shard if layout.zero >= 3 else whole) if layout.offload != "all" else 0.0,
        each.gradient * (shard if layout.zero >= 2 else whole) if layout.offload != "all" else 0.0,
        each.optimizer * (shard if layout.zero else whole) if not layout.offloads_states else 0.0,
        moments * (shard if layout.zero else whole)
        if unfused and not layout.offloads_states and not setting.frozen
        else 0.0,
        gathered,
        each,
        local,
    )
