"""A step's input gets to the device whole, by the kernel and by the copy engine."""

import pytest
import torch
from prodtop.engine.kernels.common.intake import take_in

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize("count", [1, 1000, 1024, 2048, 2049, 5000])
def test_all_words_arrive_and_nothing_behind_them(count: int) -> None:
    source = torch.arange(1, count + 65, dtype=torch.int32)
    if DEVICE.type == "cuda":
        source = source.pin_memory()
    memory = torch.zeros(count + 64, dtype=torch.int32, device=DEVICE)
    take_in(source[:count], memory[:count])
    assert memory[:count].tolist() == list(range(1, count + 1))
    assert not memory[count:].any()
