"""A step's embeddings, of known tokens and of carried ones."""

import pytest
import torch
import torch.nn.functional as F
from prodtop.engine.kernels.common.embedding import embed_tokens

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
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
