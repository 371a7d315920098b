"""How large the engine's KV cache and steps are, from the options and from what is there."""

from collections.abc import Sequence

import torch

from ..device.devices import device_limits
from ..kernels.attention.gather_plan import scratch_bytes
from ..model.weight_memory import packed_bytes
from ..precision.levels import base_dtype, default_precision, unavailable_reason
from ..probes.memory_limits import MemoryLimit, least
from ..protocol import PrecisionName
from ..protocol.errors import BadInputError
from ..protocol.options import WorkerOptions
from ..serving.kv_cache import BLOCK_TOKENS, block_bytes
from ..serving.runner import runs_kernels
from ..serving.settings import EngineSettings
from ..shape.model_shape import ModelShape

DEFAULT_CONTEXT_TOKENS = 8192
"""The longest sequence by default: long contexts of large models are asked for, not assumed."""

CPU_TOKEN_BUDGET = 256
"""Enough rows for a CPU's products: larger steps compute prompts no faster."""

CPU_PREFILL_BESIDE_STREAMS = 64
"""A CPU computes prompt tokens slowly: more of them in a step would stall the streams beside it.
Fewer would make a prompt wait for longer than the streams gain (docs/performance.md)."""

CUDA_TOKEN_BUDGET = 2048
CUDA_PREFILL_BESIDE_STREAMS = 512
"""Streams beside a long prompt wait a third as long as with all of the budget, 15 ms instead of 52
for an 8-billion-parameter model on an H200, and the prompt a fifth longer (docs/performance.md)."""
_CPU_KV_BYTES = 128 * 2**20
WORKSPACE_BYTES = int(1.5 * 2**30)
_SHARE_OF_FREE = 0.9
_BULK_COPIES = (9, 0)
"""The compute capability from which on GPUs copy tiles (`GpuLimits.bulk_tensors`)."""
_PACKED_ITEMSIZE = 1
"""Bytes a weight takes at int8 and fp8, the widest of the packed levels."""


def engine_settings(
    options: WorkerOptions,
    config: ModelShape,
    precision: PrecisionName,
    device: torch.device,
    loaded_dtype: torch.dtype | None = None,
    draft: ModelShape | None = None,
    limits: Sequence[MemoryLimit] | None = None,
) -> EngineSettings:
    """Limits for `config` on `device`, where a master copy in `loaded_dtype` already is, if any.

    The KV cache holds every sequence at full length where memory allows, and at least one. That of
    a `draft` model has as many blocks, and its weights are still to come. `limits`: those of
    `device`, read now where they are not given. Raises
    `BadInputError` for a context the model does not have or a KV budget too small for one sequence.
    """
    context = context_tokens(options, config)
    if context > config.context_tokens:
        raise BadInputError(
            f"a context of {context} tokens is more than the model's {config.context_tokens}"
        )
    kv_dtype = _kv_dtype(options, device)
    one_block = block_bytes(config, kv_dtype or base_dtype(precision))
    if draft is not None:
        one_block += block_bytes(draft, base_dtype(default_precision(device)))
    one_sequence = -(-context // BLOCK_TOKENS)
    limits = device_limits(device) if limits is None else limits
    budget_bytes = _kv_budget_bytes(options, config, precision, device, loaded_dtype, draft, limits)
    affordable = budget_bytes // one_block
    if options.kv_gib is None and device.type == "cpu":
        affordable = max(affordable, one_sequence)
    if affordable < one_sequence:
        need, room = _size(one_sequence * one_block), _size(max(budget_bytes, 0))
        raise BadInputError(
            f"one sequence of {context} tokens needs {need} of KV cache, and {room} is left for it:"
            " allow more (--kv-gib), or a shorter context (--context-tokens)"
        )
    wanted = options.max_seqs * one_sequence
    on_gpu = device.type == "cuda"
    return EngineSettings(
        max_seqs=options.max_seqs,
        token_budget=token_budget(options, device),
        kv_blocks=int(affordable if options.kv_gib else min(wanted, affordable)),
        context_tokens=context,
        kv_dtype=kv_dtype,
        prefill_beside_streams=CUDA_PREFILL_BESIDE_STREAMS
        if on_gpu
        else CPU_PREFILL_BESIDE_STREAMS,
        speculation=options.speculation,
    )


def context_tokens(options: WorkerOptions, config: ModelShape) -> int:
    """The longest sequence: what was asked for, else as much as is usual."""
    return options.context_tokens or min(config.context_tokens, DEFAULT_CONTEXT_TOKENS)


def token_budget(options: WorkerOptions, device: torch.device) -> int:
    """The most rows of a step; each running sequence has one."""
    budget = CUDA_TOKEN_BUDGET if device.type == "cuda" else CPU_TOKEN_BUDGET
    return max(budget, options.max_seqs)


def gathered_bytes(
    options: WorkerOptions,
    config: ModelShape,
    device: torch.device,
    draft: ModelShape | None = None,
) -> int:
    """What GPUs that copy tiles in bulk gather the keys of long prompts in, once for each model."""
    if not runs_kernels(device) or torch.cuda.get_device_capability(device) < _BULK_COPIES:
        return 0
    context, budget = context_tokens(options, config), token_budget(options, device)
    models = [config] if draft is None else [config, draft]
    return sum(scratch_bytes(context, budget, each.kv_heads, each.head_dim) for each in models)


def _size(size_bytes: int) -> str:
    gib = size_bytes / 2**30
    return f"{gib:.2f} GiB" if gib >= 1 else f"{gib * 1024:.3g} MiB"


def _kv_dtype(options: WorkerOptions, device: torch.device) -> torch.dtype | None:
    """The dtype asked for cached keys and values; `None` for the one they are computed in."""
    if options.kv_format == "auto":
        return None
    if not runs_kernels(device) or unavailable_reason(PrecisionName.FP8, device) is not None:
        raise BadInputError(
            "an fp8 KV cache needs a GPU with fp8 (compute capability 8.9) and Triton: "
            "leave out --kv-format"
        )
    return torch.float8_e4m3fn


def _kv_budget_bytes(
    options: WorkerOptions,
    config: ModelShape,
    precision: PrecisionName,
    device: torch.device,
    loaded_dtype: torch.dtype | None,
    draft: ModelShape | None,
    limits: Sequence[MemoryLimit],
) -> int:
    if options.kv_gib is not None:
        return int(options.kv_gib * 2**30)
    limit = least(limits)
    if device.type == "cpu":
        if limit is None:
            return _CPU_KV_BYTES
        # What comes beside the cache is made after it.
        left = limit.left_bytes - packed_bytes(config, precision)
        return max(0, min(_CPU_KV_BYTES, int(left) // 4))
    free = 0 if limit is None else limit.left_bytes
    weights = _largest_set_bytes(config, precision, loaded_dtype)
    if draft is not None:
        weights += draft.parameters * base_dtype(default_precision(device)).itemsize
    workspace = WORKSPACE_BYTES + gathered_bytes(options, config, device, draft)
    return max(0, int((free - weights - workspace) * _SHARE_OF_FREE))


def _largest_set_bytes(
    config: ModelShape, precision: PrecisionName, loaded_dtype: torch.dtype | None
) -> int:
    """Bytes of weights still to come at `precision` or at one that it may be switched to.

    Weights in the dtype of a copy on the device are that copy, where it stores them unpacked.
    Beside it there is then the set of a narrower level, at most one byte a weight; while it is
    made, the set that it replaces is let go first.
    """
    itemsize = base_dtype(precision).itemsize
    if loaded_dtype is base_dtype(precision) and config.stored.int4 is None:
        return config.parameters * min(itemsize, _PACKED_ITEMSIZE)
    return config.parameters * itemsize
