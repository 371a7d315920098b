"""What states cost a step: data-parallel traffic of gradients and parameters, and the optimizer."""

from typing import NamedTuple

from .communication import NO_TRAFFIC, Collective, all_reduce, gather, place
from .layout import Layout
from .setting import Setting
from .stages import expert_shards, rank_parameters

PCIE_BYTES_S = 25e9
"""Host memory to GPU, PCIe 4 x16; nvbandwidth finds 25 (PCIe 4) to 55 (PCIe 5) GB/s."""
HOST_MEMORY_BYTES_S = 150e9
"""A host's memory, bytes per second, shared by the GPUs of a node. Assumed, not fitted: about three
quarters, as STREAM reaches, of eight channels of DDR4-3200 (204.8 GB/s, AMD's EPYC 7003)."""

MOST_GPUS_OF_A_HOST = 8
"""Of a rack whose links join more, each host still has its own memory."""


class StateTraffic(NamedTuple):
    """A rank's states gathered or scattered once: dense ones, experts', replicas of shards.

    `seconds = dense / gather_rate + calls · latency + experts + replicas`.
    """

    seconds: float
    dense: Collective
    experts: Collective
    replicas: Collective
    calls: float
    gather_rate: float


class DataTraffic(NamedTuple):
    """A step's data-parallel traffic: `exposed_s`, `hidden_s` beside computation, and `whole_s`.

    Gradients are scattered `scatters` times; parameters gathered once, or where they are `streamed`
    in both passes of each micro-batch. What hides is no longer than `cover_forward_s` and
    `cover_backward_s` of computation, and no more than the software's share `dp_overlap`.
    """

    gather: StateTraffic
    scatter: StateTraffic
    streamed: bool
    scatters: int
    cover_forward_s: float
    cover_backward_s: float
    exposed_s: float
    hidden_s: float
    whole_s: float


_NO_STATES = StateTraffic(0.0, NO_TRAFFIC, NO_TRAFFIC, NO_TRAFFIC, 0.0, 1.0)
_NO_DATA = DataTraffic(_NO_STATES, _NO_STATES, False, 1, 0.0, 0.0, 0.0, 0.0, 0.0)


def data_traffic(
    setting: Setting, layout: Layout, layers: int, forward_s: float, backward_s: float
) -> DataTraffic:
    """Traffic beside `layers` layers that take `forward_s` and `backward_s` each.

    Stage 0 all-reduces gradients once a step; 1 reduce-scatters them and gathers parameters; 2 has
    no room for whole gradients and scatters after every micro-batch; 3 gathers parameters in both
    passes of every micro-batch as well. A pipeline keeps parameters gathered over its
    micro-batches. Expert gradients go to ranks of the same experts.
    """
    software, node = setting.software, setting.cluster.node_gpus
    local = rank_parameters(setting.model, layout)
    shards, ranks = layout.shards, layout.dp * layout.cp
    expert_ranks = expert_shards(layout)
    if (setting.frozen and layout.zero < 3) or (
        ranks == 1 and (expert_ranks == 1 or not local.experts)
    ):
        return _NO_DATA
    group = place(shards, layout.tp, node)
    experts = place(expert_ranks, layout.ep * layout.expert_tp, node)

    def moved(bytes_each: float, replicas: Collective) -> StateTraffic:
        dense, routed = gather(setting, group, local.dense * bytes_each), NO_TRAFFIC
        if local.experts:
            routed = gather(setting, experts, local.experts * bytes_each)
        calls, rate = software.layer_gathers * layers, software.gather_rate
        seconds = dense.seconds / rate + calls * dense.latency_s + routed.seconds
        return StateTraffic(seconds + replicas.seconds, dense, routed, replicas, calls, rate)

    if layout.zero == 0:
        dense = all_reduce(setting, group, local.dense * software.grad_bytes)
        routed = all_reduce(setting, experts, local.experts * software.grad_bytes)
        parameters, seconds = _NO_STATES, dense.seconds + routed.seconds
        gradients = StateTraffic(seconds, dense, routed, NO_TRAFFIC, 0.0, 1.0)
    else:
        # Under hybrid sharding, ranks that hold the same shard reduce it among them.
        same = place(ranks // shards if layout.dp_shard else 1, layout.tp * shards, node)
        replicas = all_reduce(setting, same, local.dense / shards * software.grad_bytes)
        gathered = min(software.param_bytes, setting.frozen_bytes)
        parameters = moved(gathered if setting.frozen else software.param_bytes, NO_TRAFFIC)
        gradients = _NO_STATES if setting.frozen else moved(software.grad_bytes, replicas)

    gather_s, scatter_s = parameters.seconds, gradients.seconds
    overlap, m = software.dp_overlap, layout.micro_batches
    forward, backward = overlap * layers * forward_s, overlap * layers * backward_s
    streamed = layout.zero == 3 and layout.pp == 1
    scatters = m if layout.zero == 2 or streamed else 1
    if streamed:
        whole = 2 * gather_s + scatter_s
        exposed = max(0.0, gather_s - forward) + max(0.0, gather_s + scatter_s - backward)
        # Nothing hides the first gather and the last scatter.
        exposed = min(whole, exposed + gather_s / (layers + 1) + scatter_s / (layers + 1))
        exposed, hidden, whole = m * exposed, m * (whole - exposed), m * whole
    else:
        hidden = scatters * min(backward, overlap * scatter_s) + min(forward, overlap * gather_s)
        whole = gather_s + scatters * scatter_s
        exposed = whole - hidden
    covers = (forward, backward)
    return DataTraffic(parameters, gradients, streamed, scatters, *covers, exposed, hidden, whole)


def host_bytes_s(setting: Setting) -> float:
    """Bytes per second and direction to the host's memory, which the GPUs of a node share."""
    return min(PCIE_BYTES_S, _host_memory_bytes_s(setting))


def _host_memory_bytes_s(setting: Setting) -> float:
    return HOST_MEMORY_BYTES_S / min(MOST_GPUS_OF_A_HOST, setting.cluster.node_gpus)


class StateUpdate(NamedTuple):
    """The optimizer: on the GPU, or of offloaded states on the host.

    `parameters` are those of one rank's shard. gpu_bytes, host_bytes: what the update moves in
    either memory. sent_bytes: gradients to the host and parameters back; streamed_bytes: weights
    that live there, once a pass.
    """

    parameters: float
    gpu_bytes: float
    gpu_bytes_s: float
    sent_bytes: float
    streamed_bytes: float
    host_bytes: float
    host_bytes_s: float

    @property
    def optimizer_s(self) -> float:
        """Seconds of the update on the GPU."""
        return self.gpu_bytes / self.gpu_bytes_s

    @property
    def offload_s(self) -> float:
        """Seconds of transfers and of the update on the host."""
        transfers = self.sent_bytes / PCIE_BYTES_S + self.streamed_bytes / PCIE_BYTES_S
        return transfers + self.host_bytes / self.host_bytes_s


def state_update(setting: Setting, layout: Layout) -> StateUpdate:
    """The update of a rank's parameters, once a step.

    Offloaded states are updated by the host: gradients go down and parameters come up over PCIe,
    and the host's memory moves what the GPU's would (ZeRO-Offload, Ren et al. 2021).
    """
    gpu_bytes_s = setting.cluster.gpu.hbm_bytes_s * setting.measured.hbm
    host_memory_s = _host_memory_bytes_s(setting)
    if setting.frozen:
        return StateUpdate(0.0, 0.0, gpu_bytes_s, 0.0, 0.0, 0.0, host_memory_s)
    local = rank_parameters(setting.model, layout)
    count = local.dense / (layout.shards if layout.zero else 1)
    count += local.experts / (expert_shards(layout) if layout.zero else 1)
    moved = count * setting.constants.universal.optimizer_bytes
    if not layout.offloads_states:
        return StateUpdate(count, moved, gpu_bytes_s, 0.0, 0.0, 0.0, host_memory_s)
    sent, streamed = count * (setting.software.grad_bytes + 2.0), 0.0
    if layout.offload == "all":
        streamed = 3 * local.total * 2.0 * layout.micro_batches / layout.shards
    return StateUpdate(count, 0.0, gpu_bytes_s, sent, streamed, moved, host_memory_s)
