"""Where the master copy stays, and that it is the same copy wherever it is made."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from prodtop.engine.model.dummy import dummy_weights
from prodtop.engine.model.loading import load_model
from prodtop.engine.model.weight_memory import HOST, fits_device, master_device
from prodtop.engine.model.weights import MasterWeights
from prodtop.engine.shape.presets import PRESETS
from torch import Tensor

EIGHT_BILLION = PRESETS["llama-3.1-8b"]
GIB = 2**30


@pytest.mark.parametrize(
    ("parameters", "memory_gib", "stays"),
    [(8.03e9, 139, True), (8.03e9, 79, True), (8.03e9, 24, False), (70.6e9, 139, False)],
)
def test_a_bf16_master_stays_on_a_device_of_four_times_its_size(
    parameters: float, memory_gib: int, stays: bool
) -> None:
    assert fits_device(int(2 * parameters), memory_gib * GIB) is stays


def test_without_a_gpu_it_stays_on_the_host() -> None:
    assert master_device(EIGHT_BILLION, torch.bfloat16, HOST) == HOST


def tensors(master: MasterWeights) -> list[Tensor]:
    projections = [p.weight for p in master.projections() if hasattr(p, "weight")]
    return [master.embedding, master.head, *(n.weight for n in master.norms()), *projections]


@pytest.mark.gpu
def test_dummy_weights_are_the_same_on_every_device() -> None:
    config = replace(PRESETS["tinyllama-1.1b"], layers=2, vocabulary=512)
    cuda = torch.device("cuda", 0)
    here, there = (
        dummy_weights(config, torch.bfloat16),
        dummy_weights(config, torch.bfloat16, device=cuda),
    )
    for ours, theirs in zip(tensors(here), tensors(there), strict=True):
        assert theirs.device == cuda
        assert torch.equal(ours, theirs.cpu())


@pytest.mark.gpu
def test_a_small_checkpoint_is_read_onto_the_gpu(tiny_folder: Path) -> None:
    cuda = torch.device("cuda", 0)
    here = load_model(str(tiny_folder)).master
    there = load_model(str(tiny_folder), device=cuda).master
    for ours, theirs in zip(tensors(here), tensors(there), strict=True):
        assert theirs.device == cuda
        assert torch.equal(ours, theirs.cpu())
