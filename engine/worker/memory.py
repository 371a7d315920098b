"""What the engine's process holds on its device, in parts that add up to the whole."""

import psutil
import torch
from torch import Tensor

from ..model.decoder import Decoder
from ..model.weights import MasterWeights
from ..precision.linear import storage_bytes
from ..probes.own_gpu import OwnGpu
from ..protocol import Memory
from ..serving.engine import Engine
from ..serving.runner import Runner


def engine_memory(engine: Engine, own_gpu: OwnGpu | None) -> Memory:
    """What an engine's process holds, with its draft model if it has one."""
    draft = None if engine.drafter is None else engine.drafter.runner
    return read_memory(engine.runner, engine.model.master, own_gpu, draft)


def read_memory(
    runner: Runner, master: MasterWeights, own_gpu: OwnGpu | None, draft: Runner | None = None
) -> Memory:
    """Weights, master copy and KV cache from storage, the rest of torch and of the process.

    Those of a `draft` model count too, but for its master copy, which is among the rest.
    On a CPU the whole is the process's resident set, of which torch does not know its share: all
    but these is `other`. On CUDA the whole is what the driver says of the process.
    """
    runners = [runner] if draft is None else [runner, draft]
    weights = sum(each.decoder.weights_bytes for each in runners)
    kv = sum(each.kv_cache.storage_bytes for each in runners)
    device = runner.decoder.device
    copy = master_bytes(master, runner.decoder)
    graphs = sum(each.graph_bytes for each in runners)
    held = weights + kv + graphs + (copy or 0)
    if device.type == "cpu":
        used = max(psutil.Process().memory_info().rss, held)
        return Memory(
            used_bytes=used,
            weights_bytes=weights,
            kv_bytes=kv,
            master_bytes=copy,
            other_bytes=used - held,
        )
    reserved = torch.cuda.memory_reserved(device)
    whole = None if own_gpu is None else own_gpu.held_bytes(reserved)
    used = reserved if whole is None else max(whole, reserved)
    return Memory(
        used_bytes=used,
        weights_bytes=weights,
        kv_bytes=kv,
        master_bytes=copy,
        graphs_bytes=graphs or None,
        workspace_bytes=max(0, reserved - held),
        other_bytes=used - max(reserved, held),
        torch_allocated_bytes=torch.cuda.memory_allocated(device),
        torch_reserved_bytes=reserved,
    )


def master_bytes(master: MasterWeights, decoder: Decoder) -> int | None:
    """Bytes of the master copy beyond what `decoder` shares with it; `None` on another device."""
    if master.embedding.device.type != decoder.device.type:
        return None
    served = _served(decoder)
    return storage_bytes([*served, *master.tensors()]) - storage_bytes(served)


def _served(decoder: Decoder) -> list[Tensor]:
    layers = decoder.layers
    norms = [decoder.final_norm, *(norm for layer in layers for norm in layer.norms())]
    linears = [decoder.head, *(linear for layer in layers for linear in layer.projections())]
    tensors = [decoder.embedding]
    tensors += [tensor for norm in norms for tensor in norm.tensors()]
    tensors += [tensor for linear in linears for tensor in linear.tensors()]
    learned = decoder.learned_positions
    return tensors if learned is None else [*tensors, learned]
