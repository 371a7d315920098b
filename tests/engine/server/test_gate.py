"""The outermost layer: what it counts, and what it lets through while the server ends."""

import asyncio
import json
from collections.abc import Awaitable, Callable

import pytest
from prodtop.engine.server.gate import AsgiApp, AsgiMessage, Gate, Receive, Send
from prodtop.engine.server.http_counters import HttpCounters
from prodtop.engine.server.scope_keys import BROKEN_OFF, ERROR_CODE
from prodtop.engine.server.state import Draining

Answer = Callable[[Receive, Send], Awaitable[None]]
EVENT_STREAM = [(b"content-type", b"text/event-stream; charset=utf-8")]


class Clock:
    now_s = 50.0

    def __call__(self) -> float:
        return self.now_s


class Client:
    """Calls a gate around one answer, as uvicorn would."""

    def __init__(self, answer: Answer) -> None:
        self.clock = Clock()
        self.draining = Draining(self.clock)
        self.sent: list[AsgiMessage] = []
        self.leaves = asyncio.Event()
        self.fails_to_send = False

        async def app(_scope: AsgiMessage, receive: Receive, send: Send) -> None:
            await answer(receive, send)

        self.counters = HttpCounters()
        self.gate = Gate(app, self.draining, self.counters)

    @property
    def traffic(self) -> tuple[int, int, dict[str, int], int, int]:
        """Open requests, streams, answered, refused, aborted."""
        counters = self.counters
        return (
            counters.open_requests,
            counters.open_streams,
            counters.by_class(),
            counters.rejected.total(),
            counters.client_aborts,
        )

    async def call(self, path: str = "/v1/completions") -> None:
        async def receive() -> AsgiMessage:
            await self.leaves.wait()
            return {"type": "http.disconnect"}

        async def send(message: AsgiMessage) -> None:
            if self.fails_to_send:
                raise OSError("the client has gone")
            self.sent.append(message)

        await self.gate({"type": "http", "path": path, "method": "POST"}, receive, send)

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])


def answers(status: int) -> Answer:
    async def answer(_receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    return answer


@pytest.mark.parametrize(
    ("status", "counted", "refused"),
    [(200, "2xx", 0), (404, "4xx", 0), (429, "4xx", 1), (500, "5xx", 0), (503, "5xx", 1)],
)
async def test_answers_are_counted_by_class(status: int, counted: str, refused: int) -> None:
    client = Client(answers(status))
    await client.call()
    assert client.traffic == (0, 0, {counted: 1}, refused, 0)


async def test_a_stream_is_open_until_its_end() -> None:
    goes_on = asyncio.Event()

    async def stream(_receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": EVENT_STREAM})
        await send({"type": "http.response.body", "body": b"a", "more_body": True})
        await goes_on.wait()
        await send({"type": "http.response.body", "body": b""})

    client = Client(stream)
    call = asyncio.create_task(client.call())
    while len(client.sent) < 2:
        await asyncio.sleep(0)
    assert client.traffic == (1, 1, {}, 0, 0)
    goes_on.set()
    await call
    assert client.traffic == (0, 0, {"2xx": 1}, 0, 0)


async def test_a_client_that_leaves_before_the_end_has_aborted() -> None:
    async def stream(receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": EVENT_STREAM})
        await receive()
        await receive()

    client = Client(stream)
    client.leaves.set()
    await client.call()
    assert client.traffic == (0, 0, {"2xx": 1}, 0, 1)


async def test_a_stream_that_is_given_up_was_aborted() -> None:
    async def stream(_receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": EVENT_STREAM})
        await send({"type": "http.response.body", "body": b"a", "more_body": True})

    client = Client(stream)
    await client.call()
    assert client.traffic == (0, 0, {"2xx": 1}, 0, 1)


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("path", ["/health", "/metrics", "/version", "/ready"])
async def test_who_may_not_watch_is_counted(path: str, status: int) -> None:
    client = Client(answers(status))
    await client.call(path)
    assert client.traffic == (0, 0, {"4xx": 1}, 0, 0)


async def test_a_client_that_leaves_before_the_status_is_in_no_class() -> None:
    async def wait(receive: Receive, _send: Send) -> None:
        await receive()

    client = Client(wait)
    client.leaves.set()
    await client.call()
    assert client.traffic == (0, 0, {}, 0, 1)


async def test_what_cannot_be_sent_was_aborted() -> None:
    client = Client(answers(200))
    client.fails_to_send = True
    with pytest.raises(OSError, match="gone"):
        await client.call()
    assert client.traffic == (0, 0, {}, 0, 1)


async def test_leaving_after_the_whole_answer_is_no_abort() -> None:
    async def answer(receive: Receive, send: Send) -> None:
        await answers(200)(receive, send)
        await receive()

    client = Client(answer)
    client.leaves.set()
    await client.call()
    assert client.traffic == (0, 0, {"2xx": 1}, 0, 0)


async def test_an_app_that_fails_leaves_nothing_open() -> None:
    async def fail(_receive: Receive, _send: Send) -> None:
        raise ValueError("a defect")

    client = Client(fail)
    with pytest.raises(ValueError, match="defect"):
        await client.call()
    assert client.traffic == (0, 0, {}, 0, 0)


async def test_a_drain_keeps_new_requests_out_and_says_when_to_come_again() -> None:
    client = Client(answers(200))
    client.draining.begin(12.5)
    client.clock.now_s += 2.0
    await client.call()
    assert client.status == 503
    assert (b"retry-after", b"11") in client.sent[0]["headers"]
    error = json.loads(client.sent[1]["body"])["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert client.traffic == (0, 0, {"5xx": 1}, 1, 0)


@pytest.mark.parametrize(("path", "status"), [("/health", 200), ("/metrics", 200), ("/ready", 503)])
async def test_who_watches_a_drain_is_answered_and_not_counted(path: str, status: int) -> None:
    client = Client(answers(200))
    await client.call(path)
    assert client.status == 200
    client.sent.clear()
    client.draining.begin(1.0)
    await client.call(path)
    assert client.status == status
    assert client.traffic == (0, 0, {}, 0, 0)


def test_the_first_beginning_of_a_drain_counts() -> None:
    clock = Clock()
    draining = Draining(clock)
    states = [draining.active]
    draining.begin(10.0)
    clock.now_s += 4.0
    draining.begin(10.0)
    states.append(draining.active)
    assert states == [False, True]
    assert draining.retry_after_s == 6
    clock.now_s += 60.0
    assert draining.retry_after_s == 1


@pytest.mark.parametrize(
    ("status", "code", "served", "unavailable"),
    [
        (200, None, 1, 0),
        (400, None, 0, 0),
        (429, "queue_full", 0, 1),
        (429, "rate_limit_exceeded", 0, 0),
        (500, None, 0, 1),
        (503, "draining", 0, 1),
    ],
)
async def test_a_request_for_a_text_is_served_or_the_servers_fault_or_its_own(
    status: int, code: str | None, served: int, unavailable: int
) -> None:
    scope = {"type": "http", "path": "/v1/completions", "method": "POST"}

    async def app(scope: AsgiMessage, receive: Receive, send: Send) -> None:
        if code is not None:
            scope[ERROR_CODE] = code
        await answers(status)(receive, send)
        await send({"type": "http.response.body", "body": b""})

    counters = await called(app, scope)
    assert (counters.served, counters.unavailable) == (served, unavailable)


async def called(app: AsgiApp, scope: AsgiMessage) -> HttpCounters:
    """What a gate around an app has counted of one request."""
    counters = HttpCounters()

    async def receive() -> AsgiMessage:
        return {"type": "http.disconnect"}

    async def send(_message: AsgiMessage) -> None:
        pass

    await Gate(app, Draining(Clock()), counters)(scope, receive, send)
    return counters


@pytest.mark.parametrize("broken", [False, True])
async def test_a_stream_that_breaks_off_was_not_served_whatever_it_began_with(
    *, broken: bool
) -> None:
    async def app(scope: AsgiMessage, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": EVENT_STREAM})
        if broken:
            scope[BROKEN_OFF] = True
        await send({"type": "http.response.body", "body": b"data"})

    scope = {"type": "http", "path": "/v1/chat/completions", "method": "POST"}
    counters = await called(app, scope)
    assert (counters.served, counters.unavailable) == ((0, 1) if broken else (1, 0))


@pytest.mark.parametrize(
    ("path", "method"), [("/v1/models", "GET"), ("/tokenize", "POST"), ("/metrics", "GET")]
)
async def test_availability_is_that_of_texts_alone(path: str, method: str) -> None:
    async def app(_scope: AsgiMessage, receive: Receive, send: Send) -> None:
        await answers(500)(receive, send)

    counters = await called(app, {"type": "http", "path": path, "method": method})
    assert (counters.served, counters.unavailable) == (0, 0)
