"""Time of collectives: latency per step plus bytes over the bandwidth that is reached.

Bytes per GPU after Thakur et al. 2005 and NCCL's rings: all-gather and reduce-scatter move
(n-1)/n of the whole tensor, all-reduce both, all-to-all (n-1)/n of a rank's own data. A group that
spans nodes moves its part inside the node over the fast link and the rest over the network, one NIC
per GPU: the node's NICs work side by side.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

from .layout import Layout
from .recomputation import recomputed_layers
from .setting import Setting


@dataclass(frozen=True, slots=True)
class Group:
    """Ranks that talk to each other: `inside` of them in one node, over `nodes` nodes.

    `sharing` is how many groups of one node use its NICs at the same time as this one.
    """

    inside: int
    nodes: int

    @property
    def size(self) -> int:
        """All ranks."""
        return self.inside * self.nodes


def place(size: int, stride: int, node_gpus: int) -> Group:
    """The group of `size` ranks that lie `stride` apart, ranks filling nodes in order."""
    if size <= 1:
        return Group(1, 1)
    inside = min(size, max(1, node_gpus // stride))
    while size % inside:
        inside -= 1
    return Group(inside, size // inside)


@lru_cache(maxsize=65_536)
def gather_s(setting: Setting, group: Group, whole_bytes: float) -> float:
    """All-gather or reduce-scatter of a tensor of `whole_bytes` over `group`.

    Across nodes, each GPU's NIC carries the parts that the other nodes hold of its node-mates'
    share: `(nodes-1)/nodes · whole / inside`; in the node the ring carries `(inside-1)/inside`.
    Both run side by side but hinder each other: the root of the sum of squares lies between the
    slower one and the sum.
    """
    if group.size <= 1 or whole_bytes <= 0:
        return 0.0
    return ring_latency_s(setting, group) + _ring_s(setting, group, whole_bytes)


def ring_latency_s(setting: Setting, group: Group) -> float:
    """What a gather costs beside its bytes: a ring passes every rank, most hops inside a node."""
    n, g = group.nodes, group.inside
    measured = setting.measured
    return (n - 1) * measured.network_alpha_s + n * (g - 1) * measured.link_alpha_s


def reduce_s(setting: Setting, group: Group, whole_bytes: float) -> float:
    """All-reduce: the bytes of a reduce-scatter and an all-gather, over trees between nodes."""
    if group.size <= 1 or whole_bytes <= 0:
        return 0.0
    measured = setting.measured
    up = measured.network_alpha_s * math.log2(group.nodes)
    up += measured.link_alpha_s * (group.inside - 1)
    return 2 * (up + _ring_s(setting, group, whole_bytes))


def _ring_s(setting: Setting, group: Group, whole_bytes: float) -> float:
    n, g = group.nodes, group.inside
    gpu, measured = setting.cluster.gpu, setting.measured
    inside = (g - 1) / g * whole_bytes / (gpu.link_bytes_s * measured.link)
    if n == 1:
        return inside
    outside = (n - 1) / n * whole_bytes / g / (gpu.network_bytes_s * measured.network)
    return math.hypot(inside, outside)


@lru_cache(maxsize=65_536)
def exchange_s(setting: Setting, group: Group, token_bytes: float, active: int) -> float:
    """A dispatch of tokens to `active` experts each, or the way back.

    `token_bytes` are one rank's tokens, once. In the node a token goes to each of its experts; over
    the network only once to each node that holds one of them, `n (1 - (1 - 1/n)^active)` of `n` on
    average, and is spread there (DeepEP, DeepSeek-V3, section 3.2.2).
    """
    n, g = group.nodes, group.inside
    size = n * g
    if size <= 1 or token_bytes <= 0:
        return 0.0
    gpu, measured = setting.cluster.gpu, setting.measured
    inside = (g - 1) / g * active * token_bytes / (gpu.link_bytes_s * measured.link)
    latency = ring_latency_s(setting, group)
    if n == 1:
        return latency + inside
    reached = n * (1 - (1 - 1 / n) ** active) * (n - 1) / n
    outside = reached * token_bytes / (gpu.network_bytes_s * measured.network)
    return latency + math.hypot(inside, outside)


def send_s(setting: Setting, sent_bytes: float, *, across: bool) -> float:
    """One rank to the next, over the network where `across` says so."""
    gpu, measured = setting.cluster.gpu, setting.measured
    if across:
        rate = gpu.network_bytes_s * measured.network
        return measured.network_alpha_s + sent_bytes / rate
    return measured.link_alpha_s + sent_bytes / (gpu.link_bytes_s * measured.link)


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerTraffic:
    """Seconds of one layer's collectives for one micro-batch, before any overlap.

    `*_again_s` is what full recomputation repeats.
    """

    tensor_forward_s: float
    tensor_backward_s: float
    tensor_again_s: float
    context_forward_s: float
    context_backward_s: float
    expert_forward_s: float
    expert_backward_s: float
    expert_again_s: float


def layer_traffic(setting: Setting, layout: Layout) -> LayerTraffic:
    """The collectives inside one average layer: tensor, context and expert parallelism."""
    return _layer_traffic(
        setting,
        layout.micro_batch,
        layout.tp,
        layout.cp,
        layout.ep,
        layout.expert_tp,
        recomputed_layers(setting, layout) if layout.recompute == "full" else 0.0,
        layout.sequence_parallel,
    )


@lru_cache(maxsize=65_536)
def _layer_traffic(
    setting: Setting,
    micro_batch: int,
    tp: int,
    cp: int,
    ep: int,
    expert_tp: int,
    repeated: float,
    sequence_parallel: bool,
) -> LayerTraffic:
    model, node = setting.model, setting.cluster.node_gpus
    tokens = micro_batch * setting.sequence / cp
    hidden_bytes = 2.0 * tokens * model.hidden
    tensor_group = place(tp, 1, node)
    # Two blocks a layer (one where they run side by side), each an all-reduce forward and one
    # backward; sequence parallelism splits each into a reduce-scatter and an all-gather of the same
    # volume, and gathers the block's input once more for the weights' gradient. MoE blocks exchange
    # instead.
    blocks = (1.0 if model.parallel_blocks else 2.0) - model.moe_layers / model.layers
    tensor = blocks * reduce_s(setting, tensor_group, hidden_bytes)
    again = 0.0
    if sequence_parallel and setting.software.regather:
        again = blocks * gather_s(setting, tensor_group, hidden_bytes)
    context_forward = context_backward = 0.0
    if cp > 1:
        kv_bytes = 2.0 * micro_batch * setting.sequence * 2 * model.kv_width / tp
        context_forward = gather_s(setting, place(cp, tp, node), kv_bytes)
        context_backward = 2 * context_forward
    expert = 0.0
    if model.experts is not None and ep > 1:
        group = place(ep, expert_tp, node)
        way = exchange_s(setting, group, hidden_bytes / tp, model.experts.active)
        expert = 2 * way * model.moe_layers / model.layers
    return LayerTraffic(
        tensor_forward_s=tensor,
        tensor_backward_s=tensor + again,
        tensor_again_s=repeated * tensor,
        context_forward_s=context_forward,
        context_backward_s=context_backward,
        expert_forward_s=expert,
        expert_backward_s=expert,
        expert_again_s=repeated * expert,
    )
