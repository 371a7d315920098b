"""From one layer to a step: exposed communication, pipeline, optimizer.

What a search makes many thousands of is a tuple, and keeps what its seconds are made of.
"""

import math
from functools import lru_cache
from typing import NamedTuple

from .activations import layer_activation_bytes
from .communication import NO_TRAFFIC, Collective, LayerTraffic, layer_traffic, send
from .compute import HeadWork, LayerLayout, LayerWork, head_work, layer_work
from .layout import Layout
from .recomputation import recomputed_layers
from .setting import Setting
from .stages import parameter_tensors, stage_layers
from .states import DataTraffic, StateUpdate, data_traffic, host_bytes_s, state_update


class LayerTime(NamedTuple):
    """Seconds of one average layer for one micro-batch, in both passes.

    Of communication only what is exposed: of tensor parallelism the share `exposed`, of context
    parallelism what is longer than the attention, of offloaded activations (`swap_s`) what takes
    longer than the pass. Recomputation repeats the share `repeated` of the forward pass's
    collectives.
    """

    work: LayerWork
    traffic: LayerTraffic
    exposed: float
    repeated: float
    tensor_s: float
    context_s: float
    expert_s: float
    swap_s: float
    total_s: float


class StageTime(NamedTuple):
    """The stage that binds, an inner one or the last, and how long it waits for others.

    `heads` is 1 where it has the logits. sends: to the next stage for one micro-batch, in both
    passes of all chunks. busy_s: all micro-batches. waits: how often it stands still for one, which
    takes `mean_s` on the average stage.
    """

    micro_batches: int
    layers: int
    layer: LayerTime
    heads: int
    head: HeadWork
    sends: int
    send: Collective
    busy_s: float
    waits: float
    mean_s: float


class StepTime(NamedTuple):
    """Seconds of one optimizer step on the slowest rank, and what they are made of.

    The parts, `gemm_s` to `straggler_s`, add up to `total_s`: those to `launch_s` to `compute_s`,
    those to `contention_s` to `communication_s`. Of communication only what is exposed: what runs
    beside computation costs nothing but `contention_s`. `launch_s` is what the host's kernel
    launches take longer than the GPU's work. running_s: all that stragglers lengthen. tensors:
    parameter tensors that the optimizer loops over.
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
    swap_s: float
    data_s: float
    contention_s: float
    bubble_s: float
    optimizer_s: float
    offload_s: float
    overhead_s: float
    straggler_s: float
    compute_s: float
    communication_s: float
    total_s: float
    stage: StageTime
    data: DataTraffic
    update: StateUpdate
    running_s: float
    tensors: float

    @property
    def bubble_share(self) -> float:
        """The bubble's share of the pipeline's time."""
        return self.bubble_s / (self.stage.busy_s + self.bubble_s)

    @property
    def data_traffic_s(self) -> float:
        """Data-parallel communication, exposed and hidden."""
        return self.data.whole_s


def step_time(setting: Setting, layout: Layout) -> StepTime:
    """One step of `setting` under `layout`."""
    software, stage = setting.software, stage_time(setting, layout)
    layer, head = stage.layer, stage.head
    work, forward_s, backward_s = (
        layer.work,
        layer.work.forward_s,
        layer.work.backward_s,
    )
    data = data_traffic(setting, layout, stage.layers, forward_s, backward_s)
    update = state_update(setting, layout)
    bubble, optimizer, offload = stage.waits * stage.mean_s, update.optimizer_s, update.offload_s
    contention = setting.constants.universal.contention * data.hidden_s
    running = stage.busy_s + bubble + data.exposed_s + contention + optimizer + offload
    straggler = running * software.straggler * math.log2(max(1, setting.cluster.nodes))
    tensors = 0.0 if setting.frozen else parameter_tensors(setting.model, layout)
    overhead = software.step_s + software.tensor_s * tensors

    m, count = stage.micro_batches, stage.micro_batches * stage.layers
    compute = (
        count * (work.gemm.forward_s + work.gemm.backward_s),
        count * (work.attention.forward_s + work.attention.backward_s),
        count * (work.passes_s + 2 * work.passes_s),
        m * stage.heads * (head.forward_s + head.backward_s),
        count * work.again_s,
        count * work.launch_s,
    )
    communication = (
        count * layer.tensor_s,
        count * layer.context_s,
        count * layer.expert_s,
        m * (stage.sends * stage.send.seconds * layer.exposed),
        count * layer.swap_s,
        data.exposed_s,
        contention,
    )
    rest = (bubble, optimizer, offload, overhead, straggler)
    sums = (sum(compute), sum(communication))
    parts = (*compute, *communication, *rest)
    return StepTime(*parts, *sums, sum((*sums, *rest)), stage, data, update, running, tensors)


def stage_time(setting: Setting, layout: Layout) -> StageTime:
    """The slowest stage's micro-batches. Narayanan et al. 2021, section 2.2, for the pipeline.

    `T = m · t + (p - 1) / v · t`, where `t` is the slowest stage's time for one micro-batch,
    forward and backward. A sequential model split (no micro-batches) runs one stage at a time.
    """
    model, layer = setting.model, layer_time(setting, layout)
    stages = stage_layers(model.layers, layout.pp)
    head = head_work(setting, layout.micro_batch, layout.tp, layout.cp, layout.precision)
    head_s = head.forward_s + head.backward_s
    # An inner stage binds, or the last with the head.
    inner_s, last_s = stages.inner * layer.total_s, stages.last * layer.total_s + head_s
    last_binds = layout.pp == 1 or last_s >= inner_s
    layers, heads = (stages.last, 1) if last_binds else (stages.inner, 0)
    sends, hop = (2 * layout.vp, _hop(setting, layout)) if layout.pp > 1 else (0, NO_TRAFFIC)
    hops_s = sends * hop.seconds * layer.exposed
    m = layout.micro_batches
    busy = m * ((last_s if last_binds else inner_s) + hops_s)
    mean = (model.layers * layer.total_s + head_s) / layout.pp + hops_s
    waits = m * (layout.pp - 1) if layout.schedule == "sequential" else (layout.pp - 1) / layout.vp
    return StageTime(m, layers, layer, heads, head, sends, hop, busy, waits, mean)


def layer_time(setting: Setting, layout: Layout) -> LayerTime:
    """One average layer for one micro-batch under `layout`."""
    layer = LayerLayout(
        layout.micro_batch,
        layout.tp,
        layout.cp,
        layout.ep,
        layout.expert_tp,
        layout.sequence_parallel,
        layout.recompute,
        layout.recompute_modules,
        recomputed_layers(setting, layout),
        layout.precision,
        layer_activation_bytes(setting, layout) if layout.offload == "activations" else 0.0,
    )
    return _layer_time(setting, layer)


@lru_cache(maxsize=65_536)
def _layer_time(setting: Setting, layer: LayerLayout) -> LayerTime:
    model, work = setting.model, layer_work(setting, layer)
    traffic = layer_traffic(setting, *layer[:6])
    exposed = 1.0 - setting.software.tp_overlap
    repeated = layer.share if layer.recompute == "full" else 0.0
    reduce_s = traffic.blocks * traffic.all_reduce.seconds
    regather_s = traffic.blocks * traffic.regather.seconds
    tensor = exposed * (reduce_s + (reduce_s + regather_s) + repeated * reduce_s)
    gather_s, core = traffic.key_values.seconds, work.attention
    context = max(0.0, gather_s - core.forward_s) + max(0.0, 2 * gather_s - core.backward_s)
    pass_s = 2 * traffic.exchange.seconds * model.moe_layers / model.layers
    pass_s *= 1.0 - setting.software.expert_overlap
    expert = pass_s + pass_s + repeated * pass_s
    sent_s = layer.swapped_bytes / host_bytes_s(setting)
    swap = max(0.0, sent_s - work.forward_s) + max(0.0, sent_s - work.backward_s)
    total = work.forward_s + work.backward_s + tensor + context + expert + swap
    return LayerTime(work, traffic, exposed, repeated, tensor, context, expert, swap, total)


def _hop(setting: Setting, layout: Layout) -> Collective:
    """One send of a micro-batch's activations to the next stage."""
    tokens = layout.micro_batch * setting.sequence / layout.cp
    # Ranks of a tensor group send a part each (scatter-gather, Narayanan et al. 2021, section 4.1).
    sent = 2.0 * tokens * setting.model.hidden
    if setting.software.split_sends:
        sent /= layout.tp
    stride = layout.tp * layout.cp * layout.dp
    return send(setting, sent, across=stride >= setting.cluster.node_gpus)
