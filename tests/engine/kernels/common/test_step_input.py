"""A step's input gets to the device whole, and its tokens, known or carried, are embedded."""

import pytest
import torch
import torch.nn.functional as F
from prodtop.engine.kernels.common.step_input import copy_step_input, embed_tokens

DEVICE = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
VOCABULARY = 50


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("width", [1, 96, 1500])
@pytest.mark.parametrize("rows", [1, 7])
def test_rows_take_their_own_token_or_the_one_that_was_sampled(
    rows: int, width: int, dtype: torch.dtype
) -> None:
    source = torch.Generator().manual_seed(rows * width)
    table = torch.randn(VOCABULARY, width, generator=source).to(DEVICE, dtype)
    sampled = torch.randint(VOCABULARY, (4,), generator=source).to(DEVICE)
    tokens = torch.randint(VOCABULARY, (rows,), generator=source).int().to(DEVICE)
    carried = torch.tensor([-1, 3, 0, -1, 2, 1, 3][:rows], dtype=torch.int32, device=DEVICE)
    expected = torch.where(carried >= 0, sampled[carried.long().clamp(min=0)], tokens.long())
    assert torch.equal(embed_tokens(tokens, carried, sampled, table), F.embedding(expected, table))


def test_a_row_without_a_token_reads_no_memory_but_the_tables() -> None:
    table = torch.randn(VOCABULARY, 8, device=DEVICE)
    tokens = torch.tensor([0], dtype=torch.int32, device=DEVICE)
    carried = torch.tensor([0], dtype=torch.int32, device=DEVICE)
    broken = torch.tensor([-1], device=DEVICE)
    assert torch.equal(embed_tokens(tokens, carried, broken, table), table[:1])


@pytest.mark.parametrize("count", [1, 1000, 1024, 2048, 2049, 5000])
def test_all_words_of_an_input_arrive_and_nothing_behind_them(count: int) -> None:
    source = torch.arange(1, count + 65, dtype=torch.int32)
    if DEVICE.type == "cuda":
        source = source.pin_memory()
    memory = torch.zeros(count + 64, dtype=torch.int32, device=DEVICE)
    copy_step_input(source[:count], memory[:count])
    assert memory[:count].tolist() == list(range(1, count + 1))
    assert not memory[count:].any()
