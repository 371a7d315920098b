"""KV blocks: who gets which, what is found again, and what is evicted first."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prodtop.engine.serving.blocks import BlockCounts, BlockManager, PrefixStats
from prodtop.engine.serving.request import Request, Sampling


def request_for(tokens: Sequence[int], request_id: int = 0) -> Request:
    return Request(request_id, list(tokens), 8, Sampling(), arrival_at_s=0.0)


def compute(blocks: BlockManager, tokens: Sequence[int]) -> Request:
    """A request that holds blocks for `tokens` and has computed them all."""
    request = request_for(tokens)
    assert blocks.allocate(request)
    before, request.num_computed = request.num_computed, len(tokens)
    blocks.register(request, before)
    return request


def cached(num_blocks: int = 8, block_tokens: int = 4) -> BlockManager:
    return BlockManager(num_blocks, block_tokens, prefix_caching=True)


def plain(num_blocks: int = 8, block_tokens: int = 4) -> BlockManager:
    return BlockManager(num_blocks, block_tokens, prefix_caching=False)


# Taking and giving back


def test_a_request_gets_blocks_for_all_its_tokens() -> None:
    blocks = plain()
    request = request_for(range(9))
    assert blocks.allocate(request)
    assert len(set(request.block_ids)) == 3
    assert blocks.counts() == BlockCounts(total=8, running=3, evictable=0, free=5)


def test_what_does_not_fit_changes_nothing() -> None:
    blocks = plain(num_blocks=2)
    request = request_for(range(9))
    assert not blocks.allocate(request)
    assert request.block_ids == []
    assert blocks.counts() == BlockCounts(total=2, running=0, evictable=0, free=2)


def test_a_request_grows_block_by_block_until_none_is_left() -> None:
    blocks = plain(num_blocks=2)
    request = request_for(range(4))
    blocks.allocate(request)
    assert blocks.append_block(request)
    assert not blocks.append_block(request)
    assert len(request.block_ids) == 2


def test_released_blocks_are_free_again() -> None:
    blocks = plain()
    request = compute(blocks, range(9))
    blocks.release(request)
    assert request.block_ids == []
    assert blocks.counts() == BlockCounts(total=8, running=0, evictable=0, free=8)


def test_a_release_twice_is_one_release() -> None:
    blocks = plain()
    request = compute(blocks, range(9))
    blocks.release(request)
    blocks.release(request)
    assert blocks.counts().free == 8


@pytest.mark.parametrize(("num_blocks", "block_tokens"), [(0, 4), (4, 0)])
def test_there_must_be_something_to_hand_out(num_blocks: int, block_tokens: int) -> None:
    with pytest.raises(ValueError, match="at least one block"):
        BlockManager(num_blocks, block_tokens, prefix_caching=False)


# Finding a prefix


def test_a_computed_prefix_is_shared() -> None:
    blocks = cached()
    first = compute(blocks, range(9))
    second = request_for([0, 1, 2, 3, 4, 5, 6, 7, 50, 51])
    assert blocks.allocate(second)
    assert second.block_ids[:2] == first.block_ids[:2]
    assert second.num_computed == second.cached_prompt_tokens == 8
    assert [blocks.references(block_id) for block_id in first.block_ids] == [2, 2, 1]
    assert blocks.counts().running == 4


def test_the_last_token_is_never_taken_from_the_cache() -> None:
    blocks = cached()
    first = compute(blocks, range(8))
    assert blocks.match(range(8)) == first.block_ids[:1]
    assert blocks.match(range(9)) == first.block_ids


def test_a_prefix_outlives_its_request() -> None:
    blocks = cached()
    first = compute(blocks, range(9))
    held = list(first.block_ids)
    blocks.release(first)
    assert blocks.counts() == BlockCounts(total=8, running=0, evictable=2, free=6)
    assert blocks.match(range(9)) == held[:2]


def test_a_block_is_found_only_once_it_is_computed() -> None:
    blocks = cached()
    request = request_for(range(9))
    blocks.allocate(request)
    assert blocks.match(range(9)) == []
    request.num_computed = 7
    blocks.register(request)
    assert blocks.match(range(9)) == request.block_ids[:1]


def test_the_same_tokens_after_another_beginning_are_another_block() -> None:
    blocks = cached()
    compute(blocks, [1, 1, 1, 1, 5, 5, 5, 5, 9])
    assert blocks.match([2, 2, 2, 2, 5, 5, 5, 5, 9]) == []
    assert blocks.match([5, 5, 5, 5, 9]) == []


def test_two_that_compute_the_same_at_once_stay_apart() -> None:
    blocks = cached()
    first, second = request_for(range(9)), request_for(range(9), 1)
    for request in (first, second):
        blocks.allocate(request)
    assert not set(first.block_ids) & set(second.block_ids)
    for request in (first, second):
        request.num_computed = 9
        blocks.register(request)
    assert blocks.match(range(9)) == first.block_ids[:2]
    blocks.release(first)
    blocks.release(second)
    assert blocks.counts() == BlockCounts(total=8, running=0, evictable=2, free=6)


def test_without_prefix_caching_nothing_is_found() -> None:
    blocks = plain()
    compute(blocks, range(9))
    assert blocks.match(range(9)) == []


@settings(deadline=None)
@given(
    known=st.lists(st.lists(st.integers(0, 1), min_size=1, max_size=12), max_size=6),
    query=st.lists(st.integers(0, 1), min_size=1, max_size=12),
    block_tokens=st.integers(1, 4),
)
def test_the_longest_known_prefix_is_found(
    known: list[list[int]], query: list[int], block_tokens: int
) -> None:
    blocks = cached(num_blocks=100, block_tokens=block_tokens)
    for tokens in known:
        compute(blocks, tokens)
    ends = range(block_tokens, len(query), block_tokens)
    found = [end for end in ends if any(tokens[:end] == query[:end] for tokens in known)]
    assert len(blocks.match(query)) == len(found)


# Eviction


def test_free_blocks_are_taken_before_cached_ones() -> None:
    blocks = cached(num_blocks=4)
    blocks.release(compute(blocks, range(9)))
    compute(blocks, range(100, 107))
    assert len(blocks.match(range(9))) == 2


def test_the_least_recently_used_prefix_is_evicted_first() -> None:
    blocks = cached(num_blocks=4)
    old, new = range(5), range(100, 105)
    blocks.release(compute(blocks, old))
    blocks.release(compute(blocks, new))
    blocks.release(compute(blocks, old))
    compute(blocks, range(200, 212))
    assert len(blocks.match(old)) == 1
    assert blocks.match(new) == []


def test_a_sequence_is_evicted_from_its_end() -> None:
    blocks = cached(num_blocks=3)
    blocks.release(compute(blocks, range(12)))
    compute(blocks, range(100, 104))
    assert len(blocks.match(range(13))) == 2


def test_a_prefix_about_to_be_shared_does_not_count_as_room() -> None:
    blocks = cached(num_blocks=3)
    blocks.release(compute(blocks, range(8)))
    request = request_for([*range(8), *range(50, 57)])
    assert not blocks.allocate(request), "two cached blocks and two more do not fit into three"
    assert blocks.counts() == BlockCounts(total=3, running=0, evictable=2, free=1)


# Live switches


def test_switching_off_forgets_what_was_cached() -> None:
    blocks = cached()
    kept = compute(blocks, range(9))
    blocks.release(compute(blocks, range(100, 109)))
    blocks.set_prefix_caching(False)
    assert blocks.counts() == BlockCounts(total=8, running=3, evictable=0, free=5)
    blocks.release(kept)
    blocks.set_prefix_caching(True)
    assert blocks.counts().free == 8
    assert blocks.match(range(9)) == []


def test_switching_on_twice_keeps_what_is_cached() -> None:
    blocks = cached()
    compute(blocks, range(9))
    blocks.set_prefix_caching(True)
    assert len(blocks.match(range(9))) == 2


def test_dropped_content_is_not_found() -> None:
    blocks = cached()
    blocks.release(compute(blocks, range(9)))
    blocks.drop_cached()
    assert blocks.match(range(9)) == []
    assert blocks.counts().free == 8


def test_content_is_not_dropped_under_a_running_request() -> None:
    blocks = cached()
    compute(blocks, range(9))
    with pytest.raises(RuntimeError, match="preempt all requests"):
        blocks.drop_cached()


# Counters


def test_lookups_count_tokens_and_misses() -> None:
    blocks = cached()
    for tokens in (range(9), range(9), range(100, 106), range(3)):
        compute(blocks, tokens)
    assert blocks.prefix_stats == PrefixStats(
        lookups=4, queried_tokens=27, hit_tokens=8, misses=3, short_misses=1
    )


def test_a_prompt_of_one_block_is_too_short_for_a_hit() -> None:
    blocks = cached()
    compute(blocks, range(4))
    compute(blocks, range(4))
    assert blocks.prefix_stats.short_misses == 2
    compute(blocks, range(5))
    assert blocks.prefix_stats.hit_tokens == 4


def test_a_resumed_request_is_no_lookup() -> None:
    blocks = cached()
    request = compute(blocks, range(9))
    blocks.release(request)
    request.preemptions += 1
    assert blocks.allocate(request)
    assert request.num_computed == 8
    assert request.cached_prompt_tokens == 0
    assert blocks.prefix_stats.lookups == 1


def test_nothing_is_counted_without_prefix_caching() -> None:
    blocks = plain()
    compute(blocks, range(9))
    assert blocks.prefix_stats == PrefixStats()
