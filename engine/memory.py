"""What the engine's process holds on its device, in parts that add up to the whole."""

import psutil
import torch

from .probes.own_gpu import OwnGpu
from .protocol import Memory
from .serving.runner import Runner


def read_memory(runner: Runner, own_gpu: OwnGpu | None) -> Memory:
    """Weights and KV cache from their storages, the rest of torch, and the rest of the process.

    On a CPU the whole is the process's resident set, of which torch does not know its share: all
    but weights and KV cache is `other`. On CUDA the whole is what the driver says of the process.
    """
    weights = runner.decoder.weights_bytes
    kv = runner.kv_cache.storage_bytes
    device = runner.decoder.device
    if device.type == "cpu":
        used = max(psutil.Process().memory_info().rss, weights + kv)
        return Memory(
            used_bytes=used,
            weights_bytes=weights,
            kv_bytes=kv,
            other_bytes=used - weights - kv,
        )
    reserved = torch.cuda.memory_reserved(device)
    whole = None if own_gpu is None else own_gpu.held_bytes(reserved)
    used = reserved if whole is None else max(whole, reserved)
    return Memory(
        used_bytes=used,
        weights_bytes=weights,
        kv_bytes=kv,
        workspace_bytes=max(0, reserved - weights - kv),
        other_bytes=used - max(reserved, weights + kv),
        torch_allocated_bytes=torch.cuda.memory_allocated(device),
        torch_reserved_bytes=reserved,
    )
