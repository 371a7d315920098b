"""Every figure of an estimate as a tree of terms: memory, step time, throughput, utilisation."""

from ..cost.communication import layer_traffic
from ..cost.compute import attention_core, elementwise_bytes, head_work, layer_work
from ..cost.estimate import Estimate
from ..cost.products import layer_products, rates
from ..cost.schedule import PCIE_BYTES_S
from ..cost.stages import rank_parameters, stage_layers
from ..cost.terms import Term, total
from .memory import explain_memory


def explain(estimate: Estimate) -> Term:
    """The whole estimate; built on demand, so that a search pays nothing for it."""
    parts = (
        explain_memory(estimate),
        explain_step(estimate),
        explain_throughput(estimate),
        explain_mfu(estimate),
    )
    return Term(
        name="estimate",
        value=estimate.step_s,
        unit="s per step",
        formula="step",
        inputs={"step": estimate.step_s},
        parts=parts,
    )


def explain_parameters(estimate: Estimate) -> Term:
    """The parameter count: layers, embedding, output."""
    model = estimate.setting.model
    layers = Term(
        name="layers",
        value=model.layer_parameters,
        unit="parameters",
        formula="dense * dense_layer + sparse * (shared + routed)",
        inputs={
            "dense": model.dense_layers,
            "dense_layer": model.dense_layer_parameters,
            "sparse": model.moe_layers,
            "shared": model.moe_layer_shared_parameters,
            "routed": model.routed_parameters,
        },
        source="Megatron-LM theoretical_memory_usage.py",
    )
    embedding = Term(
        name="embedding",
        value=model.embedding_parameters,
        unit="parameters",
        formula="(V + positions) * h",
        inputs={"V": model.vocabulary, "positions": model.learned_positions, "h": model.hidden},
    )
    head = Term(name="output and last norm", value=model.head_parameters, unit="parameters")
    return total("parameters", "parameters", [layers, embedding, head])


def explain_throughput(estimate: Estimate) -> Term:
    """Tokens per second of the whole cluster."""
    layout = estimate.layout
    return Term(
        name="throughput",
        value=estimate.tokens_s,
        unit="tokens/s",
        formula="dp * micro_batch * micro_batches * sequence / step",
        inputs={
            "dp": layout.dp,
            "micro_batch": layout.micro_batch,
            "micro_batches": layout.micro_batches,
            "sequence": estimate.setting.sequence,
            "step": estimate.step_s,
        },
    )


def explain_mfu(estimate: Estimate) -> Term:
    """Model FLOPs utilisation with full attention, from the FLOPs of one token."""
    model, sequence = estimate.setting.model, estimate.setting.sequence
    flops = Term(
        name="model FLOPs per token",
        value=model.flops_per_token(sequence),
        unit="FLOP",
        formula="6 * (matrices + V * h + L * attended * (q + v))",
        inputs={
            "matrices": model.matmul_parameters,
            "V": model.vocabulary,
            "h": model.hidden,
            "L": model.layers,
            "attended": model.attended(sequence, causal=False),
            "q": model.query_width,
            "v": model.value_width,
        },
        source="PaLM appendix B; dgxc-benchmarking",
    )
    return Term(
        name="MFU",
        value=estimate.mfu(),
        unit="of peak",
        formula="speed * flops / peak",
        inputs={
            "speed": estimate.tokens_s_gpu,
            "flops": flops.value,
            "peak": estimate.peak_flops,
        },
        source="model FLOPs, attention without the causal half",
        parts=(flops, explain_parameters(estimate)),
    )


def explain_step(estimate: Estimate) -> Term:
    """The step time, part by part."""
    setting, layout, time = estimate.setting, estimate.layout, estimate.time
    stage = stage_layers(setting.model.layers, layout.pp)
    layers = stage.inner if layout.pp > 1 and not time.head_s else stage.last
    count = {"m": layout.micro_batches, "layers": layers}
    layer = layer_work(setting, layout)
    traffic = layer_traffic(setting, layout)
    head = head_work(setting, layout.micro_batch, layout.tp, layout.cp, layout.precision)

    def passes(name: str, forward: float, backward: float, value: float, part: Term) -> Term:
        return Term(
            name=name,
            value=value,
            unit="s",
            formula="m * layers * (forward + backward)",
            inputs={**count, "forward": forward, "backward": backward},
            parts=(part,),
        )

    def plain(name: str, value: float, source: str = "") -> Term:
        return Term(name=name, value=value, unit="s", source=source)

    gemm, core, passing = layer.gemm, layer.attention, layer.elementwise
    parts = [
        passes(
            "matrix products", gemm.forward_s, gemm.backward_s, time.gemm_s, _products(estimate)
        ),
        passes("attention", core.forward_s, core.backward_s, time.attention_s, _core(estimate)),
        passes(
            "norms, activations, residuals",
            passing.forward_s,
            passing.backward_s,
            time.elementwise_s,
            _elementwise(estimate),
        ),
        Term(
            name="logits and loss",
            value=time.head_s,
            unit="s",
            formula="m * here * (forward + backward)",
            inputs={
                "m": layout.micro_batches,
                "here": 1 if time.head_s else 0,
                "forward": head.forward_s,
                "backward": head.backward_s,
            },
        ),
        Term(
            name="recomputation",
            value=time.recompute_s,
            unit="s",
            formula="m * layers * again",
            inputs={**count, "again": layer.again_s},
            source="Korthikanti et al. 2022",
        ),
        plain("waiting for kernel launches", time.launch_s),
        Term(
            name="tensor-parallel communication",
            value=time.tensor_s,
            unit="s",
            formula="m * layers * exposed * (forward + backward + again)",
            inputs={
                **count,
                "exposed": 1.0 - setting.software.tp_overlap,
                "forward": traffic.tensor_forward_s,
                "backward": traffic.tensor_backward_s,
                "again": traffic.tensor_again_s,
            },
            source="Megatron-LM: two all-reduces a layer and pass, latency + bytes / bandwidth",
        ),
        plain("context-parallel communication", time.context_s, "beyond the attention it hides by"),
        plain("expert dispatch", time.expert_s, "all-to-all, DeepSeek-V3 section 3.2.2"),
        plain("pipeline sends", time.pipeline_s),
        Term(
            name="data-parallel communication",
            value=time.data_s,
            unit="s",
            formula="all - hidden",
            inputs={"all": time.data_traffic_s, "hidden": time.data_traffic_s - time.data_s},
            source="ZeRO, Rajbhandari et al. 2020",
        ),
        plain("computation slowed by collectives", time.contention_s),
        _bubble(estimate),
        _optimizer(estimate),
        plain("offloading", time.offload_s, f"PCIe at {PCIE_BYTES_S / 1e9:g} GB/s"),
        plain("fixed cost of a step", time.overhead_s, "calibration.toml: step_s"),
        plain("stragglers", time.straggler_s, "calibration.toml: straggler, per doubling of nodes"),
    ]
    return total("step time", "s", parts)


def _products(estimate: Estimate) -> Term:
    """Forward products of one layer, each by arithmetic or by memory, whichever is longer."""
    setting, layout = estimate.setting, estimate.layout
    rate = rates(setting, layout.precision)
    tokens = layout.micro_batch * setting.sequence / layout.cp
    parts = [
        Term(
            name=product.name,
            value=rate.gemm_s(product.m, product.n, product.k, product.rate) * product.copies,
            unit="s",
            formula=(
                "copies * (max((2 * m * n * k + wave * min(k, 4096)) / (flops * rate),"
                " width * (m * k + k * n + m * n) / memory) + start)"
            ),
            inputs={
                "copies": product.copies,
                "m": product.m,
                "n": product.n,
                "k": product.k,
                "wave": rate.wave_flops,
                "flops": rate.gemm_flops,
                "rate": product.rate,
                "width": rate.gemm_bytes,
                "memory": rate.hbm_bytes,
                "start": rate.kernel_s,
            },
            source="roofline with part of a wave; calibration.toml",
        )
        for product in layer_products(setting, tokens, layout.tp, layout.ep, layout.expert_tp)
    ]
    return total("products of one layer, forward", "s", parts)


def _core(estimate: Estimate) -> Term:
    setting, layout = estimate.setting, estimate.layout
    model = setting.model
    work = attention_core(setting, layout.micro_batch, layout.tp, layout.cp)
    causal = setting.software.attention != "unfused"
    return Term(
        name="attention of one layer, FLOPs forward",
        value=work.forward_flops,
        unit="FLOP",
        formula="2 * tokens * attended * width",
        inputs={
            "tokens": layout.micro_batch * setting.sequence / layout.cp,
            "attended": model.attended(setting.sequence, causal=causal),
            "width": (model.query_width + model.value_width) / layout.tp,
        },
        source="FlashAttention-2 (Dao 2023): backward 2.5 times that",
    )


def _elementwise(estimate: Estimate) -> Term:
    setting, layout = estimate.setting, estimate.layout
    tokens = layout.micro_batch * setting.sequence / layout.cp
    moved = elementwise_bytes(
        setting, tokens, layout.tp, layout.sequence_parallel, layout.precision
    )
    rate = rates(setting, layout.precision)
    return Term(
        name="passes over memory of one layer, forward",
        value=layer_work(setting, layout).elementwise.forward_s,
        unit="s",
        formula="moved / memory + 8 * start",
        inputs={"moved": moved, "memory": rate.hbm_bytes, "start": rate.kernel_s},
    )


def _bubble(estimate: Estimate) -> Term:
    layout, time = estimate.layout, estimate.time
    sequential = layout.schedule == "sequential"
    waits = layout.micro_batches * (layout.pp - 1) if sequential else layout.pp - 1
    each = time.bubble_s * layout.vp / waits if waits else 0.0
    return Term(
        name="pipeline bubble",
        value=time.bubble_s,
        unit="s",
        formula="waits / v * stage",
        inputs={"waits": waits, "v": layout.vp, "stage": each},
        source="Narayanan et al. 2021, section 2.2",
    )


def _optimizer(estimate: Estimate) -> Term:
    setting, layout = estimate.setting, estimate.layout
    held = rank_parameters(setting.model, layout)
    rate = setting.cluster.gpu.hbm_bytes_s * setting.measured.hbm
    updated = estimate.time.optimizer_s * rate / setting.constants.universal.optimizer_bytes
    return Term(
        name="optimizer",
        value=estimate.time.optimizer_s,
        unit="s",
        formula="updated * bytes_each / memory",
        inputs={
            "updated": updated,
            "bytes_each": setting.constants.universal.optimizer_bytes,
            "memory": rate,
        },
        source=f"of {held.total:.4g} parameters on the rank, after sharding",
    )
