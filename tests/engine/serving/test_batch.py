"""From a step's plan to tensors: the order of rows, their KV slots, and what is sampled."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from prodtop.engine.ops.torch_attention import paged_attention
from prodtop.engine.serving.batch import Batch, BatchBuilder, GroupBounds
from prodtop.engine.serving.kv_cache import BLOCK_TOKENS
from prodtop.engine.serving.request import Request, Sampling
from prodtop.engine.serving.step_plan import Chunk

CPU = torch.device("cpu")


def chunk(
    number: int, start: int, count: int, *, tokens: int | None = None, ghost: bool = False
) -> Chunk:
    """A chunk of a request whose token at position `p` is `1000 · number + p`.

    Its blocks are far apart and in falling order. `tokens` is how many it has, by default no more
    than the chunk reaches.
    """
    length = start + count if tokens is None else tokens
    request = Request(number, [1000 * number + p for p in range(length)], 9, Sampling(), 0.0)
    blocks = -(-length // BLOCK_TOKENS)
    request.block_ids = [100 * number + 50 - block for block in range(blocks)]
    return Chunk(request, count, start, ghost, not ghost and start + count == length)


def build(*chunks: Chunk, heads_per_kv: int = 1) -> Batch:
    return BatchBuilder(heads_per_kv, CPU, torch.float32).build(chunks)


def numbers(chunks: list[Chunk]) -> list[int]:
    return [each.request.request_id for each in chunks]


def test_single_tokens_come_first_then_chunks_from_short_to_long() -> None:
    batch = build(chunk(1, 0, 30), chunk(2, 7, 1), chunk(3, 4, 5), chunk(4, 0, 1))
    assert numbers(batch.chunks) == [2, 4, 3, 1]
    assert batch.step.tokens.tolist() == [
        2007,
        4000,
        *range(3004, 3009),
        *range(1000, 1030),
    ]
    assert batch.step.positions.tolist() == [7, 0, *range(4, 9), *range(30)]


def test_a_row_is_written_to_the_slot_of_its_position() -> None:
    batch = build(chunk(1, BLOCK_TOKENS + 3, 1), chunk(2, BLOCK_TOKENS - 2, 4))
    assert batch.step.slots.tolist() == [
        149 * BLOCK_TOKENS + 3,
        250 * BLOCK_TOKENS + 14,
        250 * BLOCK_TOKENS + 15,
        249 * BLOCK_TOKENS,
        249 * BLOCK_TOKENS + 1,
    ]


def test_only_chunks_that_reach_the_newest_token_are_sampled() -> None:
    batch = build(
        chunk(1, 0, 4, tokens=10),
        chunk(2, 5, 1),
        chunk(3, 5, 1, tokens=9),
        chunk(4, 0, 6),
        chunk(5, 3, 1, ghost=True),
    )
    assert numbers(batch.chunks) == [2, 3, 5, 1, 4]
    assert numbers(batch.sampled) == [2, 4]
    # Three rows of one token, four of request 1, and the last of request 4's six.
    assert batch.sampled_rows.tolist() == [0, 12]


def test_a_step_may_sample_nothing() -> None:
    batch = build(chunk(1, 0, 4, tokens=10))
    assert batch.sampled == []
    assert batch.sampled_rows.shape == (0,)


def test_decode_rows_are_one_unpadded_group() -> None:
    batch = build(chunk(1, 0, 1), chunk(2, 40, 1), chunk(3, 16, 1))
    (group,) = batch.step.groups
    assert (group.sequences, group.queries, group.first) == (3, 1, 0)
    assert group.rows is None
    assert group.scatter is None
    assert group.block_table.view(3, 3).tolist() == [[150, 0, 0], [250, 249, 248], [350, 349, 0]]
    seen = (group.mask == 0).sum(-1).flatten().tolist()
    assert seen == [1, 41, 17]


def test_chunks_of_one_length_are_not_padded() -> None:
    batch = build(chunk(1, 0, 6), chunk(2, 3, 6), chunk(3, 1, 1))
    group = batch.step.groups[1]
    assert (group.sequences, group.queries, group.first) == (2, 6, 1)
    assert group.rows is None
    assert group.scatter is None


def test_padding_repeats_a_real_row_and_is_taken_out_again() -> None:
    batch = build(chunk(1, 0, 1), chunk(2, 0, 2), chunk(3, 0, 3))
    group = batch.step.groups[1]
    assert group.rows is not None
    assert group.scatter is not None
    assert group.rows.view(2, 3).tolist() == [[1, 2, 2], [3, 4, 5]]
    assert group.scatter.tolist() == [0, 1, 3, 4, 5]


def test_long_and_short_chunks_are_not_padded_to_each_other() -> None:
    batch = build(chunk(1, 0, 200), chunk(2, 0, 2), chunk(3, 0, 3))
    assert [(g.sequences, g.queries, g.first) for g in batch.step.groups] == [
        (2, 3, 0),
        (1, 200, 5),
    ]


@pytest.mark.parametrize("heads_per_kv", [1, 3])
def test_each_query_sees_itself_and_what_came_before(heads_per_kv: int) -> None:
    (group,) = build(chunk(1, 14, 4), heads_per_kv=heads_per_kv).step.groups
    assert group.mask.shape == (1, 1, 4 * heads_per_kv, 2 * BLOCK_TOKENS)
    assert set(group.mask.flatten().tolist()) == {0.0, float("-inf")}
    seen = (group.mask[0, 0] == 0).long()
    expected = [15 + query for query in range(4) for _ in range(heads_per_kv)]
    assert seen.sum(-1).tolist() == expected
    assert (seen.diff(dim=-1) <= 0).all(), "the keys that are seen come first"


CHUNKS = st.lists(
    st.tuples(st.integers(0, 40), st.one_of(st.just(1), st.integers(1, 60)), st.integers(0, 3)),
    min_size=1,
    max_size=9,
)


@settings(deadline=None, max_examples=80)
@given(CHUNKS)
def test_no_row_is_lost_doubled_or_padded_beyond_measure(
    spans: list[tuple[int, int, int]],
) -> None:
    chunks = [
        chunk(number, start, count, tokens=start + count + more)
        for number, (start, count, more) in enumerate(spans)
    ]
    batch = build(*chunks)
    expected = {
        (1000 * number + position, position)
        for number, (start, count, _) in enumerate(spans)
        for position in range(start, start + count)
    }
    rows = list(zip(batch.step.tokens.tolist(), batch.step.positions.tolist(), strict=True))
    assert len(rows) == len(expected)
    assert set(rows) == expected
    assert len(set(batch.step.slots.tolist())) == len(rows), "no two rows share a slot"

    covered = 0
    for group in batch.step.groups:
        assert group.first == covered
        padded = group.sequences * group.queries
        real = padded if group.scatter is None else len(group.scatter)
        if group.rows is not None and group.scatter is not None:
            picked = group.rows[group.scatter]
            assert picked.tolist() == list(range(covered, covered + real))
        covered += real
        assert padded <= 2 * real
        assert (group.mask == 0).any(-1).all(), "a query that sees nothing would be NaN"
    assert covered == len(rows)

    assert numbers(batch.sampled) == [
        each.request.request_id for each in batch.chunks if each.samples
    ]
    lasts = np.cumsum([each.num_tokens for each in batch.chunks]) - 1
    sampled = [last for last, each in zip(lasts, batch.chunks, strict=True) if each.samples]
    assert batch.sampled_rows.tolist() == sampled


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 90), st.one_of(st.just(1), st.integers(2, 80))),
        min_size=1,
        max_size=7,
    ),
    st.sampled_from([(1, 1), (2, 64), (4, 8)]),
    st.integers(0, 4000),
)
def test_groups_within_bounds_say_the_same(
    sizes: list[tuple[int, int]], shape: tuple[int, int], elements: int
) -> None:
    """However small the bounds are: no row is lost, and what is computed does not change."""
    heads_per_kv, kv_elements = shape
    chunks = [chunk(number, start, count) for number, (start, count) in enumerate(sizes, start=1)]
    whole = BatchBuilder(heads_per_kv, CPU, torch.float32).build(chunks)
    bounds = GroupBounds(elements, kv_elements)
    cut = BatchBuilder(heads_per_kv, CPU, torch.float32, bounds=bounds).build(chunks)
    for group in cut.step.groups:
        read = group.block_table.numel() * BLOCK_TOKENS * kv_elements
        assert group.sequences == 1 or read <= elements
        assert group.sequences == group.queries == 1 or group.mask.numel() <= elements
    blocks = 1 + max(int(group.block_table.max()) for group in whole.step.groups)
    source = torch.Generator().manual_seed(0)
    kv_blocks = torch.randn(blocks, BLOCK_TOKENS, 2, 2, 4, generator=source)
    q = torch.randn(len(whole.step.tokens), 2 * heads_per_kv, 4, generator=source)
    expected = paged_attention(q, kv_blocks, whole.step.groups)
    torch.testing.assert_close(paged_attention(q, kv_blocks, cut.step.groups), expected)
