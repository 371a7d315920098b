"""What the process holds on its device: parts from storage, which add up to the whole."""

from pathlib import Path

import psutil
import pytest
import torch
from prodtop.engine.model.decoder import Decoder
from prodtop.engine.model.loading import load_model
from prodtop.engine.model.weights import MasterWeights
from prodtop.engine.precision.linear import storage_bytes
from prodtop.engine.probes.nvml_api import load_pynvml
from prodtop.engine.probes.own_gpu import OwnGpu
from prodtop.engine.protocol import Memory, PrecisionName
from prodtop.engine.serving.kv_cache import KVCache, block_bytes
from prodtop.engine.serving.request import Request, Sampling
from prodtop.engine.serving.runner import TorchRunner
from prodtop.engine.serving.step_plan import Chunk
from prodtop.engine.worker.figures import master_bytes, read_memory

CPU = torch.device("cpu")
BLOCKS = 6


def make_runner(
    master: MasterWeights,
    device: torch.device,
    blocks: int = BLOCKS,
    precision: PrecisionName = PrecisionName.BF16,
) -> TorchRunner:
    decoder = Decoder(master, precision, device, 96)
    return TorchRunner(decoder, KVCache(master.config, blocks, device, decoder.dtype))


def parts(memory: Memory) -> int:
    named = (
        memory.weights_bytes,
        memory.kv_bytes,
        memory.master_bytes,
        memory.workspace_bytes,
        memory.other_bytes,
    )
    assert all(part is None or part >= 0 for part in named)
    return sum(part or 0 for part in named)


def test_on_a_cpu_the_parts_add_up_to_what_the_process_holds(tiny_folder: Path) -> None:
    master = load_model(str(tiny_folder)).master
    runner = make_runner(master, CPU)
    memory = read_memory(runner, master, None)
    assert parts(memory) == memory.used_bytes
    assert memory.used_bytes == pytest.approx(psutil.Process().memory_info().rss, rel=0.05)
    assert memory.weights_bytes == runner.decoder.weights_bytes
    assert memory.kv_bytes == BLOCKS * block_bytes(runner.decoder.config, torch.bfloat16)


def test_a_draft_models_weights_and_cache_are_named_too(tiny_folder: Path) -> None:
    master = load_model(str(tiny_folder)).master
    runner, draft = make_runner(master, CPU), make_runner(master, CPU)
    alone, both = read_memory(runner, master, None), read_memory(runner, master, None, draft)
    assert both.weights_bytes == 2 * alone.weights_bytes
    assert both.kv_bytes == 2 * alone.kv_bytes
    assert parts(both) == both.used_bytes


def test_a_cpu_does_not_pretend_to_know_torchs_share(tiny_folder: Path) -> None:
    master = load_model(str(tiny_folder)).master
    memory = read_memory(make_runner(master, CPU), master, None)
    assert memory.torch_allocated_bytes is None
    assert memory.torch_reserved_bytes is None


def test_the_master_copy_is_told_apart_from_the_weights_made_of_it(tiny_folder: Path) -> None:
    master = load_model(str(tiny_folder)).master
    whole = storage_bytes(master.tensors())
    assert master.dtype is torch.float32
    rounded = make_runner(master, CPU, precision=PrecisionName.FP16).decoder
    assert master_bytes(master, rounded) == whole, "weights of another dtype share nothing"
    same = make_runner(master, CPU, precision=PrecisionName.FP32).decoder
    shared = master_bytes(master, same)
    assert shared is not None
    assert shared < whole, "embedding and norms are the master's own"


@pytest.mark.gpu
def test_on_a_gpu_a_copy_at_the_checkpoints_precision_takes_no_more(tiny_folder: Path) -> None:
    device = torch.device("cuda", 0)
    there = load_model(str(tiny_folder), device=device).master
    same = make_runner(there, device, precision=PrecisionName.FP32).decoder
    assert master_bytes(there, same) == 0
    packed = make_runner(there, device, precision=PrecisionName.INT8).decoder
    assert master_bytes(there, packed) == storage_bytes(there.tensors())
    here = load_model(str(tiny_folder)).master
    assert master_bytes(here, packed) is None


@pytest.mark.gpu
@pytest.mark.parametrize("with_driver", [False, True])
def test_on_a_gpu_the_parts_add_up_to_what_the_process_holds(
    tiny_folder: Path, with_driver: bool
) -> None:
    device = torch.device("cuda", 0)
    own_gpu = make_own_gpu(device) if with_driver else None
    # Large enough for two per cent of the whole to mean something.
    master = load_model(str(tiny_folder)).master
    runner = make_runner(master, device, blocks=20_000)
    request = Request(0, list(range(1, 41)), 1, Sampling(), 0.0)
    request.block_ids = [2, 0, 1]
    runner.launch([Chunk(request, 40, 0)])
    torch.cuda.synchronize(device)
    memory = read_memory(runner, master, own_gpu)
    assert parts(memory) == pytest.approx(memory.used_bytes, rel=0.02)
    assert memory.kv_bytes == 20_000 * block_bytes(runner.decoder.config, torch.bfloat16)
    assert memory.torch_allocated_bytes is not None
    assert memory.torch_reserved_bytes is not None
    assert memory.weights_bytes + memory.kv_bytes <= memory.torch_allocated_bytes
    assert memory.torch_allocated_bytes <= memory.torch_reserved_bytes <= memory.used_bytes


def make_own_gpu(device: torch.device) -> OwnGpu:
    own_gpu = OwnGpu(load_pynvml, f"GPU-{torch.cuda.get_device_properties(device).uuid}")
    torch.empty(1, device=device)
    torch.cuda.synchronize(device)
    own_gpu.context_created(torch.cuda.memory_reserved(device))
    return own_gpu
