"""Bytes on the fullest GPU, part by part.

States after Megatron-LM's distributed optimizer and FSDP2; activations are in `activations.py`.
"""

from dataclasses import dataclass

from .activations import fullest_end, working_set_bytes
from .layout import OPTIMIZER_STATE_BYTES, Layout
from .setting import Setting
from .stages import expert_shards, rank_parameters

GIB = 2.0**30


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Bytes per GPU on the fullest rank; the parts add up to `total`.

    `allocated` is what the framework's allocator holds at the peak, `reserve` what it keeps beyond
    (fragments), `context` what the driver, the libraries and the communicators take.
    """

    weights: float
    gradients: float
    optimizer: float
    gathered: float
    activations: float
    logits: float
    context: float
    reserve: float

    @property
    def allocated(self) -> float:
        """What the framework's allocator hands out at the peak."""
        return (
            self.weights
            + self.gradients
            + self.optimizer
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


CONTEXT_BYTES = 0.9 * GIB
"""CUDA context 0.5 to 0.9 GiB (ml-engineering, training/performance) and cuBLAS workspaces."""
COMMUNICATOR_BYTES = 0.4 * GIB
"""NCCL buffers of one communicator with all its channels, order of magnitude (nccl docs)."""
FRAGMENT_SHARE = 0.04
"""Reserved beyond allocated, of what comes and goes (activations, logits, gathered layers)."""


def memory(setting: Setting, layout: Layout) -> Memory:
    """Peak bytes per GPU of `setting` under `layout`."""
    weights, gradients, optimizer, gathered = resident_states(setting, layout)
    activations, logits = passing_bytes(setting, layout)
    comes_and_goes = activations + logits + gathered
    return Memory(
        weights=weights,
        gradients=gradients,
        optimizer=optimizer,
        gathered=gathered,
        activations=activations,
        logits=logits,
        context=context_bytes(layout),
        reserve=FRAGMENT_SHARE * comes_and_goes,
    )


def states_total(setting: Setting, layout: Layout) -> float:
    """The part of `memory` that micro-batch, chunks and recomputation do not change."""
    *kept, gathered = resident_states(setting, layout)
    return sum(kept) + (1 + FRAGMENT_SHARE) * gathered + context_bytes(layout)


def passing_total(setting: Setting, layout: Layout) -> float:
    """The rest of `memory`, which ZeRO does not change: activations, logits and their fragments."""
    return (1 + FRAGMENT_SHARE) * sum(passing_bytes(setting, layout))


def passing_bytes(setting: Setting, layout: Layout) -> tuple[float, float]:
    """Bytes of activations, with what the running layer needs, and of logits."""
    end = fullest_end(setting, layout)
    return end.kept + working_set_bytes(setting, layout), end.logits


def context_bytes(layout: Layout) -> float:
    """The driver's context, and communicators for each kind of parallelism."""
    groups = sum(degree > 1 for degree in (layout.dp, layout.tp, layout.pp, layout.cp, layout.ep))
    return CONTEXT_BYTES + groups * COMMUNICATOR_BYTES


def resident_states(setting: Setting, layout: Layout) -> tuple[float, float, float, float]:
    """As `model_states`, without what is offloaded to the host."""
    weights, gradients, optimizer, gathered = model_states(setting, layout)
    if layout.offload != "none":
        optimizer = 0.0
    if layout.offload == "all":
        weights = 0.0
    return weights, gradients, optimizer, gathered


def state_bytes_per_parameter(setting: Setting, layout: Layout) -> tuple[float, float, float]:
    """(weights, gradients, optimizer) bytes of one parameter before sharding.

    Megatron-LM `docs/dist_optimizer.md`: bf16 parameters with fp32 gradients 2 + 4 + 12; fp16 with
    fp16 gradients 2 + 2 + 16 (the master's gradients count there); fp32 4 + 4 + 8. FSDP2 shards
    fp32 parameters and gradients: 4 + 4 + 8.
    """
    if setting.frozen:
        return 2.0, 0.0, 0.0
    software = setting.software
    moments = OPTIMIZER_STATE_BYTES[layout.optimizer] * software.moment_bytes / 4.0
    if layout.precision in ("fp32", "tf32"):
        return 4.0, 4.0, moments
    if _fsdp(setting, layout):
        return 4.0, 4.0, moments
    if layout.precision == "fp16":
        return 2.0, 2.0, 4.0 + 4.0 + moments
    return 2.0, software.gradient_bytes, 4.0 + moments


def _fsdp(setting: Setting, layout: Layout) -> bool:
    return layout.zero == 3 and not setting.software.name.startswith("megatron")


def model_states(setting: Setting, layout: Layout) -> tuple[float, float, float, float]:
    """Bytes of weights, gradients, optimizer states, and of what FSDP has gathered at the peak."""
    held = rank_parameters(setting.model, layout)
    weight, grad, state = state_bytes_per_parameter(setting, layout)
    shards, experts = layout.shards, expert_shards(layout)

    def split(per: float, stage: int) -> float:
        if layout.zero >= stage:
            return per * (held.dense / shards + held.experts / experts)
        return per * held.total

    gathered = 0.0
    if layout.zero == 3:
        if layout.pp > 1:
            # A pipeline keeps its stage gathered in bf16, and its gradients whole until the end.
            gathered = 2.0 * held.total + setting.software.grad_bytes * held.total
        else:
            # Two layers ahead in bf16 with one layer's gradients; embedding and head stay gathered.
            gathered = 2.0 * (2 * held.layer + held.embedding) + 2.0 * held.layer
    return split(weight, 3), split(grad, 2), split(state, 1), gathered
