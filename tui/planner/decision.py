"""The decision path: the questions that lead to a strategy, answered with the plan's own numbers.

The order is the customary one (Narayanan et al. 2021, section 3; Megatron-LM's and Hugging Face's
guides): fill one GPU first, then share states over replicas, then split layers inside a node, and
the depth of the model between nodes last.
"""

from dataclasses import dataclass

from ...engine.planner.cost.memory import CONTEXT_BYTES
from ...engine.protocol.wording import counted
from ...engine.shape.model_shape import ModelShape
from .evaluation import Evaluation
from .units import gib, parameters

STATE_BYTES = 16.0
"""Weights, gradients, master and Adam's moments of one parameter in mixed precision (ZeRO,
Rajbhandari et al. 2020, section 3.1): what decides whether one GPU can train a model at all."""
STATE_SHARE = 0.7
"""Of the memory; the rest is left to activations, logits and fragments."""
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


def decide(evaluation: Evaluation) -> Decision:
    """Walk the path for a plan: a question is asked only where the ones before lead to it."""
    plan = evaluation.plan
    model, where = plan.model, plan.cluster
    states = model.parameters * STATE_BYTES
    room = STATE_SHARE * (plan.limit_bytes - CONTEXT_BYTES)
    fits = _fits(model, states, room)
    batch = _batch(plan.batch, where.gpus)
    if fits.yes:
        one = _one(where.gpus)
        if one.yes:
            return Decision((fits, one), "One GPU", "nothing to split")
        if batch.yes:
            return Decision(
                (fits, one, batch), "Data", "every GPU holds the model, the batch is split"
            )
        return Decision(
            (fits, one, batch), "Data + tensor", "too few sequences to give every GPU its own"
        )
    shared, large = _shared(states, where.gpus, room), _large(model)
    path: tuple[Step, ...] = (fits, shared, large, batch)
    if shared.yes and batch.yes and not large.yes:
        return Decision(path, "Data, ZeRO-3", "replicas share the states, the batch is split")
    link = _link(where.gpu.link_bytes_s, where.node_gpus)
    if not link.yes:
        return Decision((*path, link), "Pipeline + data", "slow links carry activations only")
    node = _node(states, where.node_gpus, room, states / model.layers)
    path = (*path, link, node)
    if node.yes:
        return Decision(path, "Tensor + data", "fast links split layers, replicas the batch")
    return Decision(path, "3D", "tensor in the node, pipeline between nodes, data over all")


def _shared(states: float, gpus: int, room: float) -> Step:
    each = states / gpus
    return Step(
        "do states fit when all GPUs share them?",
        each < room,
        f"{gib(states)} GiB / {gpus} = {gib(each)} of {gib(room)} GiB",
        "ZeRO-3 (FSDP) over the replicas" if each < room else "more GPUs, or offloading",
    )


def _node(states: float, node: int, room: float, layer: float) -> Step:
    each = states / node
    return Step(
        "does one node hold it, layers split?",
        each < room,
        f"{gib(states)} GiB / {node} = {gib(each)} of {gib(room)} GiB",
        "tensor in the node, data between"
        if each < room
        else f"stages between nodes: {gib(layer)} GiB of states a layer",
    )


def _fits(model: ModelShape, states: float, room: float) -> Step:
    count = parameters(model.parameters)
    return Step(
        "do the states fit one GPU?",
        states < room,
        f"{count} × {STATE_BYTES:.0f} B = {gib(states)} of {gib(room)} GiB",
        "no need to split the model" if states < room else "share or split the states",
    )


def _one(gpus: int) -> Step:
    return Step(
        "is there one GPU only?",
        gpus == 1,
        counted(gpus, "GPU"),
        "stay" if gpus == 1 else "replicate",
    )


def _batch(batch: int, gpus: int) -> Step:
    return Step(
        "is the batch large enough?",
        batch >= gpus,
        f"{counted(batch, 'sequence')} for {counted(gpus, 'GPU')}",
        "replicas alone keep every GPU busy"
        if batch >= gpus
        else "GPUs must work together on a sequence",
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
        f"{link_bytes_s / 1e9:.0f} GB/s over {counted(node, 'GPU')},"
        f" {FAST_LINK_BYTES_S / 1e9:.0f} needed",
        "tensor parallelism in the node" if fast else "no tensor parallelism",
    )
