"""The engine of `prodtop attach` over its real processes, and a server that dies and comes back."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import psutil
import pytest
from child_scripts import DEADLINE_S
from prodtop.engine.attach.asking.settings import AttachOptions, NamedServer
from prodtop.engine.client.attached_engine import WATCHED, AttachedEngine
from prodtop.engine.protocol import (
    ChildDied,
    ChildStarted,
    Frame,
    HostSample,
    Note,
    PrecisionName,
    Report,
    ServerBack,
    ServerDown,
    ServerProcess,
    SetPrecision,
)

METRICS = b'vllm:num_requests_running{engine="0",model_name="tiny"} 3\n'


class Metrics(BaseHTTPRequestHandler):
    """What a vLLM answers; `body` may be changed."""

    body = METRICS
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer every path with the metrics."""
        self.send_response(200)
        self.send_header("content-length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)
        # Else a connection would outlive its server.
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        """Say nothing."""


class Server:
    """A server that is started and stopped, at one port."""

    def __init__(self) -> None:
        self.port = 0
        self._server: ThreadingHTTPServer | None = None

    def start(self) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Metrics)
        self.port = self._server.server_address[1]
        Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()


class Attached:
    """An attached engine, and all that it has reported."""

    def __init__(self, engine: AttachedEngine) -> None:
        self.engine = engine
        self.reports: list[Report] = []

    def until(self, wanted: Callable[[Report], bool]) -> Report:
        """Poll until a new report is as wanted; raises where none comes."""
        deadline_s = time.monotonic() + DEADLINE_S
        while time.monotonic() < deadline_s:
            new = self.engine.poll()
            self.reports += new
            for report in new:
                if wanted(report):
                    return report
            time.sleep(0.01)
        raise AssertionError(f"not reported; instead {self.reports[-5:]}")


@pytest.fixture
def server() -> Iterator[Server]:
    one = Server()
    one.start()
    yield one
    one.stop()


@pytest.fixture
def attached(server: Server) -> Iterator[Attached]:
    options = AttachOptions(
        servers=[NamedServer(url=f"http://127.0.0.1:{server.port}", name="chat", interval_s=0.1)]
    )
    engine = AttachedEngine(options)
    engine.start()
    yield Attached(engine)
    engine.close()


def test_a_server_that_dies_is_told_within_three_seconds_and_comes_back(
    server: Server, attached: Attached
) -> None:
    attached.until(lambda report: isinstance(report, Frame))
    process = next(each for each in attached.reports if isinstance(each, ServerProcess))
    assert process.pid == os.getpid()
    server.stop()
    stopped_s = time.monotonic()
    down = attached.until(lambda report: isinstance(report, ServerDown))
    assert time.monotonic() - stopped_s < 3
    assert isinstance(down, ServerDown)
    assert (down.name, down.reason) == ("chat", "refuses connections")
    server.start()
    attached.until(lambda report: isinstance(report, ServerBack))
    frame = attached.until(lambda report: isinstance(report, Frame))
    assert isinstance(frame, Frame)
    assert frame.queue.running == 3


def test_the_servers_own_process_is_the_one_that_the_probe_looks_at(attached: Attached) -> None:
    sample = attached.until(
        lambda report: isinstance(report, HostSample) and report.worker_rss_bytes is not None
    )
    assert isinstance(sample, HostSample)


def test_a_reader_that_is_killed_is_started_again(attached: Attached) -> None:
    attached.until(lambda report: isinstance(report, Frame))
    pid = next(
        each.pid
        for each in attached.reports
        if isinstance(each, ChildStarted) and each.child == "reader"
    )
    os.kill(pid, signal.SIGKILL)
    attached.until(lambda report: isinstance(report, ChildDied) and report.child == "reader")
    attached.until(lambda report: isinstance(report, Frame))


def test_what_would_change_how_it_serves_is_answered_with_a_note(attached: Attached) -> None:
    attached.engine.send(SetPrecision(name=PrecisionName.INT8))
    assert attached.until(lambda report: isinstance(report, Note)) == Note(message=WATCHED)


def test_no_process_is_left_once_it_is_closed(attached: Attached) -> None:
    attached.until(lambda report: isinstance(report, Frame))
    pids = [each.pid for each in attached.reports if isinstance(each, ChildStarted)]
    attached.engine.close()
    assert len(pids) == 2
    assert not any(psutil.pid_exists(pid) for pid in pids)
    assert attached.engine.poll() == []
