"""A real worker and a real server for tests, and plain HTTP to talk to them."""

import http.client
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

from checkpoints import TinyShape, write_checkpoint, write_tokenizer
from prodtop.engine.client.local_engine import LocalEngine
from prodtop.engine.protocol import Frame, LoadSpec, Report, ServerListening
from prodtop.engine.protocol.options import WorkerOptions
from prodtop.engine.protocol.server_options import ServerOptions, server_argument

DEADLINE_S = 120.0
HOST = "127.0.0.1"
LINE_SERVER = Path(__file__).with_name("line_server.py")
Line = dict[str, Any]  # what JSON gives


def tiny_checkpoint(folder: Path) -> WorkerOptions:
    """Options of a worker that serves a tiny model, without a load, on one thread."""
    write_checkpoint(folder, TinyShape(context_tokens=4096))
    write_tokenizer(folder)
    load = LoadSpec(paused=True)
    return WorkerOptions(model=str(folder), device="cpu", threads=1, max_seqs=8, load=load)


def line_server_command(options: ServerOptions) -> list[str]:
    """The command line of `line_server.py`."""
    return [sys.executable, "-P", str(LINE_SERVER), "--options", server_argument(options)]


class Generation:
    """An answer of `POST /generate`, whose lines are read as they come."""

    def __init__(self, port: int, fields: Line) -> None:
        self._connection = http.client.HTTPConnection(HOST, port, timeout=DEADLINE_S)
        self._connection.request("POST", "/generate", json.dumps(fields))
        self._answer = self._connection.getresponse()
        self.status = self._answer.status

    def begun(self) -> Self:
        """Wait until it was submitted."""
        assert self._answer.readline() == b"\n"
        return self

    def __iter__(self) -> Iterator[Line]:
        """Each output, and at the end maybe an error."""
        for line in self._answer:
            if line.strip():
                yield json.loads(line)

    def tokens(self) -> list[int]:
        """All its tokens, once it has ended."""
        return [token for line in self for token in line.get("token_ids", [])]

    def close(self) -> None:
        """Leave, as a client that has gone."""
        self._answer.close()
        self._connection.close()


class LinkedEngine:
    """A client whose reports are kept, and requests to its server."""

    def __init__(
        self,
        options: WorkerOptions,
        server: ServerOptions | None = None,
        server_command: Callable[[ServerOptions], list[str]] = line_server_command,
    ) -> None:
        self.client = LocalEngine(
            options,
            probe_command=None,
            server=server or ServerOptions(port=0),
            server_command=server_command,
        )
        self.reports: list[Report] = []
        self.port = 0
        self.client.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    def until(self, done: Callable[[], bool]) -> None:
        """Poll until something holds."""
        deadline_s = time.monotonic() + DEADLINE_S
        while not done():
            self.client.wait(0.02)
            self.poll()
            assert time.monotonic() < deadline_s, "never came"

    def until_report(self, wanted: Callable[[Report], bool]) -> Report:
        """Poll until a report is what is waited for; those before do not count."""
        seen = len(self.reports)
        self.until(lambda: any(wanted(report) for report in self.reports[seen:]))
        return next(report for report in self.reports[seen:] if wanted(report))

    def until_serving(self) -> None:
        """Poll until the server knows a worker that serves."""
        if not self.port:
            self.until(lambda: bool(self.port))
        self.until(lambda: self.get("/serving") is not None)

    def frame(self, done: Callable[[Frame], bool] = lambda _: True) -> Frame:
        """The next frame that is as wished, of those that were made from now on."""
        now_s = time.monotonic()
        found = self.until_report(
            lambda report: isinstance(report, Frame) and report.at_s > now_s and done(report)
        )
        assert isinstance(found, Frame)
        return found

    def poll(self) -> None:
        """Take in what was reported."""
        for report in self.client.poll():
            self.reports.append(report)
            if isinstance(report, ServerListening):
                self.port = report.port

    def get(self, path: str) -> Any:  # noqa: ANN401
        """What a route answers; `None` where nobody listens."""
        connection = http.client.HTTPConnection(HOST, self.port, timeout=DEADLINE_S)
        try:
            connection.request("GET", path)
            return json.loads(connection.getresponse().read())
        except ConnectionError:
            return None
        finally:
            connection.close()

    def generate(self, **fields: object) -> Generation:
        """Send a request: see `line_server.py`."""
        given = {"prompt_tokens": [5, 6, 7], "max_tokens": 8, "ignore_eos": True, **fields}
        return Generation(self.port, given)
