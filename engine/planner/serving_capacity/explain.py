"""Every figure of a capacity as a tree of terms that can be worked out again."""

from ..cost.terms import Term, total
from .capacity import Capacity, Speed
from .explain_step import explain_decode_step, explain_prefill_step
from .memory import LOGIT_BYTES, token_bytes, weight_bytes, workspace_bytes
from .roofline import head_weights, streamed_weights
from .storage import cached_tokens

_WHERE = "serving.toml"


def explain_capacity(result: Capacity) -> Term:
    """The whole capacity; built on demand."""
    parts = [explain_memory(result), explain_batch(result), explain_ttft(result)]
    if result.running is not None:
        parts += [
            explain_roofline(result, result.running),
            explain_decode(result, result.running),
            explain_throughput(result),
        ]
    if result.usd_per_million_output is not None:
        parts.append(explain_cost(result))
    return Term(
        name="capacity",
        value=result.batch,
        unit="requests at a time",
        formula="min(in_flight, largest)",
        inputs={"in_flight": result.load.requests, "largest": result.memory.largest_batch},
        parts=tuple(parts),
    )


def explain_memory(result: Capacity) -> Term:
    """Bytes per GPU with the load's requests at full length."""
    server, held = result.server, result.memory
    model, storage = server.model, server.storage
    weights = Term(
        name="weights",
        value=weight_bytes(server),
        unit="bytes",
        formula="each * packed + rest",
        inputs={
            "each": storage.weight_bytes,
            "packed": model.linear_parameters / server.gpus,
            "rest": weight_bytes(server)
            - storage.weight_bytes * model.linear_parameters / server.gpus,
        },
        source="rest: embedding, head, norms, routers, and what tensor ranks hold more than once",
    )
    cache = Term(
        name="KV cache",
        value=result.batch * held.sequence,
        unit="bytes",
        formula="requests * tokens * each",
        inputs={
            "requests": result.batch,
            "tokens": held.sequence / token_bytes(server),
            "each": token_bytes(server),
        },
        source="a token's keys and values in all layers; prompt and output in whole blocks of 16",
    )
    logits = Term(
        name="logits",
        value=result.batch * held.logits,
        unit="bytes",
        formula="requests * each * V / gpus",
        inputs={
            "requests": result.batch,
            "each": LOGIT_BYTES,
            "V": model.vocabulary,
            "gpus": server.gpus,
        },
    )
    workspace = Term(
        name="workspace",
        value=workspace_bytes(server),
        unit="bytes",
        source=f"context, graphs, communicators, one chunk of {server.engine.chunk_tokens} tokens",
    )
    return total("memory per GPU", "bytes", [weights, cache, logits, workspace])


def explain_batch(result: Capacity) -> Term:
    """The largest batch that the memory holds."""
    held = result.memory
    return Term(
        name="largest batch",
        value=held.largest_batch,
        unit="requests",
        formula="max(0, (usable - weights - workspace) // (sequence + logits))",
        inputs={
            "usable": held.usable,
            "weights": held.weights,
            "workspace": held.workspace,
            "sequence": held.sequence,
            "logits": held.logits,
        },
        source=f"usable: {1 - result.server.engine.reserve_share:.0%} of the memory ({_WHERE})",
    )


def explain_roofline(result: Capacity, speed: Speed) -> Term:
    """Decode tokens per second at the vendor's figures."""
    gpu, storage = result.server.gpu, result.server.storage
    bound = speed.roofline
    step = Term(
        name="roofline step",
        value=bound.step_s,
        unit="s",
        formula="max((weights + cache) / bandwidth, flops / peak)",
        inputs={
            "weights": bound.weight_bytes,
            "cache": bound.kv_bytes,
            "bandwidth": gpu.hbm_bytes_s,
            "flops": bound.flops,
            "peak": gpu.peak_flops(storage.arithmetic),
        },
        source=f"Williams et al. 2009; {gpu.source}",
        parts=(_read_weights(result, speed), _read_cache(result, speed)),
    )
    return Term(
        name="roofline speed",
        value=speed.roofline_tokens_s,
        unit="tokens/s",
        formula="batch / step",
        inputs={"batch": speed.batch, "step": bound.step_s},
        parts=(step,),
    )


def _read_weights(result: Capacity, speed: Speed) -> Term:
    server = result.server
    return Term(
        name="weights read",
        value=speed.roofline.weight_bytes,
        unit="bytes",
        formula="each * layers + base * head",
        inputs={
            "each": server.storage.weight_bytes,
            "layers": streamed_weights(server, speed.batch),
            "base": server.storage.base_bytes,
            "head": head_weights(server),
        },
        source="of experts, those that the batch meets when it is routed evenly",
    )


def _read_cache(result: Capacity, speed: Speed) -> Term:
    server = result.server
    return Term(
        name="keys and values read",
        value=speed.roofline.kv_bytes,
        unit="bytes",
        formula="batch * tokens * each",
        inputs={
            "batch": speed.batch,
            "tokens": cached_tokens(server.model, result.load.mean_context_tokens),
            "each": token_bytes(server),
        },
        source="at the mean context: the prompt and half the output",
    )


def explain_decode(result: Capacity, speed: Speed) -> Term:
    """Decode tokens per second with what engines reach."""
    context = result.load.mean_context_tokens
    step = explain_decode_step(result.server, speed.batch, context, speed.step)
    return Term(
        name="decode speed",
        value=speed.tokens_s,
        unit="tokens/s",
        formula="batch / step",
        inputs={"batch": speed.batch, "step": speed.step.total_s},
        parts=(step,),
    )


def explain_ttft(result: Capacity) -> Term:
    """Time to first token on an idle server."""
    tokens = result.load.prompt_tokens
    return explain_prefill_step("TTFT", result.server, 1, tokens, result.prefill)


def explain_throughput(result: Capacity) -> Term:
    """Output tokens per second while requests come as fast as others finish."""
    assert result.running is not None
    assert result.tpot_s is not None
    assert result.tokens_s is not None
    prompt = Term(
        name="one prompt of a full step",
        value=result.prompt_s,
        unit="s",
        formula="step / prompts",
        inputs={"step": result.chunk.total_s, "prompts": result.chunk_prompts},
        parts=(
            explain_prefill_step(
                "prefill step",
                result.server,
                result.chunk_prompts,
                result.load.prompt_tokens,
                result.chunk,
            ),
        ),
    )
    tpot = Term(
        name="TPOT",
        value=result.tpot_s,
        unit="s",
        formula="decode + batch / output * prompt",
        inputs={
            "decode": result.running.step.total_s,
            "batch": result.batch,
            "output": result.load.output_tokens,
            "prompt": result.prompt_s,
        },
        source="each step bears its share of the prompts that take the place of finished requests",
        parts=(prompt,),
    )
    return Term(
        name="throughput",
        value=result.tokens_s,
        unit="output tokens/s",
        formula="batch / tpot",
        inputs={"batch": result.batch, "tpot": result.tpot_s},
        parts=(tpot,),
    )


def explain_cost(result: Capacity) -> Term:
    """Dollars per million output tokens."""
    assert result.price is not None
    assert result.tokens_s is not None
    assert result.usd_per_million_output is not None
    return Term(
        name="cost",
        value=result.usd_per_million_output,
        unit="$ per million output tokens",
        formula="gpus * hourly / 3600 / speed * 1e6",
        inputs={
            "gpus": result.server.gpus,
            "hourly": result.price.usd_per_hour,
            "speed": result.tokens_s,
        },
        source=f"{result.price.source}, {result.price.date.isoformat()}",
    )
