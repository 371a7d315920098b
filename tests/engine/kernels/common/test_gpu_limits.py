"""What launches are cut by is the device's own."""

import pytest
import torch

pytest.importorskip("triton")

from prodtop.engine.kernels.common.gpu_limits import HOPPER, gpu_limits


def test_without_a_gpu_plans_are_those_of_a_hopper() -> None:
    assert gpu_limits(torch.device("cpu")) == HOPPER


def test_a_loop_has_one_stage_more_than_lie_in_shared_memory() -> None:
    half = HOPPER.shared_bytes // 2
    assert HOPPER.stages(4, half) == 3
    assert HOPPER.stages(2, half) == 2
    assert HOPPER.stages(4, HOPPER.shared_bytes + 1) == 1


def test_a_loop_may_have_all_its_stages_in_shared_memory() -> None:
    half = HOPPER.shared_bytes // 2
    assert HOPPER.stages(4, half, outside=0) == 2
    assert HOPPER.stages(1, half, outside=0) == 1


@pytest.mark.gpu
def test_a_gpu_is_asked() -> None:
    device = torch.device("cuda", torch.cuda.current_device())
    told = torch.cuda.get_device_properties(device)
    chip = gpu_limits(device)
    assert chip.multiprocessors == told.multi_processor_count
    # Missing in torch's stubs.
    assert chip.shared_bytes == told.shared_memory_per_block_optin  # type: ignore[attr-defined]
    assert chip.dependent_launch == chip.bulk_tensors == (told.major >= 9)
