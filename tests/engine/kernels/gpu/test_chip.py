"""The number that launches are cut by is the device's own."""

import pytest
import torch
from prodtop.engine.kernels.gpu.processors import OF_A_LARGE_GPU, multiprocessors


def test_without_a_gpu_plans_are_those_of_a_large_one() -> None:
    assert multiprocessors(torch.device("cpu")) == OF_A_LARGE_GPU


@pytest.mark.gpu
def test_a_gpu_is_asked() -> None:
    pynvml = pytest.importorskip("pynvml")
    pynvml.nvmlInit()
    try:
        cores = pynvml.nvmlDeviceGetNumGpuCores(pynvml.nvmlDeviceGetHandleByIndex(0))
    finally:
        pynvml.nvmlShutdown()
    each, rest = divmod(cores, multiprocessors(torch.device("cuda", 0)))
    assert (each in {64, 128}, rest) == (True, 0), "what a multiprocessor of NVIDIA's has"
