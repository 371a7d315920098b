"""Limits of what a client may ask for, once and in a minute."""

import pytest
from api_harness import COMPLETIONS, saying
from asgi_client import Client, Json
from guarded_api import BLOCKED, BOTH_ROUTES, asking, guarded
from served_folders import ids_of

ANSWER = saying("yes it is")
HELLO = {"prompt": "hello", "max_tokens": 20}
SLOW = {"requests_per_minute": 1, "burst_requests": 2}


async def statuses(api: Client, *headers: Json) -> list[int]:
    return [(await api.post(COMPLETIONS, HELLO, each)).status for each in headers]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("route", BOTH_ROUTES)
async def test_more_requests_than_a_minute_has_are_told_when_to_come(
    route: str, *, stream: bool
) -> None:
    api, link = guarded(ANSWER, rate=SLOW)
    body = asking(route, "hello", stream=stream)
    answers = [await api.post(route, body) for _ in range(3)]
    assert [each.status for each in answers] == [200, 200, 429]
    error = answers[2].json()["error"]
    assert (error["code"], error["type"]) == ("rate_limit_exceeded", "rate_limit_error")
    assert 1 <= int(answers[2].headers["retry-after"]) <= 60
    assert len(link.streams) == 2


async def test_limits_hold_for_each_checked_key() -> None:
    api, _ = guarded(ANSWER, rate=SLOW)
    first, second = {"x-checked-key": "a"}, {"x-checked-key": "b"}
    assert await statuses(api, first, first, first, second, {}) == [200, 200, 429, 200, 200]


async def test_a_token_that_nobody_checks_is_no_way_around() -> None:
    api, _ = guarded(ANSWER, rate=SLOW)
    headers = [{"authorization": f"Bearer {number}"} for number in range(3)]
    assert await statuses(api, *headers) == [200, 200, 429]


@pytest.mark.parametrize("stream", [False, True])
async def test_what_was_not_used_comes_back(*, stream: bool) -> None:
    used = len(ids_of("hello")) + len(ids_of("yes it is"))
    burst = len(ids_of("hello")) + 20 + 2 * used
    api, _ = guarded(ANSWER, rate={"tokens_per_minute": 1, "burst_tokens": burst})
    body = HELLO | {"stream": stream}
    # Each takes its 20 tokens beforehand; after three there are fewer left.
    assert [(await api.post(COMPLETIONS, body)).status for _ in range(4)] == [200, 200, 200, 429]


async def test_what_the_engine_did_not_take_comes_back_whole() -> None:
    burst = len(ids_of("hello")) + 20
    api, link = guarded(ANSWER, rate={"tokens_per_minute": 1, "burst_tokens": burst})
    link.down = True
    assert await statuses(api, {}, {}) == [503, 503]
    link.down = False
    assert await statuses(api, {}, {}) == [200, 429]


async def test_every_choice_counts_and_a_prompt_once() -> None:
    taken = len(ids_of("hello")) + 3 * 20
    for lacking in (0, 1):
        rate = {"tokens_per_minute": 1, "burst_tokens": taken - lacking}
        api, _ = guarded(ANSWER, rate=rate)
        answer = await api.post(COMPLETIONS, HELLO | {"n": 3})
        assert answer.status == (429 if lacking else 200)
        if lacking:
            # It would never fit: nobody is told to come again.
            assert "retry-after" not in answer.headers
            assert answer.headers["x-should-retry"] == "false"


LIMITS = {"max_tokens": 30, "n": 2, "stop": 1, "prompt_tokens": 8, "body_bytes": 300}


@pytest.mark.parametrize("route", BOTH_ROUTES)
@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"max_tokens": 31}, "max_tokens"),
        ({"max_completion_tokens": 31}, "max_tokens"),
        ({"n": 3}, "n"),
        ({"stop": ["a", "b"]}, "stop"),
    ],
)
async def test_larger_requests_are_refused_by_their_field(
    route: str, fields: Json, param: str
) -> None:
    api, link = guarded(ANSWER, limits=LIMITS)
    answer = await api.post(route, asking(route, "hi", **fields))
    assert (answer.status, answer.json()["error"]["param"]) == (400, param)
    assert link.streams == []


async def test_long_prompts_and_bodies_are_refused() -> None:
    api, link = guarded(ANSWER, limits=LIMITS)
    many = await api.post(COMPLETIONS, {"prompt": ["hi", "one two three " * 5]})
    assert (many.status, many.json()["error"]["param"]) == (400, "prompt")
    assert (await api.post(COMPLETIONS, {"prompt": "a" * 400})).status == 413
    assert link.streams == []


@pytest.mark.parametrize("route", BOTH_ROUTES)
async def test_a_length_that_is_not_given_stays_within_the_limit(route: str) -> None:
    for most, wanted in ((5, 5), (400, 16)):
        api, link = guarded(ANSWER, limits={"max_tokens": most})
        assert (await api.post(route, asking(route, "hi"))).status == 200
        length = link.streams[0].submit.max_tokens
        assert length == (wanted if route == COMPLETIONS else most)


@pytest.mark.parametrize(
    ("counted", "refused", "after"), [(True, [400, 400, 429], 429), (False, [400] * 3, 200)]
)
async def test_a_blocked_prompt_counts_as_a_request_where_that_is_set(
    refused: list[int], after: int, *, counted: bool
) -> None:
    api, _ = guarded(ANSWER, rate={**SLOW, "count_blocked": counted})
    answers = [await api.post(COMPLETIONS, {"prompt": BLOCKED}) for _ in range(3)]
    assert [each.status for each in answers] == refused
    assert await statuses(api, {}) == [after]
