"""Which runner a device gets."""

from collections.abc import Callable
from importlib.util import find_spec

import torch

from ..model.decoder import Decoder
from .kv_cache import KVCache
from .runner import Runner, TorchRunner
from .settings import EngineSettings

RunnerFactory = Callable[[Decoder, KVCache, EngineSettings], Runner]

_OLDEST_CAPABILITY = (8, 0)
"""Ampere: what Triton's kernels are written for."""


def runner_for(decoder: Decoder, kv_cache: KVCache, settings: EngineSettings) -> Runner:
    """Kernels and graphs on a CUDA device that has them, plain PyTorch everywhere else."""
    if not runs_kernels(decoder.device):
        return TorchRunner(decoder, kv_cache)
    from .paged_runner import PagedRunner

    runner = PagedRunner(decoder, kv_cache, settings)
    runner.warm_up()
    return runner


def runs_kernels(device: torch.device) -> bool:
    """Whether `device` is one that the Triton kernels are for, and Triton is there."""
    if device.type != "cuda" or find_spec("triton") is None:
        return False
    return torch.cuda.get_device_capability(device) >= _OLDEST_CAPABILITY
