"""What the process holds on its device: parts from storage, which add up to the whole."""

from pathlib import Path

import psutil
import pytest
import torch
from prodtop.engine.memory import read_memory
from prodtop.engine.model.decoder import Decoder
from prodtop.engine.model.loading import load_model
from prodtop.engine.probes.own_gpu import OwnGpu
from prodtop.engine.probes.process import load_pynvml
from prodtop.engine.protocol import Memory, PrecisionName
from prodtop.engine.serving.kv_cache import KVCache, block_bytes
from prodtop.engine.serving.request import Request, Sampling
from prodtop.engine.serving.runner import TorchRunner
from prodtop.engine.serving.scheduler import Chunk

CPU = torch.device("cpu")
BLOCKS = 6


def make_runner(folder: Path, device: torch.device, blocks: int = BLOCKS) -> TorchRunner:
    master = load_model(str(folder)).master
    decoder = Decoder(master, PrecisionName.BF16, device, 96)
    return TorchRunner(decoder, KVCache(master.config, blocks, device, decoder.dtype))


def parts(memory: Memory) -> int:
    named = memory.weights_bytes, memory.kv_bytes, memory.workspace_bytes, memory.other_bytes
    assert all(part is None or part >= 0 for part in named)
    return sum(part or 0 for part in named)


def test_on_a_cpu_the_parts_add_up_to_what_the_process_holds(tiny_folder: Path) -> None:
    runner = make_runner(tiny_folder, CPU)
    memory = read_memory(runner, None)
    assert parts(memory) == memory.used_bytes
    assert memory.used_bytes == pytest.approx(psutil.Process().memory_info().rss, rel=0.05)
    assert memory.weights_bytes == runner.decoder.weights_bytes
    assert memory.kv_bytes == BLOCKS * block_bytes(runner.decoder.config, torch.bfloat16)


def test_a_cpu_does_not_pretend_to_know_torchs_share(tiny_folder: Path) -> None:
    memory = read_memory(make_runner(tiny_folder, CPU), None)
    assert memory.torch_allocated_bytes is None
    assert memory.torch_reserved_bytes is None


@pytest.mark.gpu
@pytest.mark.parametrize("with_driver", [False, True])
def test_on_a_gpu_the_parts_add_up_to_what_the_process_holds(
    tiny_folder: Path, with_driver: bool
) -> None:
    device = torch.device("cuda", 0)
    own_gpu = make_own_gpu(device) if with_driver else None
    # Large enough for two per cent of the whole to mean something.
    runner = make_runner(tiny_folder, device, blocks=20_000)
    request = Request(0, list(range(1, 41)), 1, Sampling(), 0.0)
    request.block_ids = [2, 0, 1]
    runner.launch([Chunk(request, 40, 0)])
    torch.cuda.synchronize(device)
    memory = read_memory(runner, own_gpu)
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
