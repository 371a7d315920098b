"""The limit of an open loop's queue: never exceeded, whatever comes."""

import tracemalloc

from hypothesis import given
from hypothesis import strategies as st
from prodtop.engine.load.queue_limit import TOKEN_BYTES, QueueLimit, QueueSize
from prodtop.engine.protocol import LoadSpec


@given(
    st.integers(1, 50),
    st.floats(0.001, 1.0),
    st.lists(st.integers(1, 5000), max_size=80),
)
def test_a_queue_never_grows_beyond_its_limit(most: int, mib: float, prompts: list[int]) -> None:
    limit = QueueLimit.of(LoadSpec(rate_per_s=1.0, max_waiting=most, max_waiting_mib=mib))
    assert limit is not None
    queue = QueueSize(0, 0)
    for tokens in prompts:
        room, takes = limit.room(queue, tokens), limit.takes(queue, tokens)
        assert takes is bool(room)
        if not takes:
            continue
        queue = QueueSize(queue.requests + 1, queue.tokens + tokens)
        assert queue.requests <= most
        assert room == most - queue.requests + 1
        # A single request is served whatever its size.
        assert queue.bytes <= mib * 2**20 or queue.requests == 1


def test_a_closed_loop_has_no_limit() -> None:
    assert QueueLimit.of(LoadSpec(users=5, max_waiting=1)) is None


def test_the_bytes_of_a_token_are_those_of_two_lists() -> None:
    prompt = list(range(100_000, 200_000))
    tracemalloc.start()
    try:
        kept = [list(prompt), list(prompt)]
        size, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(kept) == 2
    assert abs(size / len(prompt) - TOKEN_BYTES) < 0.1
