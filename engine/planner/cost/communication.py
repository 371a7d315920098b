"""Time of collectives: latency per step plus bytes over the bandwidth that is reached.

Bytes per GPU after Thakur et al. 2005 and NCCL's rings: all-gather and reduce-scatter move
(n-1)/n of the whole tensor, all-reduce both, all-to-all (n-1)/n of a rank's own data. A group that
spans nodes moves its part inside the node over the fast link and the rest over the network, one NIC
per GPU: the node's NICs work side by side.
"""

import math
from functools import lru_cache
from typing import NamedTuple

from .setting import Setting


class Group(NamedTuple):
    """Ranks that talk to each other: `inside` of them in one node, over `nodes` nodes."""

    inside: int
    nodes: int

    @property
    def size(self) -> int:
        """All ranks."""
        return self.inside * self.nodes


class Collective(NamedTuple):
    """`seconds` of a collective: `latency_s + hypot(inside_bytes / inside_bytes_s, outside_...)`.

    inside: over the links of a node. outside: over the network. Both run side by side but hinder
    each other: the root of the sum of squares lies between the slower one and the sum.
    """

    seconds: float
    latency_s: float
    inside_bytes: float
    inside_bytes_s: float
    outside_bytes: float
    outside_bytes_s: float


NO_TRAFFIC = Collective(0.0, 0.0, 0.0, math.inf, 0.0, math.inf)
"""Of a group of one, or without bytes."""


def place(size: int, stride: int, node_gpus: int) -> Group:
    """The group of `size` ranks that lie `stride` apart, ranks filling nodes in order."""
    if size <= 1:
        return Group(1, 1)
    inside = min(size, max(1, node_gpus // stride))
    while size % inside:
        inside -= 1
    return Group(inside, size // inside)


def _collective(
    setting: Setting, latency_s: float, inside_bytes: float, outside_bytes: float
) -> Collective:
    gpu, measured = setting.cluster.gpu, setting.measured
    link, network = gpu.link_bytes_s * measured.link, gpu.network_bytes_s * measured.network
    moving_s = inside_bytes / link
    if outside_bytes:
        moving_s = math.hypot(moving_s, outside_bytes / network)
    return Collective(latency_s + moving_s, latency_s, inside_bytes, link, outside_bytes, network)


@lru_cache(maxsize=65_536)
def gather(setting: Setting, group: Group, whole_bytes: float) -> Collective:
    """All-gather or reduce-scatter of a tensor of `whole_bytes` over `group`.

    Across nodes, each GPU's NIC carries the parts that the other nodes hold of its node-mates'
    share: `(nodes-1)/nodes · whole / inside`; in the node the ring carries `(inside-1)/inside`.
    """
    if group.size <= 1 or whole_bytes <= 0:
        return NO_TRAFFIC
    inside, outside = _ring_bytes(group, whole_bytes)
    return _collective(setting, _ring_latency_s(setting, group), inside, outside)


def all_reduce(setting: Setting, group: Group, whole_bytes: float) -> Collective:
    """The bytes of a reduce-scatter and an all-gather, over trees between nodes."""
    if group.size <= 1 or whole_bytes <= 0:
        return NO_TRAFFIC
    measured = setting.measured
    up = measured.network_alpha_s * math.log2(group.nodes)
    up += measured.link_alpha_s * (group.inside - 1)
    inside, outside = _ring_bytes(group, whole_bytes)
    return _collective(setting, 2 * up, 2 * inside, 2 * outside)


def _ring_latency_s(setting: Setting, group: Group) -> float:
    """A ring passes every rank, most hops inside a node."""
    inside, nodes = group
    measured = setting.measured
    return (nodes - 1) * measured.network_alpha_s + nodes * (inside - 1) * measured.link_alpha_s


def _ring_bytes(group: Group, whole_bytes: float) -> tuple[float, float]:
    """One rank's bytes over the links of its node, and over the network."""
    inside, nodes = group
    return (inside - 1) / inside * whole_bytes, (nodes - 1) / nodes * whole_bytes / inside


@lru_cache(maxsize=65_536)
def exchange(setting: Setting, group: Group, token_bytes: float, active: int) -> Collective:
    """A dispatch of tokens to `active` experts each, or the way back.

    `token_bytes` are one rank's tokens, once. In the node a token goes to each of its experts; over
    the network only once to each node that holds one of them, `n (1 - (1 - 1/n)^active)` of `n` on
    average, and is spread there (DeepEP, DeepSeek-V3, section 3.2.2).
    """
    if group.size <= 1 or token_bytes <= 0:
        return NO_TRAFFIC
    g, n = group
    reached = n * (1 - (1 - 1 / n) ** active) * (n - 1) / n
    inside = (g - 1) / g * active * token_bytes
    return _collective(setting, _ring_latency_s(setting, group), inside, reached * token_bytes)


def send(setting: Setting, sent_bytes: float, *, across: bool) -> Collective:
    """One rank to the next, over the network where `across` says so."""
    measured = setting.measured
    if across:
        return _collective(setting, measured.network_alpha_s, 0.0, sent_bytes)
    return _collective(setting, measured.link_alpha_s, sent_bytes, 0.0)


class LayerTraffic(NamedTuple):
    """One average layer's collectives for one micro-batch, before any overlap.

    all_reduce: a block's activations over tensor ranks, `blocks` of them a pass. regather: a
    block's input for its weights' gradient. key_values: over context ranks, twice that backward.
    exchange: a MoE layer's tokens to their experts, or back.
    """

    blocks: float
    all_reduce: Collective
    regather: Collective
    key_values: Collective
    exchange: Collective


@lru_cache(maxsize=65_536)
def layer_traffic(
    setting: Setting,
    micro_batch: int,
    tp: int,
    cp: int,
    ep: int,
    expert_tp: int,
    sequence_parallel: bool,
) -> LayerTraffic:
    """The collectives inside one average layer: tensor, context and expert parallelism.

    Two blocks a layer (one where they run side by side), each an all-reduce forward and one
    backward; sequence parallelism splits each into a reduce-scatter and an all-gather of the same
    volume, and gathers the block's input once more for the weights' gradient. MoE blocks exchange
    instead.
    """
    model, node = setting.model, setting.cluster.node_gpus
    hidden_bytes = 2.0 * (micro_batch * setting.sequence / cp) * model.hidden
    tensor_group = place(tp, 1, node)
    regathers = sequence_parallel and setting.software.regather
    key_values = dispatch = NO_TRAFFIC
    if cp > 1:
        kv_bytes = 2.0 * micro_batch * setting.sequence * 2 * model.kv_width / tp
        if setting.software.ulysses:
            widths = model.query_width + model.value_width + 2 * model.kv_width
            kv_bytes = 2.0 * micro_batch * setting.sequence / cp * widths / tp
        key_values = gather(setting, place(cp, tp, node), kv_bytes)
    if model.experts is not None and ep > 1:
        group = place(ep, expert_tp, node)
        dispatch = exchange(setting, group, hidden_bytes / tp, model.experts.active)
    return LayerTraffic(
        model.blocks_per_layer - model.moe_layers / model.layers,
        all_reduce(setting, tensor_group, hidden_bytes),
        gather(setting, tensor_group, hidden_bytes) if regathers else NO_TRAFFIC,
        key_values,
        dispatch,
    )
