"""The event loop's tasks: uvicorn, the screen's commands, samples, and the end of it all."""

import asyncio
import contextlib
import socket
import time
from collections.abc import Iterator

import msgspec
import uvicorn
from starlette.applications import Starlette

from ..protocol import Command, Drain, Drained, Note, ServerListening, ServerSample, Shutdown
from ..protocol.channel import Channel
from ..protocol.server_operations import Operations
from .bounded_protocol import ConnectionBounds, bounded_protocol
from .gate import Gate
from .guarding import Guarding
from .http_counters import HttpCounters
from .link import WorkerLink
from .request_log import RequestLogger
from .state import Draining
from .tls import tls_context

SAMPLE_INTERVAL_S = 0.5
DRAIN_LOOK_S = 0.02
LAST_ANSWERS_S = 1
"""How long answers may take to leave, of requests that were aborted."""
DRAINED = "the server ended"
HELD_ENDED = "held answers timed out at the server's end: {}"
LACKING = "the guard {} judges nothing: no reference of {}; prodtop guards calibrate measures one"


class _Uvicorn(uvicorn.Server):
    """Without signal handlers: a server ends when its parent says so, or is gone."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class HttpServer:
    """One server over one listening socket."""

    def __init__(
        self,
        app: Starlette,
        link: WorkerLink,
        channel: Channel[Command],
        operations: Operations,
        log: RequestLogger | None = None,
    ) -> None:
        tls = operations.tls
        self._draining = Draining()
        app.state.draining = self._draining
        self._counters = app.state.http_counters = HttpCounters()
        # An app without routes of ours has no guards.
        context = getattr(app.state, "context", None)
        self._guarding: Guarding | None = None if context is None else context.guarding
        self._told_lacking: set[str] = set()
        self._link = link
        self._channel = channel
        self._sent = ServerSample(at_s=0.0)
        self._ended = asyncio.Event()
        self._drain: asyncio.Task[None] | None = None
        bounds = ConnectionBounds(operations.limits.max_connections)
        self._uvicorn = _Uvicorn(
            uvicorn.Config(
                Gate(app, self._draining, self._counters, log),
                # The loop runs already.
                loop="none",
                http=bounded_protocol(bounds, self._counters),
                ws="none",
                # What the app holds is let go of at the end.
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                # A client's word for its own address is not taken.
                proxy_headers=False,
                ssl_context_factory=None if tls is None else lambda *_: tls_context(tls),
                timeout_graceful_shutdown=LAST_ANSWERS_S,
            )
        )

    async def run(self, listener: socket.socket, listening: ServerListening) -> None:
        """Serve until `Shutdown`, the end of a drain, or the channel's end."""
        loop = asyncio.get_running_loop()
        self._link.start()
        loop.add_reader(self._channel.fileno(), self._on_commands)
        serving = asyncio.create_task(self._uvicorn.serve(sockets=[listener]))
        sampling = asyncio.create_task(self._send_samples())
        ended = asyncio.create_task(self._ended.wait())
        self._channel.send(listening)
        try:
            await asyncio.wait({serving, sampling, ended}, return_when=asyncio.FIRST_COMPLETED)
            for task in (serving, sampling):
                if task.done():
                    # An error of theirs is one of the server's.
                    task.result()
        finally:
            self._link.close()
            self._uvicorn.should_exit = True
            sampling.cancel()
            with contextlib.suppress(asyncio.TimeoutError):
                # Of its own it takes a little longer.
                await asyncio.wait_for(serving, 2 * LAST_ANSWERS_S)
            loop.remove_reader(self._channel.fileno())
            await self._flush_channel()

    # The screen's commands

    def _on_commands(self) -> None:
        fd = self._channel.fileno()
        for command in self._channel.receive():
            match command:
                case Shutdown():
                    self._ended.set()
                case Drain(limit_s=limit_s):
                    if self._drain is None:
                        self._drain = asyncio.create_task(self._run_drain(limit_s))
                case _:
                    pass
        if self._channel.closed:
            asyncio.get_running_loop().remove_reader(fd)
            self._ended.set()

    async def _run_drain(self, limit_s: float) -> None:
        """Wait for the requests in flight, and abort those that take too long."""
        self._draining.begin(limit_s)
        # Whoever waits for the end sees at once how much there is to wait for.
        self._send_sample()
        await self._until_idle(limit_s)
        if self._guarding is not None and self._guarding.reviewing is not None:
            # What is held has an answer, which may still leave.
            timed_out = await self._guarding.reviewing.end_held()
            if timed_out:
                self._channel.send(Note(message=HELD_ENDED.format(timed_out)))
                await self._until_idle(LAST_ANSWERS_S)
        aborted = self._counters.open_requests
        self._link.abort_all(DRAINED)
        await self._until_idle(LAST_ANSWERS_S)
        self._send_sample()
        self._channel.send(Drained(aborted=aborted))
        self._ended.set()

    async def _until_idle(self, limit_s: float) -> None:
        deadline_s = time.monotonic() + limit_s
        while self._counters.open_requests and time.monotonic() < deadline_s:
            await asyncio.sleep(DRAIN_LOOK_S)

    # Samples

    async def _send_samples(self) -> None:
        while True:
            await asyncio.sleep(SAMPLE_INTERVAL_S)
            self._channel.flush()
            if self._guarding is not None:
                await self._guarding.refresh()
                self._tell_lacking(self._guarding)
            self._send_sample()

    def _tell_lacking(self, guarding: Guarding) -> None:
        """Once for each model: no guard may be off in silence."""
        serving = self._link.serving
        if serving is None or serving.model in self._told_lacking:
            return
        self._told_lacking.add(serving.model)
        for guard in guarding.lacking(serving.model):
            self._channel.send(Note(message=LACKING.format(guard, serving.model)))

    def _send_sample(self) -> None:
        """What has changed since the last sample, if anything has."""
        counters = self._counters
        sample = ServerSample(
            at_s=self._sent.at_s,
            open_requests=counters.open_requests,
            streams=counters.open_streams,
            answered=counters.by_class(),
            served=counters.served,
            unavailable=counters.unavailable,
            refused=counters.rejected.total(),
            aborted=counters.client_aborts,
            draining=self._draining.active,
            guards={} if self._guarding is None else self._guarding.samples(),
            review=None if self._guarding is None else self._guarding.review_sample,
        )
        if sample != self._sent:
            sample = msgspec.structs.replace(sample, at_s=time.monotonic())
            if self._channel.send(sample):
                self._sent = sample

    async def _flush_channel(self) -> None:
        """What was said last has to leave: the process ends right after."""
        deadline_s = time.monotonic() + LAST_ANSWERS_S
        while self._channel.unsent_bytes and time.monotonic() < deadline_s:
            self._channel.flush()
            await asyncio.sleep(DRAIN_LOOK_S)
