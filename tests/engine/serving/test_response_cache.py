"""The response cache: exact keys, least recently used out first, bounded in bytes and in age."""

import gc
import tracemalloc
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prodtop.engine.protocol import PrecisionName
from prodtop.engine.serving.request import Request, Sampling
from prodtop.engine.serving.response_cache import CachedResponse, ResponseCache, ResponseKey

GREEDY = Sampling()
ANSWER = CachedResponse.of([5, 6, 7], "five six seven", "stop")


def request_for(
    prompt: list[int],
    *,
    sampling: Sampling = GREEDY,
    max_tokens: int = 16,
    stop_token_ids: frozenset[int] = frozenset(),
    stop_strings: tuple[str, ...] = (),
    ignore_eos: bool = False,
) -> Request:
    return Request(
        request_id=0,
        prompt_tokens=prompt,
        max_tokens=max_tokens,
        sampling=sampling,
        arrival_at_s=0.0,
        stop_token_ids=stop_token_ids,
        stop_strings=stop_strings,
        ignore_eos=ignore_eos,
    )


def key_of(request: Request, precision: PrecisionName = PrecisionName.FP32) -> ResponseKey:
    key = ResponseKey.of(request, "model", precision)
    assert key is not None
    return key


def key(number: int) -> ResponseKey:
    return key_of(request_for([number]))


def size_of(answer: CachedResponse) -> int:
    """What one entry with this answer takes."""
    cache = ResponseCache(1 << 20, 60.0)
    cache.put(key(0), answer, 0.0)
    return cache.bytes_used


# Keys


@pytest.mark.parametrize(
    "other",
    [
        request_for([1, 2, 4]),
        request_for([1, 2]),
        request_for([1, 2, 3], max_tokens=17),
        request_for([1, 2, 3], sampling=Sampling(temperature=0.5, seed=1)),
        request_for([1, 2, 3], stop_token_ids=frozenset({9})),
        request_for([1, 2, 3], stop_strings=("end",)),
        request_for([1, 2, 3], ignore_eos=True),
    ],
)
def test_whatever_decides_the_answer_is_in_the_key(other: Request) -> None:
    assert key_of(request_for([1, 2, 3])) != key_of(other)


def test_model_and_precision_are_in_the_key() -> None:
    asked = key_of(request_for([1]))
    assert asked == key_of(request_for([1]))
    assert asked != key_of(request_for([1]), PrecisionName.INT8)
    assert asked != replace(asked, model="another")


def test_the_same_seed_is_the_same_answer() -> None:
    sampling = Sampling(temperature=0.8, top_p=0.9, seed=4)
    assert key_of(request_for([1], sampling=sampling)) == key_of(
        request_for([1], sampling=replace(sampling))
    )
    assert key_of(request_for([1], sampling=sampling)) != key_of(
        request_for([1], sampling=replace(sampling, seed=5))
    )


def test_greedy_is_greedy_whatever_else_is_set() -> None:
    assert key_of(request_for([1], sampling=Sampling(top_p=0.5, top_k=3, seed=7))) == key(1)


def test_a_request_that_may_be_answered_differently_has_no_key() -> None:
    request = request_for([1], sampling=Sampling(temperature=0.8))
    assert ResponseKey.of(request, "model", PrecisionName.FP32) is None


# Finding and forgetting


def test_an_answer_comes_back_as_it_was() -> None:
    cache = ResponseCache(1 << 20, 60.0)
    assert cache.get(key(1), 0.0) is None
    assert cache.put(key(1), ANSWER, 0.0)
    found = cache.get(key(1), 1.0)
    assert found is not None
    assert (found.output_tokens, found.text, found.finish_reason) == (
        [5, 6, 7],
        "five six seven",
        "stop",
    )
    assert (cache.hits, cache.lookups, cache.entries) == (1, 2, 1)


def test_an_answer_is_gone_when_its_time_is_over() -> None:
    cache = ResponseCache(1 << 20, ttl_s=10.0)
    cache.put(key(1), ANSWER, 0.0)
    assert cache.get(key(1), 9.9) is not None
    assert cache.get(key(1), 10.0) is None, "a hit does not renew it"
    assert (cache.entries, cache.bytes_used) == (0, 0)


def test_the_least_recently_used_answer_makes_room() -> None:
    cache = ResponseCache(3 * size_of(ANSWER), 60.0)
    for number in (1, 2, 3):
        cache.put(key(number), ANSWER, 0.0)
    cache.get(key(1), 1.0)
    cache.put(key(4), ANSWER, 2.0)
    assert [cache.get(key(number), 3.0) is not None for number in (1, 2, 3, 4)] == [
        True,
        False,
        True,
        True,
    ]


def test_an_answer_replaces_the_one_before() -> None:
    cache = ResponseCache(1 << 20, ttl_s=10.0)
    cache.put(key(1), ANSWER, 0.0)
    cache.put(key(1), replace(ANSWER, text="other"), 5.0)
    found = cache.get(key(1), 12.0)
    assert found is not None
    assert found.text == "other"
    assert cache.entries == 1
    assert cache.bytes_used == size_of(found)


def test_what_is_larger_than_the_cache_is_refused_and_pushes_nothing_out() -> None:
    cache = ResponseCache(2 * size_of(ANSWER), 60.0)
    cache.put(key(1), ANSWER, 0.0)
    assert not cache.put(key(2), replace(ANSWER, text="x" * 10_000), 0.0)
    assert cache.get(key(2), 0.0) is None
    assert cache.get(key(1), 0.0) is not None


def test_clearing_forgets_answers_and_keeps_the_counters() -> None:
    cache = ResponseCache(1 << 20, 60.0)
    cache.put(key(1), ANSWER, 0.0)
    cache.get(key(1), 0.0)
    cache.clear()
    assert (cache.entries, cache.bytes_used) == (0, 0)
    assert (cache.hits, cache.lookups) == (1, 1)
    assert cache.get(key(1), 0.0) is None


# Bytes


@pytest.mark.parametrize("length", [10, 200])
@pytest.mark.parametrize("seeded", [False, True])
def test_bytes_used_is_what_the_interpreter_allocated(length: int, seeded: bool) -> None:
    gc.collect()
    tracemalloc.start()
    try:
        cache = ResponseCache(1 << 30, 60.0)
        before, _ = tracemalloc.get_traced_memory()
        for number in range(1000):
            sampling = Sampling(0.7, seed=number) if seeded else GREEDY
            request = request_for([number + 1000] * length, sampling=sampling)
            answer = CachedResponse.of(range(length), f"{number:0{4 * length}}", "length")
            cache.put(key_of(request), answer, float(number) / 1000)
        del request, answer, sampling
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert cache.entries == 1000
    assert cache.bytes_used == pytest.approx(after - before, rel=0.15)


@settings(deadline=None)
@given(
    operations=st.lists(
        st.tuples(
            st.booleans(),
            st.integers(0, 5),
            st.integers(0, 400),
            st.floats(0.0, 4.0),
        ),
        max_size=40,
    )
)
def test_the_bounds_hold_and_what_is_found_is_the_newest(
    operations: list[tuple[bool, int, int, float]],
) -> None:
    """Against a dictionary that forgets nothing: a hit is its newest answer, and young enough."""
    limit_bytes, ttl_s, now_s = 2500, 10.0, 0.0
    cache = ResponseCache(limit_bytes, ttl_s)
    stored: dict[int, tuple[CachedResponse, float]] = {}
    for is_put, number, length, passed_s in operations:
        now_s += passed_s
        if is_put:
            answer = CachedResponse.of(range(length), "x" * length, "stop")
            if cache.put(key(number), answer, now_s):
                stored[number] = (answer, now_s)
                assert cache.get(key(number), now_s) == answer
            else:
                assert size_of(answer) > limit_bytes
                stored.pop(number, None)
        elif (found := cache.get(key(number), now_s)) is not None:
            answer, at_s = stored[number]
            assert found == answer
            assert now_s < at_s + ttl_s
        assert 0 <= cache.bytes_used <= limit_bytes
        assert (cache.bytes_used == 0) == (cache.entries == 0)
