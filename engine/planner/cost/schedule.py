"""From one layer to a step: pipeline, exposed communication, optimizer."""

import math
from dataclasses import dataclass

from .communication import Group, gather_s, layer_traffic, place, reduce_s, ring_latency_s, send_s
from .compute import head_work, layer_work
from .layout import Layout
from .setting import Setting
from .stages import expert_shards, parameter_tensors, rank_parameters, stage_layers

PCIE_BYTES_S = 25e9
"""Host memory to GPU, PCIe 4 x16; nvbandwidth finds 25 (PCIe 4) to 55 (PCIe 5) GB/s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTime:
    """Seconds of one optimizer step on the slowest rank; the parts add up to `total_s`.

    Exposed communication only: what runs beside computation costs nothing but `contention_s`.
    `launch_s` is what the host's kernel launches take longer than the GPU's work.
    """

    gemm_s: float
    attention_s: float
    elementwise_s: float
    head_s: float
    recompute_s: float
    launch_s: float
    tensor_s: float
    context_s: float
    expert_s: float
    pipeline_s: float
    data_s: float
    contention_s: float
    bubble_s: float
    optimizer_s: float
    offload_s: float
    overhead_s: float
    straggler_s: float
    bubble_share: float
    data_traffic_s: float

    @property
    def total_s(self) -> float:
        """The step."""
        return (
            self.compute_s
            + self.communication_s
            + self.bubble_s
            + self.optimizer_s
            + self.offload_s
            + self.overhead_s
            + self.straggler_s
        )

    @property
    def compute_s(self) -> float:
        """What the GPU computes, and waits for launches."""
        return (
            self.gemm_s
            + self.attention_s
            + self.elementwise_s
            + self.head_s
            + self.recompute_s
            + self.launch_s
        )

    @property
    def communication_s(self) -> float:
        """Exposed communication of all kinds."""
        return (
            self.tensor_s
            + self.context_s
            + self.expert_s
            + self.pipeline_s
            + self.data_s
            + self.contention_s
        )


def step_time(setting: Setting, layout: Layout) -> StepTime:
    """One step of `setting` under `layout`. Narayanan et al. 2021, section 2.2, for the pipeline.

    `T = m · t + (p - 1) / v · t`, where `t` is the slowest stage's time for one micro-batch,
    forward and backward. A sequential model split (no micro-batches) runs one stage at a time.
    """
    model, software = setting.model, setting.software
    layer = layer_work(setting, layout)
    traffic = layer_traffic(setting, layout)
    stage = stage_layers(model.layers, layout.pp)
    head = head_work(setting, layout.micro_batch, layout.tp, layout.cp, layout.precision)
    head_s = head.forward_s + head.backward_s

    exposed = 1.0 - software.tp_overlap
    tensor = exposed * (
        traffic.tensor_forward_s + traffic.tensor_backward_s + traffic.tensor_again_s
    )
    core = layer.attention
    context = max(0.0, traffic.context_forward_s - core.forward_s) + max(
        0.0, traffic.context_backward_s - core.backward_s
    )
    expert = traffic.expert_forward_s + traffic.expert_backward_s + traffic.expert_again_s
    per_layer = layer.forward_s + layer.backward_s + tensor + context + expert

    # The slowest stage binds: an inner one, or the last with the head.
    inner_s, last_s = stage.inner * per_layer, stage.last * per_layer + head_s
    last_binds = layout.pp == 1 or last_s >= inner_s
    layers = stage.last if last_binds else stage.inner
    busy_head = head_s if last_binds else 0.0
    hops = _hops(setting, layout)
    micro = layers * per_layer + busy_head + hops
    mean = (model.layers * per_layer + head_s) / layout.pp + hops

    m = layout.micro_batches
    if layout.schedule == "sequential":
        bubble = m * (layout.pp - 1) * mean
    else:
        bubble = (layout.pp - 1) / layout.vp * mean
    data, hidden, data_traffic = _data(setting, layout, layers, layer.forward_s, layer.backward_s)
    optimizer, offload = _optimizer(setting, layout)
    contention = setting.constants.universal.contention * hidden
    launch = per_layer - tensor - context - expert
    launch -= layer.again_s + sum(
        w.forward_s + w.backward_s for w in (layer.gemm, layer.attention, layer.elementwise)
    )
    running = m * micro + bubble + data + contention + optimizer + offload
    tensors = 0.0 if setting.frozen else parameter_tensors(model, layout)
    nodes = math.log2(max(1, setting.cluster.nodes))
    count = m * layers
    return StepTime(
        gemm_s=count * (layer.gemm.forward_s + layer.gemm.backward_s),
        attention_s=count * (core.forward_s + core.backward_s),
        elementwise_s=count * (layer.elementwise.forward_s + layer.elementwise.backward_s),
        head_s=m * busy_head,
        recompute_s=count * layer.again_s,
        launch_s=count * max(0.0, launch),
        tensor_s=count * tensor,
        context_s=count * context,
        expert_s=count * expert,
        pipeline_s=m * hops,
        data_s=data,
        contention_s=contention,
        bubble_s=bubble,
        optimizer_s=optimizer,
        offload_s=offload,
        overhead_s=software.step_s + software.tensor_s * tensors,
        straggler_s=running * software.straggler * nodes,
        bubble_share=bubble / (m * micro + bubble),
        data_traffic_s=data_traffic,
    )


def _hops(setting: Setting, layout: Layout) -> float:
    """Exposed sends between stages for one micro-batch, forward and backward, over all chunks."""
    if layout.pp == 1:
        return 0.0
    tokens = layout.micro_batch * setting.sequence / layout.cp
    # Ranks of a tensor group send a part each (scatter-gather, Narayanan et al. 2021, section 4.1).
    sent = 2.0 * tokens * setting.model.hidden
    if setting.software.split_sends:
        sent /= layout.tp
    stride = layout.tp * layout.cp * layout.dp
    hop = send_s(setting, sent, across=stride >= setting.cluster.node_gpus)
    return 2 * layout.vp * hop * (1.0 - setting.software.tp_overlap)


def _data(
    setting: Setting, layout: Layout, layers: int, forward_s: float, backward_s: float
) -> tuple[float, float, float]:
    """Seconds of data-parallel traffic: exposed, hidden beside computation, and all of it.

    Stage 0 all-reduces gradients once a step; 1 reduce-scatters them and gathers parameters; 2 has
    no room for whole gradients and scatters after every micro-batch; 3 gathers parameters in both
    passes of every micro-batch as well. A pipeline keeps parameters gathered over its
    micro-batches. Expert gradients go to ranks of the same experts.
    """
    software, model = setting.software, setting.model
    node = setting.cluster.node_gpus
    held = rank_parameters(model, layout)
    shards, copies = layout.shards, 1
    ranks = layout.dp * layout.cp
    stride = layout.tp
    if layout.dp_shard:
        copies = ranks // shards
    expert_ranks = expert_shards(layout)
    alone = ranks == 1 and (expert_ranks == 1 or not held.experts)
    if setting.frozen or alone:
        return 0.0, 0.0, 0.0
    group = place(shards, stride, node)
    experts = place(expert_ranks, layout.ep * layout.expert_tp, node)
    replicas = _replicas(layout, copies, node)

    calls = software.layer_gathers * layers

    def gathered(bytes_per: float) -> float:
        seconds = gather_s(setting, group, held.dense * bytes_per)
        seconds = seconds / software.gather_rate + calls * ring_latency_s(setting, group)
        if held.experts:
            seconds += gather_s(setting, experts, held.experts * bytes_per)
        return seconds

    overlap = software.dp_overlap
    across = reduce_s(setting, replicas, held.dense / shards * software.grad_bytes)
    if layout.zero == 0:
        whole = reduce_s(setting, group, held.dense * software.grad_bytes)
        whole += reduce_s(setting, experts, held.experts * software.grad_bytes)
        hidden = min(overlap * layers * backward_s, overlap * whole)
        return whole - hidden, hidden, whole
    gather, scatter = gathered(software.param_bytes), gathered(software.grad_bytes) + across
    m = layout.micro_batches
    if layout.zero < 3 or layout.pp > 1:
        scatters = m if layout.zero == 2 else 1
        hidden_back = scatters * min(overlap * layers * backward_s, overlap * scatter)
        hidden_fore = min(overlap * layers * forward_s, overlap * gather)
        hidden, whole = hidden_back + hidden_fore, gather + scatters * scatter
        return whole - hidden, hidden, whole
    first = gather / (layers + 1)
    last = scatter / (layers + 1)
    exposed_fore = max(0.0, gather - overlap * layers * forward_s)
    exposed_back = max(0.0, gather + scatter - overlap * layers * backward_s)
    whole = 2 * gather + scatter
    exposed = min(whole, exposed_fore + exposed_back + first + last)
    return m * exposed, m * (whole - exposed), m * whole


def _replicas(layout: Layout, copies: int, node: int) -> Group:
    """The ranks that hold the same shard under hybrid sharding."""
    return place(copies, layout.tp * layout.shards, node)


def _optimizer(setting: Setting, layout: Layout) -> tuple[float, float]:
    """Seconds of the optimizer on the GPU, and of moving states to the host and back.

    Offloaded states are updated by the host: gradients go down and parameters come up over PCIe,
    and the host's memory moves what the GPU's would (ZeRO-Offload, Ren et al. 2021).
    """
    if setting.frozen:
        return 0.0, 0.0
    held = rank_parameters(setting.model, layout)
    dense = held.dense / (layout.shards if layout.zero else 1)
    experts = held.experts / (expert_shards(layout) if layout.zero else 1)
    count = dense + experts
    moved = count * setting.constants.universal.optimizer_bytes
    if layout.offload == "none":
        rate = setting.cluster.gpu.hbm_bytes_s * setting.measured.hbm
        return moved / rate, 0.0
    host_rate = 150e9 / setting.cluster.node_gpus
    transfers = count * (setting.software.grad_bytes + 2.0) / PCIE_BYTES_S
    if layout.offload == "all":
        transfers += 3 * held.total * 2.0 * layout.micro_batches / layout.shards / PCIE_BYTES_S
    return 0.0, transfers + moved / host_rate
