"""The server's end of the link to the worker: requests out, tokens in, on the event loop's thread.

Links come and go with the workers. Where one ends, every request on it fails; `serving` is `None`
until the next worker says what it serves.
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable

import msgspec

from ..protocol.channel import Channel, ChannelError
from ..protocol.handover import Handover
from ..protocol.served import (
    SERVER_REPORT_DECODER,
    Abort,
    AskMetrics,
    EngineMetrics,
    Output,
    Refused,
    ServerCommand,
    ServerReport,
    Serving,
    Stop,
    Submit,
    Tokens,
)
from .carried_metrics import CarriedMetrics
from .engine_link import EngineDownError, RefusedError
from .request_stream import Ending, LinkedRequest

METRICS_INTERVAL_S = 1.0
"""How often the counters are asked for, so that little is lost of those of a worker that dies."""
METRICS_PATIENCE_S = 5.0
"""A worker that does not answer for so long is told of by what it said last."""

BUSY = "the engine takes no more requests now: try again soon"
NO_WORKER = "the engine is loading, or being started again: try again soon"
WORKER_GONE = "the engine died while it served this request: send it again"


class WorkerLink:
    """Implements `EngineLink` over the links that are handed over.

    All is called on the thread of `loop`, on which `start` begins to listen.
    """

    def __init__(self, handover: Handover, on_lost: Callable[[], None]) -> None:
        """`on_lost` is called when a link has ended: there is none until a new one is handed
        over."""
        self._handover = handover
        self._on_lost = on_lost
        self._channel: Channel[ServerReport] | None = None
        self._writing = False
        self._next_key = 0
        self._requests: dict[int, LinkedRequest] = {}
        self._serving: Serving | None = None
        self._metrics = CarriedMetrics()
        self._asked: dict[int, asyncio.Future[EngineMetrics]] = {}
        self._next_ask = 0
        self._in_flight_tokens = 0
        self._poller: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    # EngineLink

    @property
    def serving(self) -> Serving | None:
        return self._serving

    @property
    def in_flight(self) -> int:
        return len(self._requests)

    @property
    def in_flight_tokens(self) -> int:
        return self._in_flight_tokens

    def submit(self, request: Submit) -> LinkedRequest:
        if self._serving is None:
            raise EngineDownError(NO_WORKER)
        self._next_key += 1
        key = self._next_key
        try:
            sent = self._send(msgspec.structs.replace(request, key=key))
        except ValueError as error:
            raise RefusedError("the request is too large for the engine") from error
        if not sent:
            raise EngineDownError(BUSY)
        tokens = len(request.prompt_tokens) + request.max_tokens
        stream = LinkedRequest(key, tokens, self._end)
        self._requests[key] = stream
        self._in_flight_tokens += tokens
        return stream

    async def metrics(self) -> EngineMetrics | None:
        if self._serving is not None and self._channel is not None:
            # A worker that switches its precision does not answer: what it said last is the truth
            # as far as it is known.
            with contextlib.suppress(TimeoutError, EngineDownError):
                await asyncio.wait_for(self._ask(), METRICS_PATIENCE_S)
        return self._metrics.total()

    # The server's own

    def start(self) -> None:
        """Listen for links, on the running loop."""
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._handover.fileno(), self._take_link)
        self._poll_metrics()

    def abort_all(self, reason: str) -> int:
        """Abort all requests in flight, and fail them for whoever iterates them; returns how
        many."""
        requests = list(self._requests.values())
        for request in requests:
            self._forget(request)
            self._send(Abort(key=request.key, reason=reason))
            request.fail(EngineDownError(reason))
        return len(requests)

    def lose(self) -> None:
        """End the link, and ask for a new one."""
        self._end_link()
        self._on_lost()

    def close(self) -> None:
        """End the link, and take no other."""
        if self._poller is not None:
            self._poller.cancel()
        if self._loop is not None and not self._handover.closed:
            self._loop.remove_reader(self._handover.fileno())
        self._handover.close()
        self._end_link()

    # Links

    def _take_link(self) -> None:
        fd = self._handover.fileno()
        end = self._handover.take()
        if self._handover.closed and self._loop is not None:
            self._loop.remove_reader(fd)
        if end is not None:
            self._begin_link(end)

    def _begin_link(self, end: socket.socket) -> None:
        # A newer worker: whatever the older one was about to say, it has gone.
        self._end_link()
        self._channel = Channel(end, SERVER_REPORT_DECODER)
        if self._loop is not None:
            self._loop.add_reader(self._channel.fileno(), self._receive)

    def _end_link(self) -> None:
        """The worker has gone: fail what it served, and keep its counters."""
        channel, self._channel = self._channel, None
        if channel is not None:
            self._watch_no_more(channel)
            channel.close()
        self._metrics.close_worker(len(self._requests))
        self._serving = None
        for request in self._requests.values():
            request.fail(EngineDownError(WORKER_GONE))
        self._requests.clear()
        self._in_flight_tokens = 0
        for answer in self._asked.values():
            if not answer.done():
                answer.set_exception(EngineDownError(WORKER_GONE))
        self._asked.clear()

    def _watch_no_more(self, channel: Channel[ServerReport]) -> None:
        fd = channel.fileno()
        if self._loop is not None and fd >= 0:
            self._loop.remove_reader(fd)
            self._loop.remove_writer(fd)
        self._writing = False

    # Messages

    def _send(self, message: ServerCommand) -> bool:
        channel = self._channel
        if channel is None:
            return False
        sent = channel.send(message)
        self._write_rest(channel)
        return sent

    def _write_rest(self, channel: Channel[ServerReport]) -> None:
        """Be told when the worker takes more, as long as there is something unsent."""
        wanted = channel.unsent_bytes > 0
        if self._loop is None or wanted == self._writing or channel.fileno() < 0:
            return
        self._writing = wanted
        if wanted:
            self._loop.add_writer(channel.fileno(), self._flush)
        else:
            self._loop.remove_writer(channel.fileno())

    def _flush(self) -> None:
        if self._channel is not None:
            self._channel.flush()
            self._write_rest(self._channel)

    def _receive(self) -> None:
        channel = self._channel
        if channel is None:
            return
        fd = channel.fileno()
        try:
            reports = channel.receive()
        except ChannelError:
            reports = []
        for report in reports:
            self._take(report)
        if channel.closed and self._loop is not None:
            # By its number: the channel has closed the socket.
            self._loop.remove_reader(fd)
            self._loop.remove_writer(fd)
            self.lose()
        else:
            self._write_rest(channel)

    def _take(self, report: ServerReport) -> None:
        match report:
            case Tokens(outputs=outputs):
                for output in outputs:
                    self._take_output(output)
            case Serving():
                self._serving = report
            case Refused():
                self._take_refusal(report)
            case EngineMetrics(ask_id=ask_id):
                self._metrics.take(report)
                answer = self._asked.pop(ask_id, None)
                if answer is not None and not answer.done():
                    answer.set_result(report)

    def _take_output(self, output: Output) -> None:
        request = self._requests.get(output.key)
        # What was stopped or aborted meanwhile is not waited for any more.
        if request is None:
            return
        if output.finish_reason is not None:
            self._forget(request)
        request.push(output)

    def _take_refusal(self, refused: Refused) -> None:
        request = self._requests.get(refused.key)
        if request is None:
            return
        self._forget(request)
        if refused.later:
            request.fail(EngineDownError(refused.message))
        else:
            request.fail(RefusedError(refused.message, refused.param))

    def _forget(self, request: LinkedRequest) -> None:
        if self._requests.pop(request.key, None) is not None:
            self._in_flight_tokens -= request.tokens

    def _end(self, request: LinkedRequest, how: Ending, output_tokens: int, reason: str) -> None:
        """The server ends a request; what the worker still sends of it is dropped."""
        if request.ended:
            return
        if request.key in self._requests:
            self._forget(request)
            if how is Ending.STOP:
                self._send(Stop(key=request.key, output_tokens=output_tokens))
            else:
                self._send(Abort(key=request.key, reason=reason))
        request.close()

    # Metrics

    def _ask(self) -> "asyncio.Future[EngineMetrics]":
        self._next_ask += 1
        answer: asyncio.Future[EngineMetrics] = asyncio.get_running_loop().create_future()
        self._asked[self._next_ask] = answer
        # Nobody may be waiting any more when the link ends.
        answer.add_done_callback(_look_at_error)
        if not self._send(AskMetrics(ask_id=self._next_ask)):
            del self._asked[self._next_ask]
            answer.set_exception(EngineDownError(NO_WORKER))
        return answer

    def _poll_metrics(self) -> None:
        # One unanswered question is enough: a worker that loads or switches answers later.
        if self._serving is not None and not self._asked:
            self._ask()
        if self._loop is not None:
            self._poller = self._loop.call_later(METRICS_INTERVAL_S, self._poll_metrics)


def _look_at_error(answer: "asyncio.Future[EngineMetrics]") -> None:
    """Take note of it, so that asyncio does not complain that nobody did."""
    if not answer.cancelled():
        answer.exception()
