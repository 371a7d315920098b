"""Every figure of a serving capacity as a tree of terms that can be worked out again."""

from ..cost.memory import CONTEXT_BYTES
from ..serving_capacity.capacity import Capacity, Speed
from ..serving_capacity.memory import LOGIT_BYTES
from ..serving_capacity.step import KernelCost, Step
from .memory import MEMORY
from .step import collective
from .terms import Term, term


def explain_capacity(result: Capacity) -> Term:
    """The whole capacity; built on demand."""
    parts = [_memory(result), _largest_batch(result), _step("TTFT", result.prefill)]
    if result.running is not None:
        decode = _step("decode step", result.running.step)
        parts += [
            _roofline(result, result.running),
            _per_step("decode speed", "tokens_s", result.running, decode),
            *_under_load(result, result.running),
        ]
    return term(
        "capacity",
        "batch = min(load.requests, memory.largest_batch)",
        result,
        unit="requests at a time",
        parts=parts,
    )


def _memory(result: Capacity) -> Term:
    """Bytes per GPU with the load's requests at full length."""
    memory, server, batch = result.memory, result.server, result.batch
    equations = {
        "weights": ("weights = weight_bytes * packed + base_bytes * plain", "packed: quantized"),
        "KV cache": (
            "cache = batch * (cached * token_bytes + state)",
            "keys and values in all layers; prompt and output in whole blocks of 16",
        ),
        "logits": ("logit_bytes = batch * each * model.vocabulary / gpus", ""),
        "workspace": (
            "workspace = context + graph_bytes + communicator"
            " + chunk_tokens * chunk_width * base_bytes",
            "one chunk of prompts at a layer's widest point",
        ),
    }
    parts = [
        term(
            name,
            equation,
            *(memory, result, server, server.storage, server.engine),
            unit="bytes",
            source=source,
            context=CONTEXT_BYTES,
            each=LOGIT_BYTES,
            cache=batch * memory.sequence,
            logit_bytes=batch * memory.logits,
        )
        for name, (equation, source) in equations.items()
    ]
    return term(MEMORY, "used", unit="bytes", parts=parts, used=memory.used(batch))


def _largest_batch(result: Capacity) -> Term:
    """The largest batch that the memory holds."""
    return term(
        "largest batch",
        "largest_batch = max(0, (usable - weights - workspace) // (request_bytes + logits))",
        result.memory,
        unit="requests",
        request_bytes=result.memory.sequence,
        source=f"usable: {1 - result.server.engine.reserve_share:.0%} of the memory (serving.toml)",
    )


def _roofline(result: Capacity, speed: Speed) -> Term:
    """Decode tokens per second at the vendor's figures."""
    gpu, storage, bound = result.server.gpu, result.server.storage, speed.roofline
    weights = term(
        "weights read",
        "weight_bytes = storage.weight_bytes * streamed + base_bytes * head",
        *(bound, storage, result.server),
        unit="bytes",
        source="of experts, those that the batch meets when it is routed evenly",
    )
    cache = term(
        "keys and values read",
        "kv_bytes = batch * (cached * token_bytes + 2 * state)",
        *(bound, speed),
        state=result.memory.state,
        unit="bytes",
        source="at the mean context: the prompt and half the output",
    )
    step = term(
        "roofline step",
        "step_s = max((weight_bytes + kv_bytes) / hbm_bytes_s, flops / peak)",
        *(bound, gpu),
        source=f"Williams et al. 2009; {gpu.source}",
        parts=[weights, cache],
        peak=gpu.peak_flops(storage.arithmetic),
    )
    return _per_step("roofline speed", "roofline_tokens_s", speed, step)


def _per_step(name: str, field: str, speed: Speed, step: Term) -> Term:
    equation = f"{field} = batch / step_s"
    return term(name, equation, speed, unit="tokens/s", parts=[step], step_s=step.value)


def _under_load(result: Capacity, running: Speed) -> list[Term]:
    """Output tokens per second while requests come as fast as others finish, and their cost."""
    prompt = term(
        "one prompt of a full step",
        "prompt_s = chunk.total_s / chunk_prompts",
        result,
        parts=[_step("prefill step", result.chunk)],
    )
    tpot = term(
        "TPOT",
        "tpot_s = decode_s / load.speculation + own * batch / load.output_tokens * prompt_s",
        result,
        source="each step bears its share of the prompts that take the place of finished requests",
        parts=[prompt],
        decode_s=running.step.total_s,
        own=0 if result.load.disaggregated else 1,
    )
    throughput = term(
        "throughput", "tokens_s = batch / tpot_s", result, unit="output tokens/s", parts=[tpot]
    )
    if result.price is None:
        return [throughput]
    cost = term(
        "cost",
        "usd_per_million_output = gpus * (1 + prefill_servers) * price.usd_per_hour"
        " / 3600 / tokens_s * 1e6",
        *(result, result.server),
        unit="$ per million output tokens",
        source=f"{result.price.source}, {result.price.date.isoformat()}",
    )
    return [throughput, cost]


def _step(name: str, step: Step) -> Term:
    """One step, part by part."""
    one_shot = collective("one shot", step.one_shot) if step.one_shot != step.ring else []
    products = term(
        "matrix products",
        "products_s = layers * layer_products_s",
        step,
        source="roofline of each product, with part of a wave",
        parts=[_kernel(each) for each in step.products],
    )
    communication = term(
        "all-reduces",
        "communication_s = 2 * layers * min(ring.seconds, one_shot.seconds)",
        step,
        source="two a layer; in one shot where links are direct; one GPU has none",
        parts=[*collective("ring", step.ring), *one_shot],
    )
    host = term(
        "host",
        "host_s = step_s + sequences * (sequence_s + request_s)",
        step,
        source="serving.toml; request_s of new requests alone",
    )
    kernels = (step.head, step.attention, step.elementwise, step.starts)
    parts = [products, *(_kernel(each) for each in kernels), communication, host]
    return term(name, "total_s", step, parts=parts)


def _kernel(cost: KernelCost) -> Term:
    """A kernel by those of its bounds that it has."""
    bounds = {
        "flops / flops_s": cost.flops,
        "moved_bytes / bytes_s": cost.moved_bytes,
        "weights / conversion_s": cost.weights / cost.conversion_s,
    }
    formula = ", ".join(bound for bound, present in bounds.items() if present)
    longest = f"max({formula})" if "," in formula else formula
    starts = "starts * kernel_s" if cost.starts else ""
    equation = f"seconds = {' + '.join(filter(None, (longest, starts)))}"
    return term(cost.name, equation, cost, source="calibration.toml and serving.toml")
