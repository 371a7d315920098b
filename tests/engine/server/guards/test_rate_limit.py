"""Token buckets against a count of what was admitted, and the limits of one request."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prodtop.engine.server.guards.rate_limit import Denied, RateLimiter
from prodtop.engine.server.guards.request_limits import check_body, check_request
from prodtop.engine.server.guards.settings import LimitSettings, RateSettings


def test_a_key_gets_its_burst_and_then_its_rate() -> None:
    limiter = RateLimiter(RateSettings(requests_per_minute=30, burst_requests=3))
    assert [limiter.admit("a", 1, 0.0) for _ in range(3)] == [None] * 3
    assert limiter.admit("a", 1, 0.0) == Denied("requests", 2)
    assert limiter.admit("b", 1, 0.0) is None
    assert limiter.admit("a", 1, 1.9) == Denied("requests", 1)
    assert limiter.admit("a", 1, 2.0) is None
    assert (limiter.allowed, limiter.denied) == (5, 2)


def test_tokens_that_were_not_used_come_back() -> None:
    limiter = RateLimiter(RateSettings(tokens_per_minute=600))
    assert limiter.admit("a", 600, 0.0) is None
    assert limiter.admit("a", 100, 0.0) == Denied("tokens", 10)
    limiter.settle("a", taken=600, used=450, now_s=0.0)
    assert limiter.admit("a", 100, 0.0) is None
    limiter.settle("a", taken=100, used=200, now_s=0.0)
    assert limiter.admit("a", 1, 0.0) == Denied("tokens", 6)


def test_what_never_fits_has_no_time_to_come_again() -> None:
    limiter = RateLimiter(RateSettings(tokens_per_minute=600))
    assert limiter.admit("a", 601, 0.0) == Denied("tokens", None)
    assert limiter.admit("a", 600, 0.0) is None


def test_without_limits_all_are_admitted() -> None:
    limiter = RateLimiter(RateSettings())
    assert all(limiter.admit("a", 10**9, 0.0) is None for _ in range(100))


def test_keys_are_bounded() -> None:
    limiter = RateLimiter(RateSettings(requests_per_minute=1, most_keys=10))
    for key in range(1000):
        limiter.admit(str(key), 1, 0.0)
        assert limiter.keys <= 10


@given(
    steps=st.lists(st.tuples(st.floats(0, 30), st.integers(1, 50)), min_size=1, max_size=60),
    burst=st.integers(1, 20),
    burst_tokens=st.integers(1, 200),
)
def test_no_span_has_more_than_burst_and_rate(
    steps: list[tuple[float, int]], burst: int, burst_tokens: int
) -> None:
    settings = RateSettings(
        requests_per_minute=20,
        burst_requests=burst,
        tokens_per_minute=120,
        burst_tokens=burst_tokens,
    )
    limiter = RateLimiter(settings)
    now_s, admitted = 0.0, list[tuple[float, int]]()
    for wait_s, tokens in steps:
        now_s += wait_s
        denied = limiter.admit("a", tokens, now_s)
        if denied is None:
            admitted.append((now_s, tokens))
        elif denied.retry_after_s is not None:
            # Whoever waits as told is admitted, and a second less would not always do.
            now_s += denied.retry_after_s
            assert limiter.admit("a", tokens, now_s) is None
            admitted.append((now_s, tokens))
        else:
            assert tokens > burst_tokens
    for first, (begin_s, _) in enumerate(admitted):
        for last in range(first, len(admitted)):
            span_s = admitted[last][0] - begin_s
            taken = admitted[first : last + 1]
            assert len(taken) <= burst + span_s * 20 / 60 + 1e-6
            assert math.fsum(tokens for _, tokens in taken) <= burst_tokens + span_s * 2 + 1e-6


def test_a_clock_that_goes_back_gives_nothing() -> None:
    limiter = RateLimiter(RateSettings(requests_per_minute=1))
    assert limiter.admit("a", 1, 100.0) is None
    assert limiter.admit("a", 1, 0.0) is not None
    assert limiter.admit("a", 1, 159.0) is not None
    assert limiter.admit("a", 1, 160.0) is None


@pytest.mark.parametrize(
    ("request_fields", "param"),
    [
        ({"prompt_tokens": 10, "max_tokens": 5}, None),
        ({"prompt_tokens": 10, "max_tokens": None}, None),
        ({"prompt_tokens": 11, "max_tokens": 5}, "prompt"),
        ({"prompt_tokens": 10, "max_tokens": 6}, "max_tokens"),
        ({"prompt_tokens": 10, "max_tokens": 5, "n": 3}, "n"),
        ({"prompt_tokens": 10, "max_tokens": 5, "stop": 2}, "stop"),
    ],
)
def test_limits_of_a_request(request_fields: dict[str, int], param: str | None) -> None:
    settings = LimitSettings(prompt_tokens=10, max_tokens=5, n=2, stop=1, body_bytes=100)
    over = check_request(settings, **request_fields)
    assert (over and over.param) == param
    assert over is None or over.param in over.message


def test_limits_of_a_body() -> None:
    assert check_body(100, LimitSettings(body_bytes=100)) is None
    over = check_body(101, LimitSettings(body_bytes=100))
    assert over is not None
    assert over.param == "body"
