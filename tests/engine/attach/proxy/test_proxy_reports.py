"""What the proxy reports of single requests, and what it lays over a server's frame."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from attached_samples import attached_frame
from frame_samples import frame as sample_frame
from prodtop.engine.attach.proxy.proxy import HOST, Proxy
from prodtop.engine.protocol import (
    REPORT_DECODER,
    Figure,
    FinishedRequest,
    FinishedSample,
    IntervalKind,
    Latency,
    Message,
    Percentiles,
    Queue,
    RequestsInSystem,
    RequestState,
    RequestTimeline,
    Window,
)
from prodtop.engine.protocol.wire import ENCODER
from prodtop.engine.traces.trace_file import read_trace
from raw_client import connect, read_until, wait
from scripted_upstream import (
    DONE,
    LAST_CHUNK,
    STREAM_HEAD,
    Upstream,
    Visit,
    chat,
    chunk,
    event,
    usage,
)

SECRET, PROMPT, TEXT = "Bearer sk-secret-key", "the prompt of a user", "the answer to it"


@contextmanager
def steps(trace: Path | None = None) -> Iterator[tuple[Proxy, threading.Semaphore]]:
    """A proxy before a server that sends one piece of each stream a permit, then the end."""
    permits = threading.Semaphore(0)

    async def script(visit: Visit) -> None:
        while True:
            head, _ = await visit.request()
            if not head:
                return
            for part in (
                STREAM_HEAD + chunk(event("", role="assistant")),
                chunk(event(TEXT)),
                chunk(event(TEXT)),
                chunk(event("", finish_reason="stop") + usage(9, 3) + DONE) + LAST_CHUNK,
            ):
                while not permits.acquire(blocking=False):
                    await asyncio.sleep(0.002)
                await visit.send(part)

    with Upstream(script) as upstream:
        proxy = Proxy(f"http://{HOST}:{upstream.port}", 0, trace_path=trace)
        proxy.start()
        try:
            yield proxy, permits
        finally:
            proxy.close()


class Told:
    """All reports so far, each sent over the wire as the reader process does."""

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy
        self.all: list[Message] = []

    def newest(self, kind: type[Message]) -> Message | None:
        for report in self._proxy.reports():
            self.all.append(REPORT_DECODER.decode(ENCODER.encode(report)))
        return next((each for each in reversed(self.all) if isinstance(each, kind)), None)

    def live(self) -> RequestsInSystem | None:
        found = self.newest(RequestsInSystem)
        assert found is None or isinstance(found, RequestsInSystem)
        return found

    def timeline(self) -> RequestTimeline | None:
        found = self.newest(RequestTimeline)
        assert found is None or isinstance(found, RequestTimeline)
        return found

    def ended(self) -> list[FinishedRequest]:
        self.newest(FinishedSample)
        samples = [each for each in self.all if isinstance(each, FinishedSample)]
        return [request for sample in samples for request in sample.requests]

    def state(self) -> RequestState | None:
        live = self.live()
        return live.requests[0].state if live and live.requests else None


def test_a_stream_is_told_of_from_its_arrival_to_its_end() -> None:
    with steps() as (proxy, permits), connect(proxy) as client:
        told = Told(proxy)
        client.sendall(chat(PROMPT))
        wait(lambda: told.state() is RequestState.UNSTARTED, "a request without a token")
        permits.release()
        read_until(client, b"\n\n\r\n")
        assert told.state() is RequestState.UNSTARTED, "the role alone is no token"
        permits.release()
        wait(lambda: told.state() is RequestState.DECODE, "its first token")
        live = told.live()
        assert live is not None
        (row,) = live.requests
        assert (row.output_tokens, row.max_tokens, row.prompt_tokens) == (1, 16, None)
        assert row.ttft_ms is not None
        proxy.inspect(row.request_id)
        permits.release(2)
        read_until(client, LAST_CHUNK)
        wait(told.ended, "its end")
        (request,) = told.ended()
        assert (request.prompt_tokens, request.output_tokens) == (9, 3)
        assert (request.finish_reason, request.failed) == ("stop", False)
        assert request.strategy is None
        assert request.ttft_ms == row.ttft_ms
        assert request.ttfb_ms == request.ttft_ms <= request.e2e_ms
        assert request.tpot_ms == pytest.approx((request.e2e_ms - request.ttft_ms) / 2)
        wait(lambda: (told.timeline() or row).state is RequestState.FINISHED, "its timeline")
        timeline = told.timeline()
        assert timeline is not None
        kinds = [each.kind for each in timeline.intervals]
        assert kinds == [IntervalKind.ARRIVING, IntervalKind.FIRST_TOKEN, IntervalKind.DECODE]
        assert all(one.end_us == two.start_us for one, two in pairwise(timeline.intervals))
        assert timeline.intervals[-1].end_us == timeline.e2e_us
        assert sum(timeline.token_counts) == 3
        wait(lambda: (live := told.live()) and not live.requests, "that nothing is in the system")
        text = repr(told.all)
        assert PROMPT not in text
        assert TEXT not in text


def test_what_passes_is_laid_over_a_frame_that_tells_little() -> None:
    with steps() as (proxy, permits), connect(proxy) as client:
        frame = attached_frame()
        assert proxy.overlay(frame) == frame, "before anything passed"
        client.sendall(chat())
        told = Told(proxy)
        wait(lambda: told.state() is RequestState.UNSTARTED, "a request without a token")
        busy = proxy.overlay(frame)
        assert (busy.queue.running, busy.queue.waiting) == (1, None)
        assert busy.queue.oldest_unstarted_s is not None
        assert busy.latency[Window.SESSION] == Latency(), "not over yet: no sample"
        permits.release(4)
        read_until(client, LAST_CHUNK)
        wait(told.ended, "its end")
        (request,) = told.ended()
        over = proxy.overlay(frame)
        for window in Window:
            latency = over.latency[window]
            assert latency.ttft is not None
            assert latency.ttft.count == 1
            assert latency.ttft.mean_ms == pytest.approx(request.ttft_ms)
            assert latency.itl is not None
            assert latency.itl.count == 2, "three tokens"
            assert latency.queue is None, "not seen from outside"
        assert over.accounting is not None
        assert (over.accounting.submitted, over.accounting.finished) == (1, 1)
        assert over.queue.running == 0
        assert over.generated_tokens_total == 3
        assert over.averages[Window.SESSION].decode_tok_s
        assert over.attainment[Window.SESSION].within_all == 1.0
        attached = over.attached
        assert attached is not None
        for figure in (Figure.TTFT, Figure.ITL, Figure.TPOT, Figure.E2E, Figure.FINISHED):
            assert (
                f"measured by the proxy on {proxy.address}" in attached.origins[figure].expression
            )
        assert Figure.KV_USAGE not in attached.origins
        assert over.throughput.prefill_tok_s is None, "not measured: not 0"
        REPORT_DECODER.decode(ENCODER.encode(over))


def test_what_a_server_tells_of_all_its_clients_stays() -> None:
    coarse = Percentiles(count=900, mean_ms=5.0, p50_ms=10.0, p95_ms=10.0, p99_ms=10.0, below_ms=10)
    queue = Latency(itl=coarse, queue=coarse)
    frame = attached_frame(
        throughput=msgspec.structs.replace(attached_frame().throughput, decode_tok_s=5_000.0),
        queue=Queue(running=90, waiting=7),
        latency=dict.fromkeys(Window, queue),
        accounting=sample_frame().accounting,
    )
    with steps() as (proxy, permits), connect(proxy) as client:
        permits.release(4)
        client.sendall(chat())
        read_until(client, LAST_CHUNK)
        told = Told(proxy)
        wait(told.ended, "its end")
        over = proxy.overlay(frame)
    assert over.throughput.decode_tok_s == 5_000.0
    assert (over.queue.running, over.queue.waiting) == (90, 7)
    assert over.accounting == frame.accounting
    assert over.latency[Window.M1].queue == coarse
    itl = over.latency[Window.M1].itl
    assert itl is not None
    assert itl.below_ms is None, "the finer one takes its place"
    assert itl.count == 2


def test_whole_answers_and_refusals_are_counted() -> None:
    whole = json.dumps(
        {
            "choices": [{"message": {"content": TEXT}, "finish_reason": "length"}],
            "usage": {"prompt_tokens": 4, "completion_tokens": 50},
        }
    ).encode()

    async def script(visit: Visit) -> None:
        for status, body in (
            (b"200 OK", whole),
            (b"429 Too Many Requests", b"{}"),
            (b"200 OK", b""),
        ):
            await visit.request()
            await visit.send(
                b"HTTP/1.1 %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
                % (status, len(body)),
                body,
            )
        await visit.until_left()

    with Upstream(script) as upstream:
        proxy = Proxy(f"http://{HOST}:{upstream.port}", 0)
        proxy.start()
        told = Told(proxy)
        with connect(proxy) as client:
            for end in (whole, b"{}"):
                client.sendall(chat(stream=False))
                read_until(client, end)
            client.sendall(b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n")
            read_until(client, b"0\r\n\r\n")
        wait(lambda: len(told.ended()) == 2, "both ends")
        first, second = told.ended()
        assert (first.output_tokens, first.finish_reason, first.ttft_ms) == (50, "length", None)
        assert first.ttfb_ms <= first.e2e_ms
        assert (second.failed, second.finish_reason) == (True, "HTTP 429")
        assert second.output_tokens is None
        over = proxy.overlay(attached_frame())
        assert over.accounting is not None
        assert (over.accounting.finished, over.accounting.failed) == (1, 1), (
            "the models are no text"
        )
        assert over.latency[Window.M1].ttft is None
        assert over.attached is not None
        assert "1 HTTP 429" in over.attached.origins[Figure.FAILED].expression
        proxy.close()


def test_keys_prompts_and_answers_are_written_nowhere(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level("DEBUG")
    with steps(tmp_path / "trace.jsonl") as (proxy, permits):
        told = Told(proxy)
        with connect(proxy) as client:
            permits.release(4)
            client.sendall(chat(PROMPT, f"Authorization: {SECRET}".encode()))
            read_until(client, LAST_CHUNK)
            wait(told.ended, "its end")
            permits.release(2)
            client.sendall(chat(PROMPT, f"Authorization: {SECRET}".encode()))
            wait(lambda: told.state() is RequestState.DECODE, "another one in the middle")
        wait(lambda: len(told.ended()) == 2, "its end")
        frame = proxy.overlay(attached_frame())
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [path.name for path in written] == ["trace.jsonl"]
    out, err = capfd.readouterr()
    places = [repr(told.all), repr(frame), caplog.text, out, err, written[0].read_text()]
    for secret in (SECRET, "sk-secret", PROMPT, TEXT, "prompt of"):
        assert not any(secret in place for place in places)
    trace = read_trace(written[0])
    assert trace.entry(0).prompt_tokens == 9
    assert trace.entry(0).output_tokens == 3
