"""Keeps the requests that pass: those in flight, the last that ended, and what is reported of them.

Filled by the proxy's thread, read by another. Bounded, however many requests come.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable

from ...metrics.told_requests import KEPT_TIMELINES, both_ends, finished_sample
from ...protocol import (
    REQUESTS_INTERVAL_S,
    FinishedRequest,
    Message,
    Note,
    RequestsInSystem,
    RequestTimeline,
    SloSpec,
)
from .asked import generates
from .exchange import Exchange
from .figures import ProxyFigures
from .heads import RequestHead
from .meter import ProxyMeter
from .told import finished_request, live_request, timeline
from .trace import ProxyTrace

MOST_UNREPORTED = 10_000
"""Requests that ended and were not asked for yet."""


class ExchangeBook:
    """Takes in what passes (`Watch` of `connection.py`), and reports."""

    def __init__(
        self,
        clock: Callable[[], float],
        trace: ProxyTrace | None = None,
        kept: int = KEPT_TIMELINES,
    ) -> None:
        self._lock = threading.Lock()
        self._clock = clock
        self._meter = ProxyMeter(clock())
        self._trace = trace
        self._in_flight: dict[int, Exchange] = {}
        self._kept: OrderedDict[int, RequestTimeline] = OrderedDict()
        self._kept_most = kept
        self._ended: list[FinishedRequest] = []
        self._inspected: int | None = None
        self._due_s = float("-inf")
        self._empty_told = True
        self._next_id = 1
        self._passed_unmeasured = 0

    # From the proxy's thread

    def begin(self, head: RequestHead, arrival_at_s: float) -> Exchange | None:
        """A request came; `None` where it asks for no text."""
        with self._lock:
            if not generates(head.method, head.path):
                self._passed_unmeasured += 1
                return None
            exchange = Exchange(self._next_id, arrival_at_s, head)
            self._next_id += 1
            self._in_flight[exchange.request_id] = exchange
            self._meter.on_arrival(self._clock())
            return exchange

    def on_sent(self, exchange: Exchange, at_s: float) -> None:
        """All of it went on to the server."""
        with self._lock:
            asked = exchange.on_request_sent(at_s)
            if self._trace is not None:
                self._trace.on_sent(exchange.request_id, asked)

    def on_content(self, exchange: Exchange, content: list[bytes], at_s: float) -> None:
        """A part of its answer came, and was passed on."""
        with self._lock:
            pieces = exchange.on_content(content, at_s)
            if pieces:
                self._meter.on_pieces(pieces, at_s)

    def end(self, exchange: Exchange, at_s: float, failure: str | None = None) -> None:
        """It ended."""
        with self._lock:
            exchange.end(at_s, failure)
            self._in_flight.pop(exchange.request_id, None)
            self._meter.on_end(exchange, at_s)
            if len(self._ended) < MOST_UNREPORTED:
                self._ended.append(finished_request(exchange))
            self._kept[exchange.request_id] = timeline(exchange, at_s)
            if len(self._kept) > self._kept_most:
                self._kept.popitem(last=False)
            if self._trace is not None:
                self._trace.on_ended(exchange)

    # From the reader's thread

    def set_slo(self, slo: SloSpec) -> None:
        """Judge by these limits from now on."""
        with self._lock:
            self._meter.set_slo(slo, self._clock())

    def inspect(self, request_id: int | None) -> None:
        """Report the timeline of one request from now on, until it has ended."""
        self._inspected = request_id
        self._due_s = float("-inf")

    def reports(self) -> list[Message]:
        """What is to be sent now."""
        now_s = self._clock()
        reports: list[Message] = []
        with self._lock:
            if self._ended:
                ended, self._ended = self._ended, []
                reports.append(finished_sample(ended))
            if now_s >= self._due_s:
                self._due_s = now_s + REQUESTS_INTERVAL_S
                reports += self._in_system(now_s)
                if self._inspected is not None:
                    reports.append(self._look_at(self._inspected, now_s))
            if self._trace is not None:
                oldest = next(iter(self._in_flight.values()), None)
                oldest_s = float("inf") if oldest is None else oldest.arrival_at_s
                stopped = self._trace.flush(now_s, oldest_s)
                if stopped is not None:
                    reports.append(Note(message=stopped))
        return reports

    def figures(self, slo: SloSpec) -> ProxyFigures:
        """All figures of now, judged by these limits."""
        now_s = self._clock()
        with self._lock:
            meter, in_flight = self._meter, list(self._in_flight.values())
            meter.set_slo(slo, now_s)
            unstarted = [each.arrival_at_s for each in in_flight if each.unstarted]
            return ProxyFigures(
                latency=meter.latency(now_s),
                latency_counts=meter.latency_counts(),
                attainment=meter.attainment(in_flight, now_s),
                accounting=meter.accounting(),
                failures=meter.failures,
                averages=meter.averages(now_s),
                queue=meter.queue(now_s),
                output_tok_s=meter.output_tok_s(now_s),
                requests_per_s=meter.requests_per_s(now_s),
                arrivals_per_s=meter.arrivals_per_s(now_s),
                tokens_per_piece=meter.tokens_per_piece(now_s),
                generated_tokens=meter.generated_tokens,
                oldest_unstarted_s=now_s - min(unstarted) if unstarted else None,
                recording=None if self._trace is None else self._trace.state(),
            )

    def close(self) -> None:
        """Write what is left of a trace."""
        with self._lock:
            if self._trace is not None:
                self._trace.close()
                self._trace = None

    def _in_system(self, now_s: float) -> list[Message]:
        """Those in the system; that there are none is said once."""
        every = list(self._in_flight.values())
        if not every and self._empty_told:
            return []
        self._empty_told = not every
        rows = [live_request(each) for each in both_ends(every)]
        return [RequestsInSystem(at_s=now_s, running=len(every), waiting=0, requests=rows)]

    def _look_at(self, request_id: int, now_s: float) -> RequestTimeline:
        exchange = self._in_flight.get(request_id)
        if exchange is not None:
            return timeline(exchange, now_s)
        self._inspected = None
        kept = self._kept.get(request_id)
        return kept or RequestTimeline(request_id=request_id, state=None, at_s=now_s)
