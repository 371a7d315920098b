"""The decision path: the questions that lead to a strategy, answered with the plan's own numbers.

The order is the customary one (Narayanan et al. 2021, section 3; Megatron-LM's and Hugging Face's
guides): fill one GPU first, then share states over replicas, then split layers inside a node, and
the depth of the model between nodes last.
"""

from dataclasses import dataclass

from ...engine.planner.memory import CONTEXT_BYTES
from ...engine.planner.model import ModelShape
from .answer import Answer
from .units import gib, parameters

STATE_BYTES = 16.0
"""Weights, gradients, master and Adam's moments of one parameter in mixed precision (ZeRO,
Rajbhandari et al. 2020, section 3.1): what decides whether one GPU can train a model at all."""
FAST_LINK_BYTES_S = 150e9
"""From here on a link carries tensor parallelism: NVLink 2 has 150 GB/s, PCIe 5 has 63."""
LARGE = 100e9


@dataclass(frozen=True, slots=True)
class Step:
    """One question: the answer taken, the numbers it rests on, and what follows from it."""

    question: str
    yes: bool
    numbers: str
    leads_to: str


@dataclass(frozen=True, slots=True)
class Decision:
    """The path taken, and the strategy at its end."""

    steps: tuple[Step, ...]
    strategy: str
    reason: str


def decide(shown: Answer) -> Decision:
    """Walk the path for a plan: a question is asked only where the ones before lead to it."""
    plan = shown.plan
    model, where = plan.model, plan.cluster
    states = model.parameters * STATE_BYTES
    room = plan.limit_bytes - CONTEXT_BYTES
    steps = [_fits(model, states, room)]
    if steps[0].yes:
        steps.append(_one(where.gpus))
        if steps[-1].yes:
            return Decision(tuple(steps), "One GPU", "nothing to split")
        steps.append(_batch(plan.batch, where.gpus, "a sequence for every GPU"))
        if steps[-1].yes:
            return Decision(tuple(steps), "Data", "each GPU holds the model; the batch is split")
        return Decision(
            tuple(steps), "Data + tensor", "the batch is too small to feed every GPU by itself"
        )
    shares = states / where.gpus
    steps.append(
        Step(
            "do states fit when all GPUs share them?",
            shares < 0.7 * room,
            f"{gib(states)} GiB / {where.gpus} = {gib(shares)} of {gib(0.7 * room)} GiB",
            "ZeRO-3 (FSDP) over the replicas"
            if shares < 0.7 * room
            else "more GPUs, or offloading",
        )
    )
    steps.append(_large(model))
    large = steps[-1].yes
    steps.append(_batch(plan.batch, where.gpus, "data parallelism alone keeps every GPU busy"))
    enough = steps[-1].yes
    if steps[1].yes and enough and not large:
        return Decision(tuple(steps), "Data, ZeRO-3", "states are shared, the batch is split")
    steps.append(_link(where.gpu.link_bytes_s, where.node_gpus))
    fast = steps[-1].yes
    layer = states / model.layers
    node = states / max(1, where.node_gpus)
    steps.append(
        Step(
            "does one node hold it, layers split?",
            fast and node < 0.7 * room,
            f"{gib(states)} GiB / {where.node_gpus} = {gib(node)} of {gib(0.7 * room)} GiB",
            "tensor in the node, data between"
            if fast and node < 0.7 * room
            else f"stages between nodes: {gib(layer)} GiB a layer",
        )
    )
    if steps[-1].yes:
        return Decision(
            tuple(steps), "Tensor + data", "fast links split layers, replicas the batch"
        )
    if fast:
        return Decision(tuple(steps), "3D", "tensor in the node, pipeline between, data over all")
    return Decision(tuple(steps), "Pipeline + data", "slow links carry activations only")


def _fits(model: ModelShape, states: float, room: float) -> Step:
    count = parameters(model.parameters)
    return Step(
        "do the states fit one GPU?",
        states < 0.7 * room,
        f"{count} × {STATE_BYTES:.0f} B = {gib(states)} of {gib(0.7 * room)} GiB",
        "no need to split the model" if states < 0.7 * room else "share or split the states",
    )


def _one(gpus: int) -> Step:
    return Step(
        "is there one GPU only?", gpus == 1, f"{gpus} GPUs", "stay" if gpus == 1 else "replicate"
    )


def _batch(batch: int, gpus: int, leads_to: str) -> Step:
    return Step(
        "is the batch large enough?",
        batch >= gpus,
        f"{batch} sequences for {gpus} GPUs",
        leads_to if batch >= gpus else "GPUs must work together on a sequence",
    )


def _large(model: ModelShape) -> Step:
    return Step(
        "more than 100B parameters?",
        model.parameters > LARGE,
        f"{parameters(model.parameters)}",
        "split layers and depth as well"
        if model.parameters > LARGE
        else "sharing states may be enough",
    )


def _link(link_bytes_s: float, node: int) -> Step:
    fast = link_bytes_s >= FAST_LINK_BYTES_S and node > 1
    return Step(
        "fast links in the node (NVLink)?",
        fast,
        f"{link_bytes_s / 1e9:.0f} GB/s over {node} GPUs, {FAST_LINK_BYTES_S / 1e9:.0f} needed",
        "tensor parallelism in the node" if fast else "no tensor parallelism",
    )
