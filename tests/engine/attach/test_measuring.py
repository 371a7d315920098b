"""The reader process with a proxy: it tells its address, and takes limits and questions."""

import re
import socket
import time
from collections.abc import Callable

import pytest
from prodtop.engine.attach.asking.settings import AttachOptions, NamedServer
from prodtop.engine.attach.proxy.proxy import HOST
from prodtop.engine.client.attached_engine import AttachedEngine
from prodtop.engine.protocol import (
    FinishedSample,
    Frame,
    InspectRequest,
    Note,
    Report,
    RequestTimeline,
    SetSlo,
    SloSpec,
    Window,
)
from prodtop.engine.protocol.errors import BadInputError
from prodtop.tui.commands.attach import check_measuring
from scripted_upstream import (
    DEADLINE_S,
    LAST_CHUNK,
    Upstream,
    Visit,
    answer_stream,
    chat,
)

METRICS = b'# TYPE vllm:num_requests_running gauge\nvllm:num_requests_running{engine="0"} 0\n'


async def server(visit: Visit) -> None:
    """Has metrics, and one stream for whoever asks."""
    while True:
        head, _ = await visit.request()
        if not head:
            return
        if head.startswith(b"GET /metrics"):
            await visit.send(
                b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: %d\r\n\r\n"
                % len(METRICS),
                METRICS,
            )
        elif head.startswith(b"POST"):
            await answer_stream(visit)
        else:
            await visit.send(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")


def test_the_reader_measures_what_passes_and_the_screen_asks_for_it() -> None:
    reports: list[Report] = []
    with Upstream(server) as upstream:
        named = NamedServer(
            name="one", url=f"http://{HOST}:{upstream.port}", proxy=0, dcgm=f"http://{HOST}:1"
        )
        engine = AttachedEngine(AttachOptions(servers=[named]))
        engine.start()

        def seen(what: Callable[[Report], object]) -> Report:
            deadline_s = time.monotonic() + DEADLINE_S
            while True:
                reports.extend(engine.poll())
                for report in reports:
                    if what(report):
                        return report
                assert time.monotonic() < deadline_s, reports
                time.sleep(0.02)

        try:
            note = seen(lambda each: isinstance(each, Note) and "passed on" in each.message)
            assert isinstance(note, Note)
            port = re.search(r"http://127\.0\.0\.1:(\d+) ", note.message)
            assert port is not None
            slo = SloSpec(ttft_ms=60_000.0)
            engine.send(SetSlo(slo=slo))
            seen(lambda each: isinstance(each, Frame) and each.slo == slo)
            with socket.create_connection((HOST, int(port[1])), DEADLINE_S) as client:
                client.sendall(chat())
                got = b""
                while not got.endswith(LAST_CHUNK):
                    got += client.recv(1 << 16)
            sample = seen(lambda each: isinstance(each, FinishedSample))
            assert isinstance(sample, FinishedSample)
            engine.send(InspectRequest(request_id=sample.requests[0].request_id))
            assert seen(lambda each: isinstance(each, RequestTimeline) and each.state)

            def judged(report: Report) -> bool:
                if not isinstance(report, Frame) or not report.attainment:
                    return False
                return report.attainment[Window.SESSION].within_all == 1.0

            frame = seen(judged)
            assert isinstance(frame, Frame)
            assert frame.latency[Window.SESSION].ttft is not None
        finally:
            engine.close()


@pytest.mark.parametrize(
    ("fields", "urls", "once"),
    [
        ({"record_trace": "t.jsonl"}, ["a"], False),
        ({"proxy": 0}, ["a", "b"], False),
        ({"proxy": 0}, [], False),
        ({"proxy": 70_000}, ["a"], False),
        ({"proxy": -1}, ["a"], False),
        ({"probe_s": 0.5}, ["a"], False),
        ({"probe_s": float("nan")}, ["a"], False),
        ({"probe_s": 5.0}, ["a"], True),
        ({"proxy": 0}, ["a"], True),
    ],
)
def test_options_that_do_not_go_together_are_said(
    fields: dict[str, object], urls: list[str], once: bool
) -> None:
    options = NamedServer(name="", url="", **fields)  # type: ignore[arg-type]  # by name
    with pytest.raises(BadInputError):
        check_measuring(options, urls, once=once)
