"""The prober against scripted servers: what it measures, tries, costs, when it holds back."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import pytest
from attached_samples import attached_frame
from prodtop.engine.attach import prober as prober_module
from prodtop.engine.attach.probe_request import OUTPUT_TOKENS, WAYS
from prodtop.engine.attach.prober import Prober
from prodtop.engine.attach.proxy.proxy import HOST
from prodtop.engine.protocol import (
    Figure,
    Frame,
    Latency,
    Note,
    Percentiles,
    Window,
)
from prodtop.engine.protocol.errors import BadInputError
from scripted_upstream import DONE, LAST_CHUNK, STREAM_HEAD, Upstream, Visit, chunk, event, usage

DEADLINE_S = 20.0
MODELS = json.dumps({"data": [{"id": "some/model"}]}).encode()

Answers = Callable[[Visit, bytes, bytes], Awaitable[None]]


def wait(condition: Callable[[], object], what: str) -> None:
    deadline_s = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline_s, f"it never came: {what}"
        time.sleep(0.005)


async def whole(visit: Visit, status: bytes, body: bytes) -> None:
    """An answer that is no stream."""
    head = b"HTTP/1.1 %s\r\ncontent-type: application/json\r\n" % status
    await visit.send(head + b"content-length: %d\r\n\r\n" % len(body), body)


async def stream(visit: Visit, _head: bytes, _body: bytes) -> None:
    """Three tokens, the last one with no text."""
    await visit.send(STREAM_HEAD, chunk(event("one")))
    await asyncio.sleep(0.01)
    await visit.send(chunk(event(" two")))
    await visit.send(chunk(event("", finish_reason="length") + usage(7, 3) + DONE), LAST_CHUNK)


@contextmanager
def probed(
    answers: Answers, monkeypatch: pytest.MonkeyPatch, **options: object
) -> Iterator[tuple[Prober, Upstream, list[tuple[bytes, bytes]]]]:
    """A prober at work as fast as it can, and the requests that the server got."""
    monkeypatch.setattr(prober_module, "SHORTEST_PROBE_S", 0.01)
    asked: list[tuple[bytes, bytes]] = []

    async def script(visit: Visit) -> None:
        head, body = await visit.request()
        if not head:
            return
        asked.append((head, body))
        if head.startswith(b"GET /v1/models "):
            await whole(visit, b"200 OK", MODELS)
        else:
            await answers(visit, head, body)
        await visit.until_left()

    with Upstream(script) as upstream:
        prober = Prober(f"http://{HOST}:{upstream.port}", 0.01, **options)  # type: ignore[arg-type]  # by name
        prober.start()
        try:
            yield prober, upstream, asked
        finally:
            prober.close()
            assert not prober._thread.is_alive()


def frame_with(itl: Percentiles | None = None) -> Frame:
    """Of a server that tells its ITL like this, and no TTFT."""
    return attached_frame(latency=dict.fromkeys(Window, Latency(itl=itl)))


def notes(prober: Prober) -> list[str]:
    return [each.message for each in prober.reports() if isinstance(each, Note)]


def taken(prober: Prober, told: list[str]) -> list[str]:
    """`told`, with what the prober has said since."""
    told += notes(prober)
    return told


def test_a_probe_gives_times_and_says_what_it_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    headers = {"Authorization": "Bearer sk-secret"}
    with probed(stream, monkeypatch, headers=lambda: headers) as (prober, _, asked):
        frame = frame_with()
        wait(lambda: prober.overlay(frame) != frame, "figures")
        over = prober.overlay(frame)
        latency = over.latency[Window.M1]
        assert latency.ttft is not None
        assert latency.itl is not None
        assert (latency.ttft.mean_ms or 0.0) > 0.0
        assert latency.itl.count == 2 * latency.ttft.count
        assert latency.e2e is None, "of so short an answer it says nothing"
        assert over.attached is not None
        origin = over.attached.origins[Figure.TTFT].expression
        assert origin.startswith(f"probe of {OUTPUT_TOKENS} tokens every 0.01 s: ")
        sent = int(origin.split(": ")[1].split()[0])
        assert f"{7 * sent} tokens in, {3 * sent} out so far" in origin
        head, body = asked[1]
        assert head.startswith(b"POST /v1/completions ")
        assert b"Authorization: Bearer sk-secret\r\n" in head
        told = json.loads(body)
        assert told["max_tokens"] == OUTPUT_TOKENS
        assert told["model"] == "some/model"
        assert told["stream"] is True
        wait(lambda: len(asked) > 3, "more probes")
        prompts = [json.loads(body)["prompt"] for _, body in asked[1:]]
        assert len(set(prompts)) == len(prompts), "no cache knows the next one"
        assert "sk-secret" not in repr(over)
        assert notes(prober) == []


@pytest.mark.parametrize("p50_ms", [10.0, 12.0, None])
def test_a_probe_fills_in_what_is_missing_or_only_bounded(
    monkeypatch: pytest.MonkeyPatch, p50_ms: float | None
) -> None:
    told = Percentiles(
        count=99, mean_ms=5.0, p50_ms=p50_ms, p95_ms=15.0, p99_ms=15.0, below_ms=10.0
    )
    with probed(stream, monkeypatch) as (prober, _, _asked):
        frame = frame_with(told)
        wait(lambda: prober.overlay(frame) != frame, "figures")
        over = prober.overlay(frame).latency[Window.M1]
        assert (over.itl == told) is (p50_ms == 12.0)
        assert over.ttft is not None


@pytest.mark.parametrize("way", range(len(WAYS)))
@pytest.mark.parametrize("status", [b"404 Not Found", b"400 Bad Request", b"422 Unprocessable"])
def test_servers_that_know_one_way_only_are_asked_that_way(
    monkeypatch: pytest.MonkeyPatch, way: int, status: bytes
) -> None:
    path, tells = WAYS[way]

    async def answers(visit: Visit, head: bytes, body: bytes) -> None:
        fits = head.startswith(b"POST " + path.encode() + b" ")
        if fits and (tells or "stream_options" not in json.loads(body)):
            await stream(visit, head, body)
        else:
            await whole(visit, status, b"{}")

    with probed(answers, monkeypatch, model="given") as (prober, _, asked):
        frame = frame_with()
        wait(lambda: prober.overlay(frame) != frame, "figures")
        assert all(json.loads(body)["model"] == "given" for _, body in asked)
        refused = len(asked)
        wait(lambda: len(asked) > refused + 1, "one more")
        assert all(head.startswith(b"POST " + path.encode() + b" ") for head, _ in asked[refused:])


async def _breaks_off(visit: Visit, _head: bytes, _body: bytes) -> None:
    await visit.send(STREAM_HEAD, chunk(event("one")))
    visit.writer.transport.abort()


async def _floods(visit: Visit, _head: bytes, _body: bytes) -> None:
    await visit.send(STREAM_HEAD)
    for _ in range(40):
        await visit.send(chunk(b": " + b"x" * 65_536 + b"\n\n"))


async def _refuses(visit: Visit, _head: bytes, _body: bytes) -> None:
    await whole(visit, b"503 Service Unavailable", b"{}")


async def _redirects(visit: Visit, _head: bytes, _body: bytes) -> None:
    await visit.send(
        b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n"
    )


async def _garbles(visit: Visit, _head: bytes, _body: bytes) -> None:
    await visit.send(b"\x00\xff nothing\r\n\r\n")


async def _empties(visit: Visit, _head: bytes, _body: bytes) -> None:
    await visit.send(STREAM_HEAD, chunk(DONE), LAST_CHUNK)


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        (_breaks_off, ": "),
        (_floods, "no end within"),
        (_refuses, "HTTP 503"),
        (_redirects, "HTTP 302"),
        (_garbles, "BadStatusLine"),
        (_empties, "no text"),
    ],
)
def test_a_probe_that_fails_is_told_of_once_and_measures_nothing(
    monkeypatch: pytest.MonkeyPatch, answers: Answers, said: str
) -> None:
    with probed(answers, monkeypatch) as (prober, upstream, _):
        told: list[str] = []
        wait(lambda: taken(prober, told), "a note")
        visits = len(upstream.visits)
        wait(lambda: len(upstream.visits) > visits, "another try")
        told += notes(prober)
        assert said in told[0]
        frame = frame_with()
        assert prober.overlay(frame) == frame
        assert len(told) == len(set(told))


def test_a_server_that_comes_back_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    number = 0

    async def answers(visit: Visit, head: bytes, body: bytes) -> None:
        nonlocal number
        number += 1
        await (_refuses if number < 3 else stream)(visit, head, body)

    with probed(answers, monkeypatch) as (prober, _, _asked):
        told: list[str] = []
        wait(lambda: len(taken(prober, told)) == 2, "both notes")
        assert told[0].endswith("HTTP 503")
        assert told[1] == "the probe is answered again"


def test_a_probe_that_hangs_holds_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    async def answers(visit: Visit, _head: bytes, _body: bytes) -> None:
        await visit.send(STREAM_HEAD)

    with probed(answers, monkeypatch) as (prober, upstream, asked):
        wait(lambda: len(asked) == 2, "the probe")
        prober.close()
        wait(lambda: all(visit.left for visit in upstream.visits), "its connection to end")


@pytest.mark.parametrize("seconds", [0.0, -1.0, 0.5, float("inf"), float("nan")])
def test_probes_come_no_faster_than_they_may(seconds: float) -> None:
    with pytest.raises(BadInputError, match="--probe"):
        Prober("http://localhost:1", seconds)
