"""Streams: the order of their chunks, what keeps them alive, and clients that go or do not read."""

import asyncio

import pytest
from api_harness import CHAT, COMPLETIONS, HELLO, finish_reasons, saying, scripted
from asgi_client import Json
from prodtop.engine.protocol.served import Output
from prodtop.engine.server.engine_link import EngineDownError, RefusedError
from prodtop.engine.server.limits import Limits
from scripted_link import ScriptedLink, Told, outputs
from served_folders import ids_of

BODIES: dict[str, Json] = {COMPLETIONS: {"prompt": "hello", "max_tokens": 30}, CHAT: HELLO}
BOTH = pytest.mark.parametrize("path", BODIES)
STREAM = {"stream": True}
USAGE = {"stream": True, "stream_options": {"include_usage": True}}


def silence() -> list[Told]:
    """Some tokens, and then nothing for ever."""
    return [Output(key=0, token_ids=ids_of("one two")), asyncio.Event()]


async def until_aborted(link: ScriptedLink) -> list[str | None]:
    """Why each request was aborted."""
    for stream in link.streams:
        await asyncio.wait_for(stream.ended.wait(), 30)
    return [stream.abort_reason for stream in link.streams]


async def test_the_chunks_of_a_chat_come_in_the_order_of_every_server() -> None:
    api, _ = scripted(saying("one two"))
    answer = await api.post(CHAT, HELLO | USAGE)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert b"id:" not in answer.body.replace(b'"id":', b"")
    events = answer.events()
    parts = [event["choices"][0] for event in events[:-1]]
    assert parts[0]["delta"] == {"role": "assistant", "content": ""}
    assert [part["delta"].get("content") for part in parts[1:-1]] == ["one", " two"]
    assert [part["finish_reason"] for part in parts] == [None, None, None, "length"]
    assert parts[-1]["delta"] == {}
    assert events[-1]["choices"] == []
    usage = events[-1]["usage"]
    assert (usage["completion_tokens"], usage["total_tokens"] - usage["prompt_tokens"]) == (2, 2)
    assert usage["prompt_tokens_details"] == {"cached_tokens": 3}
    assert usage["completion_tokens_details"] == {"reasoning_tokens": 0}
    assert len({(event["id"], event["created"], event["model"]) for event in events}) == 1
    assert {event["object"] for event in events} == {"chat.completion.chunk"}


async def test_the_chunks_of_a_completion_are_texts_and_an_end() -> None:
    api, _ = scripted(saying("one two"))
    events = (await api.post(COMPLETIONS, {"prompt": "a"} | STREAM)).events()
    assert [event["choices"][0]["text"] for event in events] == ["one", " two", ""]
    assert finish_reasons(events) == ["length"]
    assert not any("usage" in event for event in events)


@BOTH
async def test_usage_is_in_each_chunk_where_it_is_asked_for(path: str) -> None:
    api, _ = scripted(saying("one two three"))
    options = {
        "stream": True,
        "stream_options": {"include_usage": True, "continuous_usage_stats": True},
    }
    events = (await api.post(path, BODIES[path] | options)).events()
    counts = [event["usage"]["completion_tokens"] for event in events]
    assert counts == sorted(counts)
    assert (counts[0] <= 1, counts[-1]) == (True, 3)
    assert all(e["usage"]["total_tokens"] > e["usage"]["completion_tokens"] for e in events)


@BOTH
@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("stream", [True, False])
async def test_a_client_that_goes_ends_its_requests(path: str, n: int, stream: bool) -> None:
    api, link = scripted(silence())
    call = api.begin("POST", path, BODIES[path] | {"n": n, "stream": stream})
    while len(link.streams) < n:
        await asyncio.sleep(0)
    if stream:
        await call.first_piece()
    call.leave()
    await call.done()
    assert await until_aborted(link) == ["disconnected"] * n
    assert b"[DONE]" not in call.answer.body


async def test_a_client_that_goes_before_the_first_token_ends_its_request() -> None:
    api, link = scripted([asyncio.Event()])
    call = api.begin("POST", CHAT, HELLO | STREAM)
    while not link.streams:
        await asyncio.sleep(0)
    call.leave()
    await call.done()
    assert await until_aborted(link) == ["disconnected"]
    assert call.answer.status == 0


@BOTH
async def test_a_client_that_stays_to_the_end_aborts_nothing(path: str) -> None:
    api, link = scripted(saying("one two"))
    for more in ({}, STREAM, {"n": 2}, STREAM | {"n": 2}):
        assert (await api.post(path, BODIES[path] | more)).status == 200
    assert {stream.abort_reason for stream in link.streams} == {None}


async def test_comments_keep_a_silent_stream_alive() -> None:
    limits = Limits(keep_alive_s=0.02, first_output_s=0.01)
    silent = asyncio.Event()
    api, _ = scripted([silent, *saying("one two")], limits=limits)
    call = await api.begin("POST", CHAT, HELLO | STREAM).first_piece()
    assert call.answer.pieces[0].startswith(b":")
    silent.set()
    answer = await call.done()
    assert [e["choices"][0]["delta"].get("content") for e in answer.events()] == [
        "", "one", " two", None
    ]  # fmt: skip


async def test_a_client_that_does_not_read_is_given_up() -> None:
    limits = Limits(keep_alive_s=0.02, slow_reader_s=0.05)
    api, link = scripted(saying("one two three"), limits=limits)

    async def never(_: bytes) -> None:
        await asyncio.Event().wait()

    call = api.begin("POST", CHAT, HELLO | STREAM, on_piece=never)
    await call.done()
    assert await until_aborted(link) == ["slow reader"]


FAILURES = [
    (Output(key=0, finish_reason="error", error="no memory"), 500, "no memory"),
    (Output(key=0, finish_reason="abort"), 503, "ended by the engine"),
    (EngineDownError("the worker has gone"), 503, "the worker has gone"),
    (RefusedError("it cannot be", "logit_bias"), 400, "it cannot be"),
]
FAILING = pytest.mark.parametrize(("failure", "status", "words"), FAILURES)


@BOTH
@FAILING
@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("stream", [True, False])
async def test_a_failure_before_the_first_token_has_its_status(
    path: str, failure: Told, status: int, words: str, n: int, stream: bool
) -> None:
    api, link = scripted([failure])
    answer = await api.post(path, BODIES[path] | {"n": n, "stream": stream})
    assert answer.status == status
    assert words in answer.json()["error"]["message"]
    assert ("retry-after" in answer.headers) is (status == 503)
    assert all(stream.ended.is_set() or failure in stream.script for stream in link.streams)


@BOTH
@FAILING
@pytest.mark.parametrize("n", [1, 2])
async def test_a_failure_in_mid_stream_is_a_chunk_and_the_stream_ends(
    path: str, failure: Told, status: int, words: str, n: int
) -> None:
    del status
    api, _ = scripted([*outputs(ids_of("one two"))[:1], failure])
    answer = await api.post(path, BODIES[path] | STREAM | {"n": n})
    events = answer.events()
    assert answer.status == 200
    assert words in events[-1]["error"]["message"]
    assert finish_reasons(events[:-1]) == []


async def test_what_fails_one_choice_ends_the_others() -> None:
    made: list[int] = []

    def script(_: object) -> list[Told]:
        made.append(1)
        return [EngineDownError("gone")] if len(made) == 2 else silence()

    api, link = scripted(script)
    answer = await api.post(CHAT, HELLO | {"n": 3})
    assert answer.status == 503
    assert [stream.abort_reason for stream in link.streams if stream.script[0] != stream.script[-1]]
    assert link.streams[0].abort_reason == link.streams[2].abort_reason == "failed"


async def test_a_refusal_after_a_long_wait_comes_in_the_stream() -> None:
    late = asyncio.Event()
    api, _ = scripted(
        [late, RefusedError("too large", "max_tokens")], limits=Limits(first_output_s=0.01)
    )
    call = api.begin("POST", CHAT, HELLO | STREAM)
    while call.answer.status == 0:
        await asyncio.sleep(0)
    late.set()
    events = (await call.done()).events()
    assert events[-1]["error"]["code"] == "context_length_exceeded"


@BOTH
@pytest.mark.parametrize("by", ["header", "body"])
async def test_times_are_told_on_request(path: str, by: str) -> None:
    api, _ = scripted(saying("one two three four five"))
    headers = {"x-prodtop-metrics": "true"} if by == "header" else {}
    body = BODIES[path] | ({"include_metrics": True} if by == "body" else {})
    expected = {
        "time_to_first_token_ms": pytest.approx(100),
        "generation_time_ms": pytest.approx(400),
        "queue_time_ms": pytest.approx(20),
        "mean_itl_ms": pytest.approx(100),
        "tokens_per_second": pytest.approx(5 / 0.47),
        "e2e_latency_ms": pytest.approx(500),
    }
    assert (await api.post(path, body, headers)).json()["metrics"] == expected
    for options in (STREAM, USAGE):
        events = (await api.post(path, body | options, headers)).events()
        assert events[-1]["metrics"] == expected
        assert not any("metrics" in event for event in events[:-1])
    assert "metrics" not in (await api.post(path, BODIES[path])).json()


async def test_times_of_a_text_that_a_stop_string_ended_are_not_known() -> None:
    api, _ = scripted(saying("one two three"))
    body = {"prompt": "a", "stop": "two", "include_metrics": True}
    assert set((await api.post(COMPLETIONS, body)).json()["metrics"].values()) == {None}
